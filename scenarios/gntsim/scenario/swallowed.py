# SPDX-License-Identifier: MIT
"""Judges a point of a sweep: whether a program swallowed the fault, and what came of that."""
from __future__ import annotations

import re
from typing import Any, Iterable, Optional

from ..process import Process
from ..trace import Event

# What goes wrong for a program. The rest of what a rule can do (delays, deaths, lost events) is
# nothing that a program could report.
ERRORS = ("status", "hypercall", "errno")
# A copy tells what failed in the status of a segment, though the call itself succeeds.
BY_STATUS = ("copy",)
# How programs say that something went wrong, where [sweep] does not say it.
USUAL = r"(?i)error|fail|cannot|can't|could not|unable|refus|invalid|denied|space|full|again"
# What the libraries say on their own is no report of the program.
OF_LIBRARIES = re.compile(r"^(?:xen)?(?:gnttab|gntshr|gntdev|evtchn|store|call)\w*: ", re.I)


def is_error(result: Any) -> bool:
    """Whether a call of a device failed."""
    return isinstance(result, str) or isinstance(result, int) and result < 0


def fired_in_program(events: list[Event], rule: int) -> Optional[Event]:
    """The event at which the rule fired, if a program was told of the failure by its call."""
    for i, event in enumerate(events):
        if event.get("rule") != rule or event.get("pid") is None:
            continue
        if event["op"] in BY_STATUS or "device" in event.get("args", {}):
            return event
        # within a call of a device, whose own event comes behind it
        for later in events[i + 1:]:
            if later.get("call") == event.get("call") and "device" in later.get("args", {}) and \
                    later.get("domain") == event.get("domain"):
                return event if is_error(later.get("result")) else None
        return None
    return None


def was_repeated(events: list[Event], fired: Event) -> bool:
    """Whether the same was tried again, and was done."""
    def same(event: Event, *keys: str) -> bool:
        return all(event["args"].get(key) == fired["args"].get(key) for key in keys)
    return any(event["op"] == fired["op"] and event.get("pid") == fired.get("pid")
               and not event.get("rule") and event["seq"] > fired["seq"]
               and same(event, "device", "name", "ref", "peer") for event in events)


def own_words(process: Process) -> list[str]:
    """What the program itself said on standard error."""
    return [line for line in process.stderr.splitlines()
            if line.strip() and not OF_LIBRARIES.match(line)]


def reported(processes: Iterable[Process], errors: Optional[str]) -> bool:
    """Whether some program said that something went wrong, in words or by its end."""
    return any(process.returncode not in (None, 0) or own_words(process)
               or re.search(errors or USUAL, process.stdout, re.M) is not None
               or bool(errors and re.search(errors, process.stderr, re.M))
               for process in processes)


def judge(fired: Event, again: bool, deviated: str) -> Optional[str]:
    """What is wrong with a play in which nobody reported the fault; None: nothing."""
    where = "%s%s" % (fired["op"], " " + fired["args"]["name"] if "name" in fired["args"] else "")
    if deviated:
        return "wrong-result: %s failed, no program reported it, and then:\n%s" % (where, deviated)
    if again:
        return None
    return "fault-swallowed: %s failed, and no program reported it or tried again (event %s); if " \
        "that is all right, name it in tolerates of [sweep]" % (where, fired["seq"])
