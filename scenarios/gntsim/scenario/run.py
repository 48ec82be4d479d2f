# SPDX-License-Identifier: MIT
"""Plays many cases, some at a time, and reports them in order."""
from __future__ import annotations

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, Optional

from ..machine import Machine
from ..trace import Event
from . import sweep
from .cases import Case, Options
from .play import Result, play
from .report import Progress, Tap


@dataclass
class Plan:
    """What to do with the cases."""
    jobs: int = 1
    repeat: int = 1
    sweep: Optional[str] = None
    check_determinism: bool = False
    shard: tuple[int, int] = (1, 1)     # of a sweep: these points of all cases


@dataclass
class Runner:
    options: Options
    plan: Plan
    tap: Tap
    progress: Progress
    results: list[Result] = field(default_factory=list)
    stopped: bool = False
    _machines: set[Machine] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, cases: list[Case]) -> bool:
        """Plays them all. True if all passed."""
        if self.plan.sweep:
            self._sweep(cases)
        else:
            every = [case.repetition(i + 1) if self.plan.repeat > 1 else case for case in cases
                     for i in range(self.plan.repeat)]
            self.tap.plan(len(every))
            list(self._play_all(every, self._twice) if self.plan.check_determinism
                 else self._play_all(every, self._once))
        self.tap.end()
        return all(result.ok for result in self.results)

    # ---- Playing

    def _play_all(self, cases: Iterable[Case], one: Callable[[Case], Result]) -> Iterator[Result]:
        cases = list(cases)
        self.progress.total += len(cases)
        with ThreadPoolExecutor(self.plan.jobs) as pool:
            futures: list[Future[Result]] = [pool.submit(one, case) for case in cases]
            try:
                for case, future in zip(cases, futures):
                    self.progress.show(case.name)
                    result = future.result()
                    self.results.append(result)
                    self.progress.result(result)
                    self.tap.result(result)
                    yield result
            except BaseException:
                self._stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _stop(self) -> None:
        """Ends the machines that are in use, so that whoever waits for them gives up."""
        with self._lock:
            self.stopped = True
            for machine in self._machines:
                machine.abort()

    def _once(self, case: Case, *, whole_trace: bool = False, for_sweep: bool = False) -> Result:
        mine: list[Machine] = []

        def started(machine: Machine) -> None:
            with self._lock:
                self._machines.add(machine)
                mine.append(machine)
                if self.stopped:
                    machine.abort()
        try:
            if self.stopped:
                return Result(case, message="interrupted")
            return play(case, self.options, started=started, whole_trace=whole_trace,
                        for_sweep=for_sweep)
        finally:
            with self._lock:
                self._machines.difference_update(mine)

    # ---- Twice the same

    def _twice(self, case: Case) -> Result:
        first = self._once(case, whole_trace=True)
        if not first.ok or first.skipped:
            return first
        second = self._once(case, whole_trace=True)
        if second.ok:
            second.message = difference(first.trace or [], second.trace or [])
            second.ok = not second.message
        second.seconds += first.seconds
        return second

    # ---- Sweeps

    def _sweep(self, cases: list[Case]) -> None:
        assert self.plan.sweep
        wanted = [case for case in cases if case.fails is None]
        passed = 0                      # points of the cases before
        for base in list(self._play_all(wanted, lambda case: self._once(case, for_sweep=True))):
            if not base.ok or base.skipped:
                continue
            every = sweep.points(self.plan.sweep, base.case, base)
            part, parts = self.plan.shard
            points = every[(part - 1 - passed) % parts::parts]
            passed += len(every)
            if not every:
                self.tap.say("%s passes no point for --sweep %s"
                             % (base.case.name, self.plan.sweep))
            results = list(self._play_all((base.case.at(point, sweep.label(point))
                                           for point in points), self._once))
            failed = sum(not result.ok for result in results)
            self.tap.say("%s: %d points, %d failed" % (base.case.name, len(results), failed))
            if self.plan.sweep == "limit":
                self.tap.say("%s: %s" % (base.case.name, sweep.smallest(results)))


ADDRESSES = ("arg", "address", "addr", "host_addr", "va", "start")


def canonical(event: Event) -> str:
    """An event as it must be in every run. Where a program's memory is does not matter: that is the
    host kernel's choice."""
    if event.get("pid") is None:
        return json.dumps(event, sort_keys=True)
    return json.dumps({**event, "args": {key: value
                                         for key, value in event["args"].items()
                                         if key not in ADDRESSES}}, sort_keys=True)


def difference(first: list[Event], second: list[Event]) -> str:
    """Where two traces differ; nothing if they do not."""
    for one, other in zip(first, second):
        if canonical(one) != canonical(other):
            return "the second run differs at event %s:\n  first:  %s\n  second: %s" \
                % (one.get("seq"), one, other)
    if len(first) != len(second):
        return "the second run has %d events, the first %d" % (len(second), len(first))
    return ""
