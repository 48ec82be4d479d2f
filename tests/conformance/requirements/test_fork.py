# SPDX-License-Identifier: MIT
"""Tests the requirements on fork and exec: F of requirements.txt."""
import os
import signal

import pytest

import harness
from scenes import Pair, pair, requirement


@requirement("F-1", "F-5", "F-6")
@pytest.mark.parametrize("handle", ["gnttab", "gntshr", "evtchn"])
def test_a_child_that_closes_its_copy_harms_nobody(pair, handle):
    shared, refs = pair.granter.share(1, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    for agent in (pair.granter, pair.mapper):
        agent("handle", handle)
        child, _ = agent.fork()
        assert agent("child", child, "close", handle) == "0"
        assert agent("child", child, "exit") == "exit 0"
    pair.mapper.poke(mapped, 0, 6)
    assert pair.granter.peek(shared, 0) == 6
    pair.granter("evtchn-notify", pair.port)
    assert pair.mapper.wait() == pair.local
    pair.mapper("unmap", mapped)
    pair.granter("unshare", shared)
    _, refs = pair.granter.share(1, 2)
    pair.mapper("unmap", pair.mapper.map("rw", 1, *refs))
    pair.world.audit()


@requirement("F-2")
@pytest.mark.parametrize("profile", ["pv", "pvh"])
def test_a_childs_touch_of_an_inherited_mapping(world, profile):
    pair = Pair(world, mapper_profile=profile)
    shared, refs = pair.granter.share(1, 2)
    pair.granter.poke(shared, 0, 3)
    mapped = pair.mapper.map("rw", 1, *refs)
    child, _ = pair.mapper.fork()
    if profile == "pv":
        assert pair.mapper.error("child", child, "peek", mapped, 0) == "SIGSEGV"
    else:
        assert pair.mapper("child", child, "peek", mapped, 0) == "3"
    pair.mapper.poke(mapped, 0, 4)
    assert pair.granter.peek(shared, 0) == 4
    pair.mapper("child", child, "exit")


@requirement("F-3")
def test_a_child_with_handles_of_its_own(world):
    parent, peer = world.new(1), world.new(2)
    child, _ = parent.fork()
    region, ref = parent("child", child, "share", 1, 2, "rw").split()
    mapped = peer.map("rw", 1, int(ref))
    parent("child", child, "poke", region, 0, 9)
    assert peer.peek(mapped, 0) == 9
    port = int(parent("child", child, "evtchn-unbound", 2))
    local = peer.bind(1, port)
    peer("evtchn-notify", local)
    assert int(parent("child", child, "wait", 10000)) == port
    assert parent("child", child, "exit") == "exit 0"
    peer("unmap", mapped)
    world.audit()


@requirement("F-4")
@pytest.mark.parametrize("profile", ["pv", "pvh"])
def test_exec_in_the_child_gives_back_what_it_held(world, profile):
    pair = Pair(world, mapper_profile=profile)
    shared, refs = pair.granter.share(2, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    shared_by_child, _ = pair.granter.fork()
    mapped_by_child, _ = pair.mapper.fork()
    pair.mapper.send("child", mapped_by_child, "exec", "sleep", "1000")
    pair.granter.send("child", shared_by_child, "exec", "sleep", "1000")

    def slept():
        return sorted(line.split()[0] for line in harness.children().values()).count("sleep") or [
            pid for pid in os.listdir("/proc") if pid.isdigit() and name(pid) == "sleep"]

    def name(pid):
        try:
            with open("/proc/%s/comm" % pid, encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            return None

    harness.eventually(slept, "the children run another program")
    # They hold nothing now: what the parents give up is gone.
    sleepers = []
    for agent in (pair.granter, pair.mapper):
        def of_agent(agent=agent):
            with open("/proc/%d/task/%d/children" % (agent.pid, agent.pid),
                      encoding="utf-8") as file:
                return [int(pid) for pid in file.read().split() if name(pid) == "sleep"]
        sleepers += harness.eventually(of_agent, "its child runs another program")
    for agent, region in ((pair.mapper, mapped), (pair.granter, shared)):
        os.kill(agent.pid, signal.SIGKILL)
        agent.process.wait()
        assert region == 0
    harness.eventually(lambda: pair.world.stats()["mappings"] == 0, "nothing is mapped")
    pair.world.audit()
    for pid in sleepers:
        os.kill(pid, signal.SIGKILL)


@requirement("F-8")
def test_giving_everything_back_before_close_leaves_nothing(pair):
    shared, mapped = pair.notified()
    pair.mapper("unmap", mapped)
    pair.granter("unshare", shared)
    for agent in (pair.granter, pair.mapper):
        for handle in ("gnttab", "gntshr", "evtchn"):
            agent("handle", handle)
            assert agent("close", handle) == "0"
    pair.world.quiet()
    assert not pair.world.own_ports()
    harness.eventually(lambda: not pair.world.own_grants(), "no grant is left")
