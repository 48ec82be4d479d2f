# SPDX-License-Identifier: MIT
"""Plays one case on a machine of its own."""
from __future__ import annotations

import math
import os
import re
import signal
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from ..device import Device
from ..domain import Domain
from ..errors import Error
from ..faults import Rule, tally
from ..machine import Machine
from ..process import Process, describe_exit
from ..store import Store
from ..tempdir import temporary_directory
from ..trace import Event
from . import swallowed, words
from .cases import Case, Options, substitute
from .places import Path

LAST_EVENTS = 12
WHOLE_POINT = 60         # seconds that a point of a sweep may take


# What comes of a variable that holds something else than its place wants, which is known only when
# it is used.
BAD_VALUE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, re.error)


class Failed(Exception):
    """Something was not as the scenario says."""


def checked(case: Case, options: Options) -> bool | str:
    """What Machine's check is to be: the command line's word, or the file's."""
    if options.check is not None:
        return options.check or False
    table = case.scenario.data.get("check", {})
    return str(table.get("kinds", "leaks")) if table.get("on", True) else False


@dataclass
class Result:
    case: Case
    ok: bool = False
    message: str = ""
    said: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)       # the last ones of a failure
    seconds: float = 0
    skipped: str = ""
    # in a sweep: where the steps ended because of the fault
    deviated: str = ""
    points: list[dict[str, Any]] = field(default_factory=list)
    trace: Optional[list[Event]] = None                     # all, if asked for
    domains: dict[int, dict[str, Any]] = field(default_factory=dict)
    batches: list[Event] = field(default_factory=list)
    fired: int = 0                                          # of a sweep's rule
    rules: list[str] = field(default_factory=list)          # of a failure: how often each fired
    cause: str = ""                                         # why the latest call was refused
    trace_file: str = ""                                    # its name in the directory of traces
    findings: list[dict[str, Any]] = field(default_factory=list)


