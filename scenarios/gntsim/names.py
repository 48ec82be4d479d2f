# SPDX-License-Identifier: MIT
"""What `gntsim names` tells: the machine's own words, and the names of bits in arguments."""
from __future__ import annotations

import functools
import json
import subprocess
from typing import Any

from .errors import Error, Gone


@functools.cache
def of_program(program: str) -> dict[str, Any]:
    """All that this command knows by name."""
    done = subprocess.run([program, "names", "--json"], stdin=subprocess.DEVNULL,
                          capture_output=True)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        raise Gone("`%s names --json` does not tell the machine's words: %s"
                   % (program, done.stderr.decode(errors="replace"))) from None


@functools.cache
def _flags() -> dict[str, list[dict[str, Any]]]:
    """The bits of each argument that has some; none without a command that tells them."""
    from .machine import find_program
    try:
        return dict(of_program(find_program())["flags"])
    except (Error, KeyError, OSError):
        return {}


def argument(op: str, key: str, value: Any) -> str:
    """An event's argument for people: flags by name, and large numbers in hexadecimal."""
    if isinstance(value, bool) or not isinstance(value, int):
        return str(value)
    known = _flags().get("%s.%s" % (op, key))
    if not known:
        return hex(value) if value >= LARGE else str(value)
    words = []
    for row in known:
        if row["value"] and value & row["value"] == row["value"]:
            words.append(row["name"])
            value &= ~row["value"]
    return "|".join([*words, hex(value)] if value or not words else words)


LARGE = 1 << 16         # from here on a number is an address, a frame or a command
