# SPDX-License-Identifier: MIT
"""The pytest plugin: a machine for each test. `pytest_plugins = ["gntsim.pytest_plugin"]` in
conftest.py loads it, or `-p gntsim.pytest_plugin`."""
from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import Any, Callable, Generator, Iterator, Optional, TypeVar

import pytest

from .errors import Error
from .faults import tally
from .machine import Machine


class NeverFired(Error):
    """A fault was asked for, and nothing met it."""


class Reported(Error):
    """A program of the test did what a right program does not do."""


DEFAULTS: dict[str, Any] = {"profile": None, "xen": None, "seed": 1, "clock": "auto",
                            "way": None, "audit": True, "check": "leaks"}
LAST_EVENTS = 20
MACHINE = pytest.StashKey[Machine]()
JUDGED = pytest.StashKey[bool]()        # what failed is no line of the test
Hook = TypeVar("Hook", bound=Callable[..., Any])


def around(function: Hook) -> Hook:
    """pytest.hookimpl with a type: not every version of pluggy has one."""
    marked: Hook = pytest.hookimpl(hookwrapper=True)(function)
    return marked


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gntsim", "simulated Xen machines")
    group.addoption("--gntsim-trace", metavar="DIR",
                    help="keep the trace of each test's machine in DIR")
    group.addoption("--gntsim-seed", metavar="N", type=int,
                    help="the machines' seed, instead of what the tests' markers say")
    group.addoption("--gntsim-check", action="store_true", default=None,
                    help="a test fails if one of its programs leaks, which is so anyway, or does "
                         "what else `gntsim explain` lists")
    group.addoption("--gntsim-no-check", action="store_false", dest="gntsim_check",
                    default=None,
                    help="nothing is checked, whatever the markers say")
    group.addoption("--gntsim-way", choices=("device", "socket", "auto"),
                    help="how programs reach their devices")


def hide_frames() -> None:
    """A failure's traceback ends in the test, not in this package: pytest looks for this word in
    the globals of each frame. --full-trace shows them all the same."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == __package__:
            vars(module)["__tracebackhide__"] = True


def pytest_configure(config: pytest.Config) -> None:
    hide_frames()
    config.addinivalue_line("markers", "gntsim(profile='pv', xen='xen-4.17', seed=1, clock='auto', "
                            "way=None, audit=True, check='leaks'): what the machine of the gntsim "
                            "fixture is like; audit=False: it need not be clean at the end; "
                            "check: what fails a test if one of its programs does it, True for all "
                            "kinds, False for none, or words of gntsim run --check=WORDS")


def settings(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test and the command line say of its machine."""
    chosen = dict(DEFAULTS)
    for marker in reversed(list(item.iter_markers("gntsim"))):
        unknown = set(marker.kwargs) - set(DEFAULTS)
        if marker.args or unknown:
            raise pytest.UsageError("%s: the marker gntsim takes %s, not %s" % (
                item.nodeid, ", ".join(key + "=" for key in DEFAULTS),
                ", ".join([*map(repr, marker.args), *sorted(unknown)])))
        chosen.update(marker.kwargs)
    for key in ("seed", "way", "check"):
        given = item.config.getoption("gntsim_" + key)
        if given is not None:
            chosen[key] = given
    return chosen


def trace_file(item: pytest.Item) -> Optional[str]:
    directory = item.config.getoption("gntsim_trace")
    if not directory:
        return None
    os.makedirs(directory, exist_ok=True)
    return os.path.join(os.path.abspath(directory),
                        re.sub(r"[^\w.=-]+", "_", item.nodeid) + ".jsonl")


@pytest.fixture
def gntsim(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A simulated machine of the test's own. At the end of the test its audit must be clean; then
    it is gone, whatever happened."""
    chosen = settings(request.node)
    trace = trace_file(request.node)
    with Machine(profile=chosen["profile"], xen=chosen["xen"], seed=chosen["seed"],
                 clock=chosen["clock"], way=chosen["way"], check=chosen["check"],
                 trace=trace) as machine:
        request.node.stash[MACHINE] = machine
        try:
            yield machine
        finally:
            del request.node.stash[MACHINE]
            if trace and chosen["check"]:
                keep_findings(machine, trace)


def keep_findings(machine: Machine, trace: str) -> None:
    """Beside the trace, where `gntsim report` finds them."""
    try:
        found = [] if machine.crashed else machine.found()
    except Error:
        return
    if found:
        with open(os.path.splitext(trace)[0] + ".findings.json", "w", encoding="utf-8") as file:
            json.dump(found, file)


def judge_findings(machine: Machine) -> None:
    """Errors that were found of the test's programs fail it."""
    __tracebackhide__ = True
    texts = [one["text"] for one in machine.found() if one["level"] == "error"]
    if texts:
        raise Reported("\n" + "".join(texts))


@around
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, None]:
    """What must hold at the end belongs to the test: it is a failure, not an error of the
    fixture."""
    __tracebackhide__ = True
    outcome = yield
    machine = pyfuncitem.stash.get(MACHINE, None)
    if machine and outcome.excinfo is None and not machine.crashed:
        try:
            for rule in machine.rules:
                if not rule.optional and rule.fired == 0:
                    raise NeverFired("the fault rule %s never fired, %d passed it: nothing was "
                                     "tested. If that is all right, say "
                                     "optional=True" % (rule.name or "no. %d" % rule.id,
                                                        rule.passed))
            if settings(pyfuncitem)["audit"]:
                machine.audit()
            if settings(pyfuncitem)["check"]:
                judge_findings(machine)
        except Error as error:
            pyfuncitem.stash[JUDGED] = True
            if not hasattr(outcome, "force_exception"):     # pluggy before 1.1
                raise
            outcome.force_exception(error)


@around
def pytest_runtest_makereport(item: pytest.Item,
                              call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    outcome = yield
    report = outcome.get_result()
    machine = item.stash.get(MACHINE, None)
    if machine and report.failed and call.when == "call":
        judged: bool = item.stash.get(JUDGED, False)
        if judged and call.excinfo:
            report.longrepr = call.excinfo.getrepr(style="value", tbfilter=False)
        report.sections.append(("gntsim", story(item, machine)))


def story(item: pytest.Item, machine: Machine) -> str:
    """What somebody needs to know of a failed test's machine."""
    seed = settings(item)["seed"]
    lines = ["seed: %s%s" % (seed, ", way: " + machine.way if machine.way else "")]
    try:
        events = machine.trace()[-LAST_EVENTS:]
        lines += ["last events:", *("  " + str(event)
                                    for event in events)] if events else ["no events"]
        cause = machine.cause()
        lines += ["the latest refusal: " + cause] if cause else []
        lines += tally(machine.tally())
    except Error as error:
        lines.append("no trace: %s" % error)
    for process in machine.processes:
        lines.append("program %s (pid %d): %s%s"
                     % (process.name, process.pid, "running" if process.running else "ended",
                        process.last_words()))
    said = machine.log().strip()
    if said:
        lines += ["the machine said:", *("  " + line for line in said.splitlines()[-LAST_EVENTS:])]
    loaded = "gntsim.pytest_plugin" in item.config.invocation_params.args
    plugin = ["-p", "gntsim.pytest_plugin"] if loaded else []
    return "\n".join([*lines, "replay: " + shlex.join(["python3", "-m", "pytest", *plugin,
                                                       item.nodeid, "--gntsim-seed", str(seed)])])
