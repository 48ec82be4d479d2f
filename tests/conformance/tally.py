# SPDX-License-Identifier: MIT
"""Counts by kind the observations that equal the record."""
import compare

KINDS = {
    "one domain": "library and device observations",
    "random sequences": "the same, random sequences",
    "between domains": "cross-domain observations",
    "hypercalls": "hypercall-sequence steps",
    "libgnttab": "our libxengnttab for Debian's",
}


def kind_of_script(name):
    return {"x": "between domains", "y": "one domain", "z": "random sequences"}[name[0]]


def kind_of(file, line):
    """Of a line in a file of the record; None if it observes nothing."""
    if line.startswith(("#", "sequence ")):
        return None
    if file == "libgnttab.txt":
        return "libgnttab"
    if file == "golden-dom0.txt" or line.startswith("U:"):
        return "one domain"
    if file == "golden-domu.txt":
        return "between domains"
    folder, _, name = file.rpartition("/")
    return kind_of_script(name) if folder == "steps" else "hypercalls"


class Tally:
    def __init__(self):
        self.total, self.equal, self.found = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), []

    @property
    def differences(self):
        return len(self.found)

    def add(self, file, recorded, now):
        """The differences of one file."""
        found = []
        for kind in KINDS:
            old, new = ([l for l in lines if kind_of(file, l) == kind] for lines in (recorded, now))
            equal, differences = compare.differences(file, old, new)
            self.total[kind] += len(old)
            self.equal[kind] += equal
            found += differences
        self.found += found
        return found

    def lines(self):
        return [f"{name:32} {self.equal[kind]:6} of {self.total[kind]} equal"
                for kind, name in KINDS.items() if self.total[kind]]

    def text(self, versions):
        """To be kept: how another version answered. read() reads it."""
        lines = [f"{what}: {versions[what]}" for what in ("xen", "linux")]
        lines += [f"count: {kind} | {self.equal[kind]} | {self.total[kind]}"
                  for kind in KINDS if self.total[kind]]
        lines += [f"difference: {d.run} | {d.recorded} | {d.printed}" for d in self.found]
        return "".join(line + "\n" for line in lines)


def read(path):
    """(versions, {kind: (equal, total)}, differences) of what was kept."""
    versions, counts, found = {}, {}, []
    for line in path.read_text(encoding="utf-8").splitlines():
        what, _, rest = line.partition(": ")
        if what == "count":
            kind, equal, total = rest.split(" | ")
            counts[kind] = int(equal), int(total)
        elif what == "difference":
            found.append(compare.Difference(*rest.split(" | ")))
        else:
            versions[what] = rest
    return versions, counts, found
