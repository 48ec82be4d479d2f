# SPDX-License-Identifier: MIT
"""Compares what the probes print with the record of a real Xen and the list of known differences.

An *observation* is one recorded line. Lines are told apart by probe, `case=` and how often that pair came before, so
one line more or less does not shift the others.
"""
from dataclasses import dataclass
from pathlib import Path

MISSING = "(nothing)"


class ListError(Exception):
    """differences.txt is not as it should be."""


def key_of(line):
    words = line.split()
    if len(words) > 1 and words[1].startswith("EXIT="):
        return words[0], "EXIT"
    return words[0], words[1] if len(words) > 1 else ""


def keyed(lines):
    """{(probe, case, nth): line}, in order."""
    seen, result = {}, {}
    for line in lines:
        key = key_of(line)
        seen[key] = seen.get(key, 0) + 1
        result[(*key, seen[key])] = line
    return result


def by_probe(lines):
    """{probe: its lines}, in order."""
    result = {}
    for line in lines:
        result.setdefault(line.split()[0], []).append(line)
    return result


@dataclass(frozen=True)
class Difference:
    run: str
    recorded: str       # MISSING if only gntsim prints something
    printed: str        # MISSING if only the real Xen did
    reason: str = ""

    def text(self):
        return " | ".join((self.run, self.recorded, self.printed, self.reason))


def differences(run, recorded, printed):
    """How many recorded lines came out equal, and the Differences of the others."""
    recorded, printed = keyed(recorded), keyed(printed)
    found = [Difference(run, line, printed.get(key, MISSING)) for key, line in recorded.items() if printed.get(key) != line]
    found += [Difference(run, MISSING, line) for key, line in printed.items() if key not in recorded]
    order = [k for k in recorded if k in printed]
    if order != [k for k in printed if k in recorded]:
        found.append(Difference(run, "the order of the lines of " + order[0][0], "another order"))
    return sum(printed.get(key) == line for key, line in recorded.items()), found


# The same programs with our library: a file of its own only where that makes a difference.
SAME_AS = {"libgnttab.txt": "golden-dom0.txt"}


def read_record(folder, name):
    """The text of a file of the record, "" if there is none."""
    for path in (folder / name, folder / SAME_AS.get(name, name)):
        if path.exists():
            return path.read_text(encoding="utf-8")
    return ""


def write_record(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in SAME_AS and read_record(folder, SAME_AS[name]) == text:
        path.unlink(missing_ok=True)
    else:
        path.write_text(text, encoding="utf-8")


def read_list(path):
    """The Differences that differences.txt lists: `run | recorded line | gntsim's line | reason`, # starts a comment."""
    listed = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [f.strip() for f in line.split(" | ")]
        if len(fields) != 4 or not all(fields):
            raise ListError(f"{path}:{number}: not `run | recorded line | gntsim's line | reason`: {line}")
        listed.append(Difference(*fields))
    known = {(d.run, d.recorded, d.printed) for d in listed}
    if len(known) != len(listed):
        raise ListError(f"{path}: a difference is listed twice")
    return listed


def judge(run, found, listed):
    """(unlisted differences, listed ones that are gone) of one run. A list that is not exact is wrong either way."""
    known = {(d.recorded, d.printed) for d in listed if d.run == run}
    now = {(d.recorded, d.printed) for d in found}
    return ([d for d in found if (d.recorded, d.printed) not in known],
            [d for d in listed if d.run == run and (d.recorded, d.printed) not in now])
