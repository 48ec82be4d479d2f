# SPDX-License-Identifier: MIT
"""Domains end, or are suspended, and servers are killed, while programs are at work."""
import os
import random
import re
import signal
import subprocess

import pytest

import harness
from control import Control


@pytest.fixture
def control(machine):
    connection = Control(machine)
    yield connection
    connection.close()


def end_domain(control, how, domain):
    """-> the number under which its programs go on."""
    return control.domain_suspend(domain=domain)["domain"] if how == "suspend" else control.domain_destroy(domain=domain) or domain


@pytest.mark.parametrize("how", ["destroy", "suspend"])
@pytest.mark.parametrize("at", ["mmap", "map_grant_ref"])
def test_a_mapping_that_is_answered_after_its_domain_has_ended_holds_no_frame_of_it(machine, control, how, at):
    """Held before the driver is asked, and after it has mapped. A suspended domain's kernel goes
    on: it answers when it is resumed."""
    mapper = machine.new(1)
    _, refs = mapper.share(3, 1)
    control.fault(at, {"pause": True}, domain=1)
    mapper.send("map", "rw", *("1:%d" % ref for ref in refs))
    harness.eventually(control.paused, "the call is held")
    end_domain(control, how, 1)
    if how == "suspend":
        control.resume(id=control.paused()[0]["id"])
        answer = mapper.answer().split()
        assert answer[0] == "ok" if at == "map_grant_ref" else answer == ["err", "EINVAL"], answer
        if answer[0] == "ok":
            mapper("unmap", answer[1])
        machine.audit()
        mapper.end()
    else:
        assert mapper.process.wait(harness.PATIENCE) == -signal.SIGKILL
    machine.quiet()


def mappers(machine, compiled, domain):
    """Three programs that map without end, each of which has begun."""
    programs = [machine.popen(domain, compiled("mapper"), domain, stdout=subprocess.PIPE, text=True,
                              stderr=machine.errors) for _ in range(3)]
    for program in programs:
        assert program.stdout.readline() == "mapped\n", machine.stderr()
    return programs


@pytest.mark.parametrize("how", ["destroy", "suspend"])
def test_domains_end_while_their_programs_map(machine, control, compiled, how):
    """At moments drawn by lot, after so many mappings. The server's books are right in the end."""
    lot, number, programs = random.Random(20261130), 1, []
    for _ in range(25):
        programs = programs or mappers(machine, compiled, number)
        goal = control.stats()["mappings_made"] + lot.randrange(12)
        harness.eventually(lambda: control.stats()["mappings_made"] >= goal
                           or any(p.poll() is not None for p in programs), "they map")
        assert [p.poll() for p in programs] == [None] * 3, machine.stderr()
        number = end_domain(control, how, number)
        if how == "destroy":
            assert [p.wait(harness.PATIENCE) for p in programs] == [-signal.SIGKILL] * 3
            programs = []
    for program in programs:
        program.kill()
        program.wait()
    machine.quiet()


def test_a_program_that_comes_to_its_domain_after_the_domains_end_is_not_supervised(control):
    """exec says in which namespace it is then. Nobody would kill such a program."""
    assert "ended while its program was being started" in control.refused("supervise", ns=1)


# ---- Servers that are killed


@pytest.mark.skipif(os.environ.get("GNTSIM_WAY") == "socket", reason="there is no file system")
@pytest.mark.skipif(harness.library_kind() != "dynamic", reason="strace makes a sanitizer too slow")
def test_the_server_makes_no_request_to_its_own_file_system(place, compiled):
    """SIGKILL would find it waiting for itself. Its attendant, which has not /dev/fuse, makes those
    that are needed."""
    log, work = place / "strace", place / "m"
    work.mkdir()
    machine = harness.Machine(work, "--way", "device",
                              gntsim=("strace", "-f", "-o", str(log), "-e",
                                      "trace=statx,newfstatat,openat,clone,clone3,fork,prctl,mount",
                                            harness.GNTSIM))
    machine.gntsim = [harness.GNTSIM]
    holder, mapper = (machine.agent(domain, compiled("agent"), options=("--way", "device"))
                      for domain in (1, 2))
    _, refs = holder.share(2, 2)
    # What it inherited is closed, and perhaps released: the next mapping waits until that is known.
    assert holder("child", holder.fork()[0], "exit") == "exit 0"
    mapper("unmap", mapper.map("rw", 1, *refs))
    machine.must("shutdown")
    assert machine.server.wait(harness.PATIENCE) == 0
    machine.stopped = True
    machine.stop()
    calls = [line.partition(" ")[::2] for line in log.read_text(errors="replace").splitlines()]
    attendants = {tid for tid, call in calls if "gntsim-attend" in call}
    # A child may be seen before its parent's call returns.
    children = [(tid, made[1]) for tid, call in calls
                if (made := re.search(r"(?:clone3?|fork)\b.*= (\d+)\s*$", call))]
    while more := {child for tid, child in children if tid in attendants} - attendants:
        attendants |= more
    own = [call for tid, call in calls if tid not in attendants]
    theirs = [call for tid, call in calls if tid in attendants]
    assert any("FORCE_SYNC" in call for call in theirs), "its attendant waits for releases"
    mounted = next(i for i, call in enumerate(own) if '"fuse.xen"' in call)
    assert not [call for call in own[mounted + 1:] if "FORCE_SYNC" in call
                or (".gntsim/fs" in call and "DONT_SYNC" not in call)]