class Play:
    """The state of a case while it is played. The steps are in steps.py."""

    def __init__(self, case: Case, options: Options, directory: str, machine: Machine,
                 for_sweep: bool = False):
        self.case = case
        self.options = options
        self.machine = machine
        self.data = case.scenario.data
        self.directory = directory
        self.processes: dict[str, Process] = {}
        self.programs: dict[int, str] = {}                  # names by pid
        self.rules: dict[str, Rule] = {}
        self.required: list[tuple[Path, Rule]] = []
        self.awaited: set[str] = set()                      # programs whose end a step has judged
        self.signals: dict[str, set[int]] = {}              # sent to programs
        self.domains_gone: set[int] = set()
        self.stores: dict[int, Store] = {}                  # a connection of each domain
        self.mark = 0
        self.crashed = False
        self.said: list[str] = []
        self.path: Path = ()
        # the run that a sweep takes its points from
        self.for_sweep = for_sweep
        self.sweeping = case.point is not None
        self.sweep_rule: Optional[Rule] = None
        self.sweep = self.data.get("sweep", {})
        self.end = time.monotonic() + float(self.sweep.get("timeout", WHOLE_POINT)) \
            if self.sweeping else math.inf
        self.variables = {**case.variables, "seed": case.seed, "profile": case.profile,
                          "dir": directory,
                          "here": str(case.scenario.path.resolve().parent)}

    # ---- What steps use

    def value(self, value: Any) -> Any:
        """With its variables replaced."""
        try:
            return substitute(value, self.variables)
        except KeyError as error:
            raise Failed(error.args[0]) from None

    def domain_id(self, value: Any) -> int:
        value = self.value(value)
        if isinstance(value, str):
            if value not in self.data.get("domains", {}):
                raise Failed("there is no domain \"%s\"" % value)
            return int(self.data["domains"][value]["id"])
        return int(value)

    def store(self, domain: int) -> Store:
        if domain not in self.stores:
            self.stores[domain] = Store.of(self.machine, domain)
        return self.stores[domain]

    def process(self, name: str) -> Process:
        if name not in self.processes:
            raise Failed("program \"%s\" was not started yet" % name)
        return self.processes[name]

    def timeout(self, step: dict[str, Any]) -> float:
        """How long the step may take; in a sweep not longer than what the whole point has left."""
        wanted = float(self.value(step.get("timeout", self.case.scenario.head.get("timeout", 30))))
        return max(0.0, min(wanted, self.end - time.monotonic()))

    def check_time(self) -> None:
        """In a sweep: fails when the time of the whole point is over."""
        if time.monotonic() >= self.end:
            raise Failed(self._over())

    def _over(self) -> str:
        return "this point of the sweep has taken %g s, as long as timeout in [sweep] lets it" \
            % float(self.sweep.get("timeout", WHOLE_POINT))

    def rule(self, name: str) -> Rule:
        if name not in self.rules:
            raise Failed("rule \"%s\" is not there" % name)
        return self.rules[name]

    def add_rule(self, path: Path, row: dict[str, Any]) -> Rule:
        row = dict(self.value(row))
        for key in ("domain", "peer"):
            if key in row:
                row[key] = self.domain_id(row[key])
        row["do"] = {key: self.domain_id(value) if key in ("destroy", "suspend") else value
                     for key, value in row["do"].items()}
        rule = self.machine.fault(**row)
        if "name" in row:
            self.rules[row["name"]] = rule
        if not row.get("optional"):
            self.required.append((path, rule))
        return rule

    def create_domain(self, name: str) -> None:
        row = self.data["domains"][name]
        self.machine.call("domain-create", domain=row["id"],
                          profile=self.value(row.get("profile", self.case.profile)),
                          **{key: self.value(row.get(key)) for key in words.DOMAIN_OPTIONS})

    def attach(self, row: dict[str, Any]) -> Device:
        """A row of [devices], or a step with the same keys."""
        keys = {key: str(self.value(value)) for key, value in row.get("keys", {}).items()}
        domain = Domain(self.machine, self.domain_id(row["domain"]))
        return domain.attach(self.value(row["kind"]), backend=self.domain_id(row.get("backend", 0)),
                             id=self.value(row.get("id")), type=self.value(row.get("type")),
                             keys=keys)

    def device(self, domain: int, kind: str, number: Optional[int]) -> Device:
        for device in Domain(self.machine, domain).devices():
            if device.kind == kind and number in (None, device.id):
                return device
        raise Failed("domain %d has no %s%s" % (domain, kind,
                                                "" if number is None else " %d" % number))

    def events(self, start: int = 0) -> list[Event]:
        """The trace with names instead of numbers that differ from run to run."""
        names = {rule.id: name for name, rule in self.rules.items()}
        events = self.machine.trace(start)
        pids = self.machine.pids()
        for event in events:
            if event.get("pid") is not None:
                event["program"] = self.programs.get(pids.get(event["pid"], 0), "other")
            if event.get("rule") in names:
                event["rule"] = names[event["rule"]]
        return events

    def wait_until(self, step: dict[str, Any], problem: Callable[[], str]) -> None:
        """Fails with what problem says, unless that is nothing: at once, or if the step says
        eventually, when its time is over."""
        patience = self.timeout(step) if step.get("eventually") else 0
        end = time.monotonic() + patience
        while True:
            said = problem()
            if not said:
                return
            if time.monotonic() >= end:
                raise Failed(said + (" (asked for %.4g s)" % patience
                                     if step.get("eventually") else "") + self.standing(step))
            time.sleep(0.002)

    def standing(self, step: dict[str, Any]) -> str:
        """For a step that waited in vain: what to know if the clock stands still."""
        said = self.machine.clock.standing() if step.get("eventually") else ""
        return "; " + said if said else ""

    # ---- From the first step to the last

    def play(self) -> Result:
        result = Result(self.case)
        try:
            try:
                self._prepare()
            except BAD_VALUE as error:
                raise Failed("cannot be done with these values: %s" % error) from error
            try:
                self._steps("steps")
            except Exception as error:
                if not self.sweeping or not isinstance(error, (Failed, Error)):
                    raise
                result.deviated = self.describe(error)
            if not self.crashed:
                self._between(result)
            self._finally()
            self._judge()
            self._judge_fault(result)
            result.ok = True
        except (Failed, Error) as error:
            result.message = self.describe(error)
            self._try_finally()
        for store in self.stores.values():
            store.close()
        result.said = self.said
        return result

    def describe(self, error: Exception) -> str:
        over = "" if time.monotonic() < self.end or str(error) == self._over() else \
            "; " + self._over()
        return "%s: %s%s" % (self.case.scenario.where(self.path), error, over)

    def _prepare(self) -> None:
        for name, row in self.data.get("domains", {}).items():
            self.path = ("domains", name)
            if row.get("create", True):
                self.create_domain(name)
        for name, row in self.data.get("devices", {}).items():
            self.path = ("devices", name)
            self.attach(row)
        for i, row in enumerate(self.data.get("faults", [])):
            self.path = ("faults", i)
            self.add_rule(self.path, row)
        self.path = ()
        self.machine.call("points-reset")
        if self.case.point and "limit" in self.case.point:
            self.machine.call("limit", **self.case.point["limit"])
        elif self.case.point:
            rule: dict[str, Any] = {**self.case.point, "name": "of the sweep"}
            self.sweep_rule = self.machine.fault(**rule)

    def _steps(self, part: str) -> None:
        from .steps import execute
        for i, step in enumerate(self.data.get(part, [])):
            execute(self, (part, i), step)

    def _between(self, result: Result) -> None:
        """After the steps: what a sweep wants to know of them. What comes now shows whether all has
        recovered, without a fault."""
        if self.for_sweep:
            result.points = self.machine.points()["points"]
            result.domains = {row["domain"]: row for row in self.machine.domains()}
            result.batches = self.events()
        if self.sweep_rule:
            self.by_program = self._looked_at()
            result.fired = self.sweep_rule.remove()
            self.killed = result.fired > 0 and \
                "kill" in self.case.point["do"] if self.case.point else False

    killed = False
    by_program: Optional[tuple[Event, bool]] = None     # a fault that a program was told of

    def _looked_at(self) -> Optional[tuple[Event, bool]]:
        """Where the sweep's rule failed a call of a program, and whether that was tried again."""
        assert self.sweep_rule and self.case.point
        if not set(self.case.point["do"]) & set(swallowed.ERRORS):
            return None
        events = self.events()
        fired = swallowed.fired_in_program(events, self.sweep_rule.id)
        return (fired, swallowed.was_repeated(events, fired)) if fired else None

    def _judge_fault(self, result: Result) -> None:
        """In a sweep: a fault that a program was told of must not be lost."""
        if not self.by_program or not self.case.point:
            return
        if any(re.search(one, self.case.suffix) for one in self.sweep.get("tolerates", [])):
            return
        if not swallowed.reported(self.processes.values(), self.sweep.get("errors")):
            wrong = swallowed.judge(*self.by_program, result.deviated)
            if wrong:
                result.deviated = ""    # it is told now
                raise Failed(wrong)

    def _finally(self) -> None:
        where = self.path
        self._finished = True
        self._steps("finally")
        if self.sweeping:
            for name in self.sweep.get("ends", []):
                if name in self.processes:
                    self.processes[name].close_stdin()
                    self.processes[name].wait(self.timeout({}))
        self.path = where

    _finished = False

    def _try_finally(self) -> None:
        """After a failure: the last steps may be what cleans up outside of the machine."""
        if not self._finished and not self.crashed:
            try:
                self._steps("finally")
            except (Failed, Error):
                pass

    def _judge(self) -> None:
        """What must be true of every case."""
        self.path = ()
        for name, process in self.processes.items():
            if name not in self.awaited:
                self._judge_end(name, process)
        if self.crashed:
            return
        if not self.sweeping:
            for path, rule in self.required:
                if rule in self.machine.rules and rule.fired == 0:
                    self.path = path
                    raise Failed("the rule%s never fired: %d passed it; if that is all right say "
                                 "optional = true"
                                 % (" \"%s\"" % rule.name if rule.name else "", rule.passed))
        if self.case.scenario.head.get("audit", True):
            self.machine.audit()
        if checked(self.case, self.options):
            self._judge_findings()

    def _judge_findings(self) -> None:
        """Errors that --check found fail the case, but for those that the file expects."""
        expected = list(self.data.get("check", {}).get("expect", []))
        found = self.machine.found()
        kinds = {one["kind"] for one in found}
        self.path = ("check", "expect")
        for kind in expected:
            if kind not in kinds and not self.sweeping:
                raise Failed("no %s was found, which is expected here" % kind)
        self.path = ()
        wrong = [one for one in found if one["level"] == "error" and one["kind"] not in expected]
        if wrong:
            raise Failed("%d finding%s (%s)\n%s" % (
                len(wrong), "s" * (len(wrong) > 1), ", ".join(one["kind"] for one in wrong),
                "".join(one["text"] for one in wrong).rstrip()))

    def allowed_signals(self, name: str, process: Process) -> set[int]:
        allowed = set(self.signals.get(name, ()))
        if self.crashed or process.domain in self.domains_gone:
            allowed.add(signal.SIGKILL)
        if self.killed or any(rule["fired"] and set(rule["do"]) & {"kill", "destroy"}
                              for rule in ([] if self.crashed else self.machine.faults())):
            allowed.add(signal.SIGKILL)
        return allowed

    def _judge_end(self, name: str, process: Process) -> None:
        status = process.returncode
        if status is None or status == 0:
            return
        if status < 0 and -status in self.allowed_signals(name, process):
            return
        if self.sweeping and status in self.sweep.get("exit", [0, 1]):
            return
        raise Failed("program \"%s\" ended with %s, which nothing here expects%s"
                     % (name, describe_exit(status), process.last_words()))


