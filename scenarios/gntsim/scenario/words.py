# SPDX-License-Identifier: MIT
"""The machine's words, so that the check of a file finds a misspelt one. `gntsim names` tells them
from its tables; here are the keys of a few requests only."""
from __future__ import annotations

from typing import Any, Optional

from ..machine import find_program
from ..names import of_program

DOMAIN_OPTIONS = ("grant_frames", "maptrack_frames", "grant_version", "privcmd_unrestricted")
ADVERSARY_KEYS = ("domain", "kind", "id", "n", "seed", "steps", "thread", "first", "last", "page",
                  "mapping", "ref", "offset", "words", "values", "granter", "port", "burst")


def of_machine(group: str) -> Any:
    return of_program(find_program())[group]


def names(group: str) -> list[str]:
    """"points", "devices", "statuses", "limits", "adversaries", "device_kinds", "counters",
    "columns" (the tables that have them)."""
    return [row["name"] if isinstance(row, dict) else row for row in of_machine(group)]


def ioctls() -> list[str]:
    return [row["name"] for rows in of_machine("devices").values() for row in rows]


def batches() -> list[str]:
    """Operations on an array, each element with a status."""
    return [row["name"] for row in of_machine("points") if row["batch"]]


def elements() -> list[str]:
    """Operations with a status in their argument."""
    return [row["name"] for row in of_machine("points") if "element" in row["kinds"]]


def of_store() -> list[str]:
    """Requests to the store, and its events."""
    return [row["name"] for row in of_machine("points") if "store" in row["kinds"]]


def columns(table: str) -> list[str]:
    return list(of_machine("columns")[table])


def fault(name: str, device: str = "") -> Optional[str]:
    """What a sweep makes of a hypercall, or of a device's ioctl; None: it leaves it alone."""
    rows = of_machine("devices").get(device, []) if device else of_machine("points")
    return next((row.get("fault") for row in rows if row["name"] == name), None)
