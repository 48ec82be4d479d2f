# SPDX-License-Identifier: MIT
"""Sums lcov coverage by part and compares it with coverage/targets.txt. usage: parts.py TRACEFILE
TOP [--write]. It also checks that docs/coverage.md names all of sim-hv that no test reached.
--write adds what is missing, for somebody to give it a reason. Status 1: a part is below its
target, or something left has no reason."""
import os
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = "docs/coverage.md"
NAMED = "sim-hv"
NO_REASON = "## Without a reason yet"
ENTRY = re.compile(r"^- `(\S+)`: `(.*)`$")


def targets():
    rows = (line.split() for line in (HERE / "targets.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {part: (float(lines), float(branches)) for part, lines, branches in rows}


def read(trace, top):
    """-> what lcov counted for each file, and the lines of each that were not reached, or not left in every direction."""
    counts, left, file = defaultdict(Counter), defaultdict(set), None
    for line in Path(trace).read_text(encoding="utf-8").splitlines():
        tag, _, value = line.partition(":")
        if tag == "SF":
            file = os.path.relpath(value, top)
        elif tag in ("LF", "LH", "BRF", "BRH"):
            counts[file][tag] += int(value)
        elif tag == "DA" and value.split(",")[1] == "0":
            left[file].add(int(value.split(",")[0]))
        elif tag == "BRDA" and value.split(",")[3] in ("0", "-"):
            left[file].add(int(value.split(",")[0]))
    return counts, left


def percent(hit, found):
    return 100 * hit / found if found else 100.0


def by_part(counts, wanted):
    """Prints the table. -> whether every part is as it should be."""
    print("%-12s%16s%16s" % ("coverage", "lines", "branches"))
    well = True
    for part, aims in wanted.items():
        total = sum((c for file, c in counts.items() if file.startswith(part + "/")), Counter())
        cells = []
        for found, hit, aim in (("LF", "LH", aims[0]), ("BRF", "BRH", aims[1])):
            value = percent(total[hit], total[found])
            below = value < aim
            well = well and not below
            cells.append("%.1f %%%s" % (value, " (< %g)" % aim if below else ""))
        print("%-12s%16s%16s" % (part, *cells))
    return well


def named(left, top, write):
    """Whether the page gives a reason for all that is left, and speaks of nothing that the source does not say."""
    page, sources, known = Path(top, PAGE), {}, set()
    text, head = page.read_text(encoding="utf-8"), ""
    unexplained = []
    for line in text.splitlines():
        head = line if line.startswith("## ") else head
        entry = ENTRY.match(line)
        if entry:
            known.add(entry.groups())
            if head == NO_REASON:
                unexplained.append(entry.groups())
    there = set()
    for file, numbers in left.items():
        if file.startswith(NAMED + "/"):
            sources[file] = [line.strip() for line in Path(top, file).read_text(encoding="utf-8").splitlines()]
            there |= {(file, sources[file][n - 1]) for n in numbers}
    # An assertion's other way is not to be taken.
    missing = sorted((file, line) for file, line in there if "assert(" not in line and (file, line) not in known)
    stale = sorted((file, line) for file, line in known if not Path(top, file).is_file() or
                   line not in {s.strip() for s in Path(top, file).read_text(encoding="utf-8").splitlines()})
    for what, entries in (("is not reached and not in %s" % PAGE, missing), ("has no reason in %s" % PAGE, unexplained),
                          ("is in %s and not in the source" % PAGE, stale)):
        for file, line in entries:
            print("coverage: %s %s: %s" % (file, what, line))
    if write and missing:
        with page.open("a", encoding="utf-8") as out:
            if NO_REASON not in text:
                print("\n%s\n" % NO_REASON, file=out)
            for entry in missing:
                print("- `%s`: `%s`" % entry, file=out)
    return not missing and not stale and not unexplained


def main():
    trace, top = sys.argv[1:3]
    counts, left = read(trace, top)
    well = by_part(counts, targets())
    return 0 if named(left, top, "--write" in sys.argv) and well else 1


if __name__ == "__main__":
    sys.exit(main())