class Unreachable(Exception):
    """No machine can be started here, or it does not answer: no case can be played."""


def start(case: Case, options: Options, trace: Optional[str]) -> Machine:
    try:
        known = case.scenario.data.get("check", {}).get("suppress")
        words = checked(case, options)
        return Machine(profile=case.profile, xen=case.scenario.head.get("xen"), seed=case.seed,
                       clock=case.scenario.head.get("clock", "auto"), way=options.way, trace=trace,
                       check=words, check_suppress=case.scenario.path.parent / known
                       if known and words else None)
    except Error as error:
        raise Unreachable(str(error)) from None


def play(case: Case, options: Options, *, whole_trace: bool = False, for_sweep: bool = False,
         started: Callable[[Machine], None] = lambda machine: None) -> Result:
    """Plays a case and says how it went."""
    head = case.scenario.head
    if "ways" in head and options.real_way not in head["ways"]:
        return Result(case, ok=True, skipped="not meant for --way %s" % options.real_way)
    begin = time.monotonic()
    trace = None
    if options.traces:
        trace = os.path.join(options.traces, "".join(c if c.isalnum() or c in "._-=" else "_"
                                                     for c in case.name) + ".jsonl")
    with temporary_directory("gntsim-scenario") as directory:
        try:
            with start(case, options, trace) as machine:
                started(machine)
                state = Play(case, options, directory, machine, for_sweep)
                result = state.play()
                if not state.crashed:
                    _look_back(state, result, whole_trace)
        except Error as error:
            result = Result(case, message="%s: %s" % (case.scenario.path, error))
    result.seconds = time.monotonic() - begin
    result.trace_file = os.path.basename(trace or "")
    if case.fails is not None and not case.point:
        _judge_failure(case, result)
    return result


def _look_back(state: Play, result: Result, whole_trace: bool) -> None:
    """What the report wants of the machine before it ends."""
    try:
        if whole_trace or not result.ok:
            events = state.events()
            result.trace = events if whole_trace else None
            result.events = [] if result.ok else events[-LAST_EVENTS:]
        if checked(state.case, state.options):
            result.findings = state.machine.found()
        if not result.ok:
            result.rules = tally(state.machine.tally())
            result.cause = state.machine.cause()
    except Error as error:
        if result.ok:
            result.ok = False
            result.message = str(error)


def _judge_failure(case: Case, result: Result) -> None:
    """For a case that shows that the scenario finds the bug."""
    assert case.fails is not None
    if result.ok:
        result.ok = False
        result.message = "%s: was expected to fail with a message that matches %r, and passed" \
            % (case.scenario.path, case.fails)
    elif re.search(case.fails, result.message, re.M):
        result.ok = True
        result.said.append("fails as it should: " + result.message)
        result.events = []
    else:
        result.message = "was expected to fail with a message that matches %r, and failed " \
            "otherwise:\n%s" % (case.fails, result.message)
