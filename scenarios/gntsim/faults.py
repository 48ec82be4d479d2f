# SPDX-License-Identifier: MIT
"""Fault rules and the machine's clock, as handles on what the machine has."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .errors import Error
from .units import nanoseconds

if TYPE_CHECKING:
    from .machine import Machine


def rule_arguments(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as the machine wants it: times in nanoseconds."""
    do = rule.get("do")
    if isinstance(do, dict):
        rule = {**rule, "do": {key: nanoseconds(value) if key in ("delay", "late") else value
                               for key, value in do.items()}}
    return rule


def tally(rows: list[dict[str, Any]]) -> list[str]:
    """What Machine.tally() says of each rule, a line each."""
    return ["rule %s: %d passed it, it %s"
            % (row.get("name") or "no. %d" % row["id"], row["passed"],
               "fired %d times" % row["fired"] if row["fired"] else "never fired")
            for row in rows]


class Rule:
    """A fault rule of a machine."""

    def __init__(self, machine: Machine, number: int, name: Optional[str] = None,
                 optional: bool = False):
        self.machine = machine
        self.id = number
        self.name = name
        self.optional = optional        # it is no mistake if it never fires

    def _row(self) -> dict[str, Any]:
        for row in self.machine.faults():
            if row["id"] == self.id:
                return row
        raise Error("rule %s was removed" % (self.name or self.id))

    @property
    def fired(self) -> int:
        """How often it has fired."""
        return int(self._row()["fired"])

    @property
    def passed(self) -> int:
        """How often something matched it."""
        return int(self._row()["passed"])

    def remove(self) -> int:
        """Ends the rule; how often it has fired."""
        last = self.machine.call("fault-remove", id=self.id)
        self.machine.ended_rules.append({"id": self.id, "name": self.name,
                                         "passed": last["passed"], "fired": last["fired"]})
        self.machine.rules.remove(self)
        return int(last["fired"])

    def paused(self) -> list[dict[str, Any]]:
        """The callers that this rule holds (do={"pause": True})."""
        return [row for row in self.machine.call("paused") if row["rule"] == self.id]

    def wait_paused(self, timeout: float = 30) -> None:
        """Waits until it holds a caller."""
        self.machine.eventually(self.paused, "rule %s holding a caller" % (self.name or self.id),
                                timeout)

    def resume(self) -> None:
        """Lets the callers that it holds go on."""
        held = self.paused()
        if not held:
            raise Error("rule %s holds nobody: wait_paused() waits until it does"
                        % (self.name or self.id))
        for row in held:
            self.machine.call("resume", id=row["id"])


class Clock:
    """The machine's clock. Only a virtual one can be moved."""

    def __init__(self, machine: Machine):
        self._machine = machine

    def _get(self, key: str) -> Any:
        return self._machine.call("clock")[key]

    @property
    def mode(self) -> str:
        """"real", "virtual" or "auto"."""
        return str(self._get("mode"))

    @property
    def now(self) -> int:
        """Nanoseconds since the machine started."""
        return int(self._get("now"))

    @property
    def next(self) -> Optional[int]:
        """The next deadline, None if nothing waits for one."""
        value = self._get("next")
        return None if value is None else int(value)

    def standing(self) -> str:
        """A sentence if the clock stands still until somebody moves it, else nothing."""
        if self.mode != "virtual" or self._get("auto"):
            return ""
        deadline = self.next
        return "the clock stands still at %.9f s, and %s" % (
            self.now / 1e9, "nothing waits for a later time" if deadline is None else
            "the next deadline is %.9f s: clock.advance(\"next\") goes there" % (deadline / 1e9))

    def advance(self, time: int | str) -> int:
        """Moves a virtual clock by nanoseconds, by a text such as "32.6 s", or "next": to the next
        deadline. The new time."""
        if time == "next":
            return int(self._machine.call("clock-advance", to="next")["now"])
        return int(self._machine.call("clock-advance", ns=nanoseconds(time))["now"])

    def auto(self, on: bool = True) -> None:
        """Whether a virtual clock jumps to the next deadline by itself when somebody waits for it
        and nothing else can run."""
        self._machine.call("clock", auto=on)
