# SPDX-License-Identifier: MIT
"""Counts observations by kind, as far as they are what the record says."""
import compare
import fidelity

KINDS = {
    "one domain": "library and device observations",
    "random sequences": "the same, random sequences",
    "between domains": "cross-domain observations",
    "hypercalls": "hypercall-sequence steps",
    "libgnttab": "our libxengnttab for Debian's",
}


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
    return fidelity.kind_of(name) if folder == "steps" else "hypercalls"


class Tally:
    def __init__(self):
        self.total, self.equal, self.differences = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), 0

    def add(self, file, recorded, now):
        """The differences of one file."""
        found = []
        for kind in KINDS:
            old, new = ([l for l in lines if kind_of(file, l) == kind] for lines in (recorded, now))
            equal, differences = compare.differences(file, old, new)
            self.total[kind] += len(old)
            self.equal[kind] += equal
            found += differences
        self.differences += len(found)
        return found

    def lines(self):
        return [f"{name:32} {self.equal[kind]:6} of {self.total[kind]} equal" for kind, name in KINDS.items() if self.total[kind]]
