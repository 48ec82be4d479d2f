# SPDX-License-Identifier: MIT
"""Unmodified libxenctrl's calls for sharing, paging and access return what the page about them
says."""
import re
from pathlib import Path

import pytest

import harness

PAGE = harness.SOURCE / "docs" / "libxc-memory.md"

pytestmark = pytest.mark.skipif(
    "xc_domain_getinfo(" not in Path("/usr/include/xenctrl.h").read_text(),
    reason="the page is about Xen 4.17")


def tables():
    """The rows of the page's tables, each as a list of cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [[cell.replace("`", "") for cell in row] for row in rows
            if not re.fullmatch(r"-+", row[0])]


def documented():
    """{(call, when): result}."""
    found, situations = {}, []
    for first, *cells in tables():
        if first == "call":
            situations = cells if cells[0] != "when" else None
        elif situations:
            found.update({(first, situation): cell
                          for situation, cell in zip(situations, cells, strict=True)})
        else:
            when, _, result = cells
            found[first, when] = result
    return found


def seen(done):
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()]
    found = {(call, when): result for call, when, result in rows}
    assert len(found) == len(rows), "a row says the same as another"
    return found


def test_every_call_returns_what_the_page_says(serve, compiled):
    machine, program = serve("--way", "device"), compiled("libxc_memory")
    rows = seen(machine.exec(0, program))
    machine.audit()
    machine.must("domain", "create", "5")
    machine.must("domain", "create", "6", "--type", "hvm")
    machine.must("limit", "5", "privcmd_unrestricted", "1")
    rows.update(seen(machine.exec(5, program, "6")))
    assert rows == documented()
    machine.audit()
