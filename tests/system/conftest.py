# SPDX-License-Identifier: MIT
"""Fixtures for the tests of whole processes; harness.py explains them."""
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import harness
import gntsim  # harness.py knows where it is

COMPILER = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-O1", "-g"]
LIBRARIES = ["-lxengnttab", "-lxenevtchn", "-lxentoollog", "-lxentoolcore"]
# vchan brings its own xenstore: its functions must be seen by libxenvchan.
MORE_LIBRARIES = {"foreign": ["-lxenforeignmemory", "-lxendevicemodel", "-lxencall"],
                  "libxc_memory": ["-lxenctrl", "-lxenforeignmemory"],
                  "toolstack": ["-lxenctrl", "-lxenforeignmemory"],
                  "vchan": ["-rdynamic", "-lxenvchan"]}
KINDS = {"dynamic": [], "static": ["-static"],
         "asan": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
         "tsan": ["-fsanitize=thread"]}


def host_refuses():
    """Why no machine can be served here, or None."""
    if os.environ.get("GNTSIM_WAY") == "socket":
        return None
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not open to this user (as root: chmod 0666 /dev/fuse)"
    return None


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_no_machine: runs where no machine can be served, too")
    harness.begin()


def pytest_collection_modifyitems(items):
    reason = host_refuses()
    for item in items:
        if reason and "needs_no_machine" not in item.keywords:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def place():
    """A directory with a short name: the path of a socket may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="t.") as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def leaves_nothing(place, monkeypatch):
    """Every test leaves no process, no mount and no file behind, and no sanitizer has anything to
    say."""
    temporary, reports = place / "tmp", place / "reports"
    temporary.mkdir()
    reports.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    for name in harness.SANITIZERS:
        old = os.environ.get(name + "_OPTIONS")
        monkeypatch.setenv(name + "_OPTIONS",
                           (old + ":" if old else "") + "log_path=%s/%s" % (reports, name.lower()))
    # Machines without a mount of their own have memory here; other tests run at the same time.
    shared = tempfile.mkdtemp(prefix="t.", dir="/dev/shm")
    monkeypatch.setenv("GNTSIM_TMPDIR", shared)
    with harness.nothing_stays():
        yield
    assert not os.listdir(temporary), "files are left in TMPDIR"
    left = os.listdir(shared)
    shutil.rmtree(shared)
    assert not left, "files are left in GNTSIM_TMPDIR"
    said = harness.sanitizers_said()
    assert not said, said


@pytest.fixture(scope="session")
def compiled():
    """compiled(NAME, KIND) is the path of NAME.c (and NAME_*.c) from this directory, built as an
    ordinary guest program of the kind dynamic, static or asan."""
    with tempfile.TemporaryDirectory(prefix="programs.") as directory:
        @functools.cache
        def build(name, kind="dynamic"):
            # A program must have the sanitizer of the libraries that it gets.
            if kind == "dynamic" and os.environ.get("GNTSIM_WAY") == "socket":
                kind = harness.library_kind()
            target = Path(directory) / ("%s-%s" % (name, kind))
            sources = [harness.SYSTEM / (name + ".c"), *sorted(harness.SYSTEM.glob(name + "_*.c"))]
            subprocess.run([COMPILER, *FLAGS, *KINDS[kind], "-o", target, *sources,
                            *MORE_LIBRARIES.get(name, []), *LIBRARIES], check=True)
            return str(target)

        os.chmod(directory, 0o755)
        yield build


@pytest.fixture
def serve(place):
    """serve(ARGS...) starts a machine; all are stopped, and must stop well, at the end of the
    test."""
    machines = []

    def start(*args):
        work = place / ("m%d" % len(machines))
        work.mkdir()
        machines.append(harness.Machine(work, *args))
        return machines[-1]

    yield start
    for machine in machines:
        machine.stop()


@pytest.fixture
def trace(place):
    """Where `traced` writes."""
    return place / "trace.jsonl"


@pytest.fixture
def traced(serve, trace):
    """A machine with a trace of all that happens."""
    return serve("--trace", trace)


@pytest.fixture
def attached(traced):
    """The same machine, as the Python package drives it."""
    with gntsim.Machine.attach(traced.dir) as machine:
        yield machine


@pytest.fixture
def machine(serve, compiled):
    """A machine of the default profile, with .new(DOMAIN) for agents."""
    machine = serve()
    machine.new = lambda domain, profile=None, kind="dynamic", **more: machine.agent(domain, compiled("agent", kind), profile, **more)
    return machine
