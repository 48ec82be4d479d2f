# SPDX-License-Identifier: MIT
"""Runs each requirement's test over every way to the devices. A test that carries
@requirement("N-30") gets a `world`: a machine whose processes use the way at hand."""
import importlib.util
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SYSTEM = HERE.parents[1] / "system"
sys.path[:0] = [str(HERE), str(SYSTEM)]

import harness  # noqa: E402
import ways  # noqa: E402

# The fixtures of the tests of whole processes are ours, too.
_spec = importlib.util.spec_from_file_location("system_conftest", SYSTEM / "conftest.py")
system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(system)
place, leaves_nothing, compiled, serve = system.place, system.leaves_nothing, system.compiled, system.serve
system.KINDS.setdefault("tsan", ["-fsanitize=thread"])

OUTCOMES = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--write-page", action="store_true", help="write docs/device-conformance.md from this run")


def pytest_configure(config):
    system.pytest_configure(config)
    config.addinivalue_line("markers", "requirement(ids...): the requirements that the test holds the devices to")
    config.stash[OUTCOMES] = {}


def ids_and_way(item):
    marker = item.get_closest_marker("requirement")
    return (marker.args, item.callspec.params["way"]) if marker else ((), None)


def pytest_collection_modifyitems(config, items):
    system.pytest_collection_modifyitems(items)
    out = ways.left_out()
    config.hook.pytest_deselected(items=[item for item in items if ids_and_way(item)[1] in out])
    items[:] = [item for item in items if ids_and_way(item)[1] not in out]
    missing = {way: ways.unavailable(way) for way in ways.WAYS} if not system.host_refuses() else {}
    differences = ways.differences()
    for item in items:
        ids, way = ids_and_way(item)
        if missing.get(way):
            item.add_marker(pytest.mark.skip(reason=missing[way]))
        reasons = [differences[id, way] for id in ids if (id, way) in differences]
        if reasons:
            item.add_marker(pytest.mark.xfail(strict=True, reason=reasons[0]))
    # The page is compared with what the run has shown, so it comes last.
    items.sort(key=lambda item: "test_page" in item.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    ids, way = ids_and_way(item)
    if report.when == "call" or not report.passed:
        outcome = "differs" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        for id in ids:
            item.config.stash[OUTCOMES].setdefault((id, way), []).append(outcome)


@pytest.fixture(params=list(ways.WAYS))
def way(request):
    return request.param


class World:
    """A machine; new(DOMAIN) is an agent that goes the way at hand."""

    def __init__(self, machine, way, program, env):
        self.machine, self.way, self.program, self.env = machine, way, program, env

    def new(self, domain, profile=None):
        # The program is told where the library is, not gntsim.
        prefix = ["env", *("%s=%s" % pair for pair in self.env.items())] if self.env else []
        more = ["--way", "socket" if self.way == "socket" else "device"]
        return self.machine.agent(domain, self.program, profile, prefix=prefix, options=more)

    def __getattr__(self, name):
        return getattr(self.machine, name)


@pytest.fixture
def world(way, serve, compiled):
    """Domain 1 grants and domain 2 maps, by habit."""
    machine = serve()
    env = {}
    kind = "dynamic"
    if way != "debian":
        env = {"LD_LIBRARY_PATH": str(ways.BUILD / "libgnttab")}
        kind = harness.library_kind()
    return World(machine, way, compiled("agent", kind), env)
