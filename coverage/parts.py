# SPDX-License-Identifier: MIT
"""parts.py TRACEFILE TOP: one line with the coverage of lines and branches of each part, from an lcov trace file."""
import os
import sys
from collections import Counter

PARTS = ["sim-hv", "sim-kernel", "machine", "fuse-dev", "sock-dev", "libgnttab", "cli"]


def main():
    trace, top = sys.argv[1:]
    counts, part = {name: Counter() for name in PARTS}, None
    with open(trace, encoding="utf-8") as file:
        for line in file:
            tag, _, value = line.strip().partition(":")
            if tag == "SF":
                part = counts.get(os.path.relpath(value, top).split(os.sep)[0])
            elif tag in ("LF", "LH", "BRF", "BRH") and part is not None:
                part[tag] += int(value)

    def percent(hit, found):
        return "%.1f %%" % (100 * hit / found) if found else "-"

    print("coverage, lines (branches): " + ", ".join(
        "%s %s (%s)" % (name, percent(c["LH"], c["LF"]), percent(c["BRH"], c["BRF"])) for name, c in counts.items()))


if __name__ == "__main__":
    main()
