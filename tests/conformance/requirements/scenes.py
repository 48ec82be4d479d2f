# SPDX-License-Identifier: MIT
"""The beginnings and checks that the tests of the requirements share."""
import signal
import struct

import pytest

import harness

PAGE = 4096
requirement = pytest.mark.requirement
GRANTER_ENDS = ["unshare", "exit", "kill", "exec"]
MAPPER_ENDS = ["unmap", "exit", "kill", "exec"]
CLEAR_BYTE, SEND_EVENT = 1, 2


def command(nr, size):
    return size << 16 | ord("G") << 8 | nr


MAP, UNMAP, NOTIFY = command(0, 24), command(1, 16), command(7, 16)
ALLOC, DEALLOC = command(5, 24), command(6, 16)


def packed(layout, *values):
    return struct.pack("<" + layout, *values).hex()


def end(agent, how, verb, region):
    """Ends the use of a region by the library's call, or by the end of the process in one of three
    ways."""
    if how in ("unshare", "unmap"):
        agent(verb, region)
    elif how == "exit":
        agent.end()
    elif how == "kill":
        assert agent.kill() == -signal.SIGKILL
    else:
        agent.send("exec", "cat")


class Pair:
    """A granter and a mapper with a channel; notified() and mapped_notified() are their pages."""

    def __init__(self, world, granter_profile=None, mapper_profile=None):
        self.world = world
        self.granter, self.mapper = world.new(1, granter_profile), world.new(2, mapper_profile)
        self.port = self.granter.unbound(2)
        self.local = self.mapper.bind(1, self.port)

    def notified(self, offset=5, event=True, live=1):
        """A page with the granter's notification -> shared, mapped"""
        shared, ref = self.granter.share_notify(2, offset, self.port if event else -1)
        if offset >= 0:
            self.granter.poke(shared, offset, live)
        return shared, self.mapper.map("rw", 1, ref)

    def mapped_notified(self, offset=9, event=True, live=1):
        """A page with the mapper's notification -> shared, mapped"""
        shared, refs = self.granter.share(1, 2)
        mapped = self.mapper.map_notify("rw", 1, refs[0], offset, self.local if event else -1)
        if offset >= 0:
            self.mapper.poke(mapped, offset, live)
        return shared, mapped

    def pins(self):
        """How often the granter's pages are mapped, by reference, as the hypervisor has it."""
        return {row["ref"]: row["host_write"] + row["host_read"]
                for row in self.world.json("dump", "entries", 1)["entries"]}

    def another_channel(self):
        """-> the granter's port, the mapper's"""
        port = self.granter.unbound(2)
        return port, self.mapper.bind(1, port)


@pytest.fixture
def pair(world):
    return Pair(world)


def no_event(agent):
    """Whatever ended has ended before this: no event is there, and none is under way."""
    assert agent.wait(0) is None


def becomes(agent, region, offset, value):
    harness.eventually(lambda: agent.peek(region, offset) == value, "the byte becomes %d" % value)
