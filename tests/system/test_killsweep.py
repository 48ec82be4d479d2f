# SPDX-License-Identifier: MIT
"""A client killed at any system call of its life leaves nothing mapped, stopped or counted. sweep.c
says how it is killed."""
import os
import random
import re
import subprocess

import pytest

from harness import eventually

# Microseconds after the beginning of the call; -1: just before it. A call on a device takes about
# 30 to 300 of them.
DELAYS = [-1, 0, 30, 80, 150, 300]


def requests(machine):
    """Of either way."""
    stats = machine.stats()
    return stats["fuse_requests"] + stats["socket_requests"]


def calls_of(machine, *command):
    done = machine.exec(1, command[0], "0", "-1", *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.fullmatch(r"calls (\d+)\n", done.stdout).group(1))


def free_at_once(machine):
    """Pages that were granted and still mapped when their owner ended are freed from a timer, ten a
    second by default: for a sweep that is slow. Without device files nobody sees the parameter, and
    the test takes its time."""
    if os.environ.get("GNTSIM_WAY") == "socket":
        return
    done = machine.exec(1, "sh", "-c", "echo 100000 > "
                        "/sys/module/grant_table/parameters/free_per_iteration")
    assert done.returncode == 0, done.stderr


def points(calls, delay):
    """Every call with GNTSIM_TEST_ALL, else a third of them: others each day, by the seed that
    ./test prints."""
    every = range(1, calls + 1)
    if os.environ.get("GNTSIM_TEST_ALL"):
        return every
    lot = random.Random("%s %s" % (os.environ.get("GNTSIM_TEST_SEED"), delay))
    return sorted(lot.sample(every, (calls + 2) // 3))


def kill_everywhere(machine, delay, calls, *command):
    for call in points(calls, delay):
        done = machine.exec(1, command[0], call, delay, *command[1:])
        assert done.returncode == -9, \
            "call %d of %d: %s %s" % (call, calls, done.returncode, done.stderr)
        machine.quiet()
        yield call


@pytest.mark.parametrize("profile,delay", [*(("pv", delay) for delay in DELAYS),
                                           *((p, d) for p in ("pvh", "legacy") for d in (-1, 80))])
def test_a_client_killed_at_any_system_call_leaves_nothing(machine, compiled, profile, delay):
    machine.must("domain", "create", 1, "--profile", profile)
    free_at_once(machine)
    command = (compiled("sweep"), "churn", 1)
    calls = calls_of(machine, *command)
    assert calls > 35, "the sweep does not see the calls"
    machine.quiet()
    free = machine.free_frames()
    for _ in kill_everywhere(machine, delay, calls, *command):
        pass
    # A grant that an auto-translated domain maps itself takes the page out of its place for good:
    # so does Xen.
    if profile != "pvh":
        machine.frames_are_back(free)
        assert calls_of(machine, *command) == calls, "the domain is as good as new"


@pytest.mark.parametrize("delay", DELAYS)
def test_a_mapper_killed_at_any_system_call_always_clears_its_byte(machine, compiled, delay):
    granter = machine.new(2)
    shared, refs = granter.share(1, 1)
    command = (compiled("sweep"), "map", 1, 2, refs[0])
    calls = calls_of(machine, *command)
    granter.poke(shared, 1, 99)
    for call in points(calls, delay):
        done = machine.exec(1, command[0], call, delay, *command[1:])
        assert done.returncode == -9, \
            "call %d of %d: %s %s" % (call, calls, done.returncode, done.stderr)
        eventually(lambda: machine.stats()["mappings"] == 1 and machine.stats()["open_files"] == 1,
                   "only the granter is left after call %d" % call)
        assert granter.peek(shared, 0) == 0, "call %d" % call
        machine.audit()
    assert granter.peek(shared, 1) == 99


def test_the_sweep_really_kills_inside_calls(machine, compiled):
    """The oracle of the sweep itself: a client killed before call N has made N - 1 calls, and they
    are the devices' too."""
    done = machine.exec(1, compiled("sweep"), "0", "-1", "churn", "1")
    assert done.returncode == 0
    before = requests(machine)
    machine.exec(1, compiled("sweep"), "1", "-1", "churn", "1")
    assert requests(machine) == before, "killed before its first call it touched no device"
    with pytest.raises(subprocess.CalledProcessError):
        machine.exec(1, compiled("sweep"), "20", "-1", "churn", "1").check_returncode()
    assert requests(machine) > before
