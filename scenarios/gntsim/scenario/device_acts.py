# SPDX-License-Identifier: MIT
"""What the steps of devices do."""
from __future__ import annotations

from typing import Any, Optional

from .play import Play


def device_act(play: Play, step: dict[str, Any]) -> Optional[dict[str, Any]]:
    """The device's row afterwards; None: it is gone."""
    what = play.value(step["device"])
    if what == "attach":
        return play.attach(step).row()
    found = play.device(play.domain_id(step["domain"]), play.value(step["kind"]),
                        play.value(step.get("id")))
    if what == "detach":
        found.detach(force=bool(step.get("force")), timeout=play.timeout(step))
    else:
        found.wait(play.value(step.get("state", "connected")), play.timeout(step))
    return found.row()
