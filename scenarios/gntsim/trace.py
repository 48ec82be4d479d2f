# SPDX-License-Identifier: MIT
"""Events of the trace, and patterns that match them."""
from __future__ import annotations

import re
from typing import Any, Iterable

from .names import argument


class Event(dict[str, Any]):
    """One event: a dictionary whose keys can be written as attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __str__(self) -> str:
        args = dict(self.get("args") or {})
        words = [str(self.get("op")), *([str(args.pop("verb"))] if "verb" in args else []),
                 *("%s=%s" % (key, argument(str(self.get("op")), key, value))
                   for key, value in args.items())]
        who = "machine" if self.get("domain") is None else "d%s" % self["domain"]
        if self.get("program") or self.get("pid"):
            who += " " + (self.get("program") or "pid %s" % self["pid"])
        result = " -> %s" % self["result"] if self.get("result") is not None else ""
        rule = " [rule %s]" % self["rule"] if self.get("rule") is not None else ""
        return "%6s %15.9f %-14s %s%s%s" % (self.get("seq"), self.get("time", 0) / 1e9, who,
                                            " ".join(words), result, rule)


def amount(value: Any, wanted: Any) -> bool:
    """Whether a number is as wanted: equal to a number, or within {"min": ..., "max": ...}."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if isinstance(wanted, dict):
        return bool(wanted.get("min", value) <= value <= wanted.get("max", value))
    return bool(value == wanted)


def agrees(value: Any, wanted: Any) -> bool:
    """Whether a value is as wanted: equal; an amount; {"matches": regex}; or an object that has all
    wanted keys."""
    if isinstance(wanted, dict):
        if wanted and set(wanted) <= {"min", "max"}:
            return amount(value, wanted)
        if set(wanted) == {"matches"}:
            return re.search(wanted["matches"], str(value), re.M) is not None
        return isinstance(value, dict) and all(key in value and agrees(value[key], part)
                                               for key, part in wanted.items())
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    return bool(value == wanted)


def select(events: Iterable[Event], pattern: dict[str, Any]) -> list[Event]:
    """Those events that have the pattern's values."""
    return [event for event in events if agrees(event, pattern)]


def missing(events: Iterable[Event], patterns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is left of the patterns after events were found for them in order, others between: empty
    if all occur."""
    left = list(patterns)
    for event in events:
        if left and agrees(event, left[0]):
            left.pop(0)
    return left
