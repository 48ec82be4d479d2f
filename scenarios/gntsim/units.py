# SPDX-License-Identifier: MIT
"""Reads and prints times as people write them."""
from __future__ import annotations

import re

UNITS = {"ns": 1, "us": 1000, "ms": 1000_000, "s": 1000_000_000, "min": 60_000_000_000,
         "h": 3600_000_000_000}


def nanoseconds(value: int | float | str) -> int:
    """A time: a number of nanoseconds, or a text with a unit such as "32.6 s"."""
    if isinstance(value, bool):
        raise ValueError("%r is no time: write a number of nanoseconds, or a text such as \"5 ms\""
                         % value)
    if isinstance(value, (int, float)):
        if value < 0 or (isinstance(value, float) and not value.is_integer()):
            raise ValueError("%r is no time: nanoseconds are whole and not negative" % value)
        return int(value)
    match = re.fullmatch(r"\s*(\d+)(?:\.(\d+))?\s*([a-z]+)\s*", value) if isinstance(value,
                                                                                     str) else None
    if not match or match.group(3) not in UNITS:
        raise ValueError("%r is no time: write a number of nanoseconds, or a text with one of the "
                         "units %s, such as \"5 ms\""
                         % (value, ", ".join(UNITS)))
    whole, fraction, unit = match.group(1), match.group(2) or "", UNITS[match.group(3)]
    return int(whole + fraction) * unit // int(10 ** len(fraction))


def seconds(value: int) -> str:
    """Nanoseconds for people."""
    return "%.9f" % (value / 1e9)