def test_signals_to_the_attendant_do_nothing_to_its_machine(machine):
    """Those that a group gets, and the one by which it learns of the server's end, if somebody else
    sends it."""
    attendant, = harness.children_of(machine.server.pid)
    for sig in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(attendant, sig)
    agent = machine.new(1)
    _, refs = agent.share(1, 1)
    agent("unmap", agent.map("rw", 1, *refs))
    assert attendant in harness.children_of(machine.server.pid)


def how_it_ended(program):
    program.wait(harness.PATIENCE)
    program.stdout.close()
    return program.returncode


@pytest.mark.parametrize("round_number", range(4))
def test_programs_of_a_killed_server_get_an_errno_or_end_by_sigkill(machine, control, compiled,
                                                                    round_number):
    """Whatever it was doing for them; and the harness sees that nothing is left of it. The mapper
    ends with 1 after an error."""
    lot = random.Random(round_number)
    programs = [program for domain in (1, 2) for program in mappers(machine, compiled, domain)]
    goal = control.stats()["mappings_made"] + lot.randrange(40)
    harness.eventually(lambda: control.stats()["mappings_made"] >= goal, "they map")
    machine.server.kill()
    machine.server.wait(harness.PATIENCE)
    machine.stopped = True
    assert {how_it_ended(program) for program in programs} <= {1, -signal.SIGKILL}
    (machine.dir / "control").unlink()


ORPHAN = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
file = open(sys.argv[1], "r+b")
print("ready", flush=True)
sys.stdin.readline()
print("going", flush=True)
memory = mmap.mmap(file.fileno(), 4096)
memory[:5] = b"alive"
memory.close()
print("mapped", flush=True)
number = 231 if os.uname().machine == "x86_64" else 94
libc.syscall(number, 3)  # exit_group, behind which the C library ends by SIGSEGV if it comes back
os.write(2, b"exit_group came back: %d" % ctypes.get_errno())
"""


NO_FILTER = pytest.mark.skipif(os.environ.get("GNTSIM_WAY") == "socket",
                               reason="there is no filter")


@pytest.mark.parametrize("stopped", [False, pytest.param(True, marks=NO_FILTER)])
def test_a_program_whose_server_was_killed_maps_files_and_exits_as_ever(machine, place, stopped):
    """Its filter reports such calls. With the server stopped before it is killed, one waits for an
    answer that never comes, mostly."""
    (place / "file").write_bytes(bytes(4096))
    (place / "program.py").write_text(ORPHAN)
    program = machine.popen(1, "/usr/bin/python3", str(place / "program.py"), str(place / "file"),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)
    assert program.stdout.readline() == "ready\n"
    if stopped:
        machine.server.send_signal(signal.SIGSTOP)
        program.stdin.write("go on\n")
        program.stdin.flush()
        assert program.stdout.readline() == "going\n"
    machine.server.kill()
    machine.server.wait(harness.PATIENCE)
    machine.stopped = True
    out, errors = program.communicate("" if stopped else "go on\n", harness.PATIENCE)
    assert (out, program.returncode) == ("mapped\n" if stopped else "going\nmapped\n", 3), errors
    assert (place / "file").read_bytes()[:5] == b"alive"
    (machine.dir / "control").unlink()


@NO_FILTER
def test_a_checked_program_that_has_mapped_outlives_its_server_with_all_its_threads(serve,
                                                                                    compiled):
    """More often than the server keeps account of."""
    machine = serve("--way", "device", "--check")
    program = machine.popen(1, compiled("orphan"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)
    assert program.stdout.readline() == "ready\n"
    machine.server.kill()
    machine.server.wait(harness.PATIENCE)
    machine.stopped = True
    assert program.communicate("\n", harness.PATIENCE)[0] == \
        "file 0\ndevice ENODEV\nprivate ENODEV\n"
    assert program.returncode == 3
    (machine.dir / "control").unlink()
