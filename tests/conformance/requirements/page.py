# SPDX-License-Identifier: MIT
"""Makes docs/device-conformance.md from what the tests have shown, requirement by requirement."""
import harness
import ways

PAGE = harness.SOURCE / "docs" / "device-conformance.md"
CONFORMANCE = harness.SOURCE / "tests" / "conformance"
HEAD = """<!-- SPDX-License-Identifier: MIT. Written by tests/conformance/requirements (--write-page); a test compares the two. -->
# Devices and libraries: requirement by requirement

What Xen's documents say of the devices, libxengnttab and libxenevtchn is written down as requirements (`tests/conformance/requirements/requirements.txt`).
Each has a test that looks from outside, as a program would, and runs over every way to the devices. "holds": every test of it passes.
Where a kernel profile is not named, it is `pv`.

"""
OUTCOMES = {"passed": "holds", "differs": "differs", "skipped": "not yet"}
ORDER = ["failed", "differs", "skipped", "passed"]


def cell(outcomes, id, way, notes):
    found = outcomes.get((id, way))
    if not found:
        return "no test"
    worst = min(found, key=ORDER.index)
    reason = ways.differences().get((id, way))
    if worst == "differs":
        if reason not in notes:
            notes.append(reason)
        return "differs (%d)" % (notes.index(reason) + 1)
    return OUTCOMES.get(worst, worst)


def counts(outcomes):
    """A line for each way: how many hold."""
    lines = ["| way | holds | differs, with the reason below | not yet |", "|---|---|---|---|"]
    for way, title in ways.WAYS.items():
        cells = [cell(outcomes, id, way, []) for id in ways.requirements()]
        lines.append("| %s | %d | %d | %d |" % (title, cells.count("holds"),
                                                sum(c.startswith("differs") for c in cells),
                                                cells.count("not yet")))
    return lines


def recorded():
    """What the comparison with a recorded real Xen comes to, if its test passes: observations and
    listed differences."""
    golden = sum(len(path.read_text().splitlines())
                 for path in (CONFORMANCE / "record").glob("golden-*.txt"))
    listed = sum(bool(line) and line[0] != "#"
                 for line in (CONFORMANCE / "differences.txt").read_text().splitlines())
    return ["", "## Against a real Xen", "",
            "Programs that use the devices and libraries were run on a Xen 4.17 and what they "
            "printed was recorded (`tests/conformance`). Of %d "
            "recorded lines %d come out equal on the device files." % (golden, golden - listed)]


def page(outcomes):
    notes, body = [], []
    for row in ways.rows("requirements.txt", 2):
        if len(row) == 1:
            body += ["", "## " + row[0], "", "| | requirement | %s |"
                     % " | ".join(ways.WAYS.values()), "|---|---|" + "---|" * len(ways.WAYS)]
        else:
            body.append("| %s | %s | %s |" % (row[0], row[1].replace("|", "\\|"),
                                            " | ".join(cell(outcomes, row[0], way, notes)
                                                       for way in ways.WAYS)))
    tail = ["", "## Why a way differs", "", *("%d. %s" % pair
                                              for pair in enumerate(notes, 1))] if notes else []
    return HEAD + "\n".join([*counts(outcomes), *recorded(), *body, *tail]) + "\n"
