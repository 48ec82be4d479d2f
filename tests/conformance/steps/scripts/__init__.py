# SPDX-License-Identifier: MIT
"""The scripts, by name: what the actors do, step by step. ../README.md explains the language.

One case of a script begins with fresh processes. A line that begins with a dot only prepares: it is
printed only if it fails.
"""
from pathlib import Path

import fuzz
from script import script

from .channels import channels
from .copying import copying
from .death import death, destruction
from .evtchn import evtchn
from .gntalloc import gntalloc
from .gntdev import gntdev
from .library import library
from .notification import notification, notify_details
from .privcmd import privcmd
from .sharing import sharing

SCRIPTS = {
    "x10_share": lambda: script(*sharing()),
    "x20_copy": lambda: script(*copying()),
    "x30_notify0": lambda: script(*notification(0, 1)),
    "x31_notify1": lambda: script(*notification(1, 0)),
    "x35_notify": lambda: script(*notify_details()),
    "x40_evtchn": lambda: script(*channels()),
    "x50_death": lambda: script(*death()),
    "x60_destroy": lambda: script(*destruction()),
}
for _d, _kinds in ((0, {"y10_gntdev": gntdev, "y20_gntalloc": gntalloc, "y30_evtchn": evtchn,
                        "y40_library": library, "y50_privcmd": privcmd}),
                   (1, {"y10_gntdev": gntdev, "y20_gntalloc": gntalloc, "y30_evtchn": evtchn})):
    for _name, _function in _kinds.items():
        SCRIPTS[f"{_name}{_d}"] = lambda f=_function, d=_d: script(*f(d))

# What random scripts found (fuzz.py), shrunk; and some of them as they are.
for _path in sorted((Path(__file__).resolve().parents[1] / "regressions").glob("*.txt")):
    SCRIPTS[f"z_{_path.stem}"] = lambda p=_path: p.read_text(encoding="utf-8")
SCRIPTS["z90_random"] = lambda: fuzz.scripts(range(1, 21))
