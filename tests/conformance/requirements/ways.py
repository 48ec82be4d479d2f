# SPDX-License-Identifier: MIT
"""The ways to the devices over which the requirements are tested, and their known differences.
requirements.txt says what must hold, and differences.txt where a way differs and why."""
import os
from pathlib import Path

import harness

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("GNTSIM_BUILD", harness.SOURCE / "build"))
WAYS = {
    "debian": "Debian's libraries, device files",
    "libgnttab": "libgnttab, device files",
    "socket": "libgnttab, socket",
}


def rows(name, columns):
    """The rows of a file of the form "a | b | c", and its headings as rows of one."""
    for line in (HERE / name).read_text().splitlines():
        if line.startswith("## "):
            yield [line[3:]]
        elif line and not line.startswith("#"):
            row = [word.strip() for word in line.split("|", columns - 1)]
            assert len(row) == columns, "%s: %s" % (name, line)
            yield row


def requirements():
    """{ID: statement}"""
    return dict(row for row in rows("requirements.txt", 2) if len(row) == 2)


def differences():
    """{(ID, way): reason}"""
    return {(row[0], row[1]): row[2] for row in rows("differences.txt", 3) if len(row) == 3}


def left_out():
    """With a sanitizer everything takes several times longer, and Debian's library has none:
    libgnttab asks the same server the same."""
    return {"debian"} if harness.library_kind() != "dynamic" else set()


def unavailable(way):
    """Why a way cannot be tested here, or None."""
    if way != "debian" and not (BUILD / "libgnttab" / "libxengnttab.so.1").exists():
        return "libgnttab is not built"
    return None
