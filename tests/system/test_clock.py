# SPDX-License-Identifier: MIT
"""The machine's clock: real, moved by hand, or jumping to the next deadline."""
import time

import pytest

import harness
from control import Control

SECOND = 1_000_000_000


@pytest.fixture
def virtual(serve, compiled):
    machine = serve("--clock", "virtual")
    machine.control = Control(machine)
    machine.new = lambda domain, profile=None: machine.agent(domain, compiled("agent"), profile)
    yield machine
    machine.control.close()


def paged_out(machine, profile="pvh"):
    granter, mapper = machine.new(1), machine.new(2, profile)
    _, refs = granter.share(1, 2)
    machine.must("page-out", 1, refs[0])
    return granter, mapper, refs[0]


def test_a_real_clock_goes_by_itself_and_cannot_be_moved(machine):
    control = Control(machine)
    before = control.clock()
    assert before["mode"] == "real" and before["next"] is None
    harness.eventually(lambda: control.clock()["now"] > before["now"], "time goes on")
    assert "--clock virtual" in control.refused("clock-advance", ns=1)
    assert "--clock virtual" in control.refused("clock", auto=True)
    control.close()


def test_a_virtual_clock_stands_still_until_it_is_moved(virtual):
    control = virtual.control
    assert control.clock() == {"mode": "virtual", "auto": False, "now": 0, "next": None}
    assert control.clock_advance(ns=5 * SECOND)["now"] == 5 * SECOND
    assert control.clock()["now"] == 5 * SECOND
    for wrong in ({}, {"ns": -1}, {"ns": "1"}, {"to": "end"}, {"ns": 1, "to": "next"}):
        assert control.refused("clock-advance", **wrong)


def test_the_kernels_retries_of_a_paged_out_page_are_stepped_one_by_one(virtual):
    control = virtual.control
    _, mapper, ref = paged_out(virtual)
    mapper.send("map", "rw", "1:%d" % ref)
    harness.eventually(lambda: control.clock()["next"] is not None,
                       "the kernel waits for its first retry")
    for retry in range(1, 6):
        assert control.clock_advance(to="next")["now"] == sum(range(1, retry + 1)) * 1_000_000
    assert not mapper.answered()
    virtual.must("page-in", 1, ref)
    control.clock_advance(to="next")
    assert int(mapper.result()) >= 0


def test_half_a_minute_of_retries_costs_no_time_when_the_clock_jumps(virtual):
    virtual.control.clock(auto=True)
    _, mapper, ref = paged_out(virtual)
    begin = time.monotonic()
    assert mapper.error("map", "rw", "1:%d" % ref) == "EINVAL"
    assert virtual.control.clock()["now"] == sum(range(1, 256)) * 1_000_000
    assert time.monotonic() - begin < harness.PATIENCE / 2


def test_an_automatic_clock_comes_from_the_command_line_too(serve, compiled):
    machine = serve("--clock", "auto")
    machine.new = lambda domain, profile=None: machine.agent(domain, compiled("agent"), profile)
    _, mapper, ref = paged_out(machine)
    assert mapper.error("map", "rw", "1:%d" % ref) == "EINVAL"


def test_a_delay_is_of_the_machines_clock(virtual):
    control = virtual.control
    agent = virtual.new(1)
    control.fault("ioctl", {"delay": 3600 * SECOND}, ioctl="ALLOC_GREF")
    agent.send("share", 1, 2, "rw")
    harness.eventually(lambda: control.clock()["next"] == 3600 * SECOND, "the call waits")
    assert not agent.answered()
    control.clock_advance(ns=3600 * SECOND)
    agent.result()


def test_an_automatic_clock_brings_a_late_event_to_whoever_waits(virtual):
    control = virtual.control
    one, other = virtual.new(1), virtual.new(2)
    port = one.unbound(2)
    local = other.bind(1, port)
    control.clock(auto=True)
    control.fault("event", {"late": 3600 * SECOND}, domain=1)
    other("evtchn-notify", local)
    assert one.wait() == port
    assert control.clock()["now"] >= 3600 * SECOND


def test_deferred_pages_are_freed_on_the_kernels_tick(virtual):
    control = virtual.control
    granter, mapper = virtual.new(1), virtual.new(2)
    free = virtual.free_frames()
    region, refs = granter.share(30, 2)
    mapped = mapper.map("rw", 1, *refs)
    granter("unshare", region)
    harness.eventually(lambda: control.clock()["next"] is not None, "the kernel waits for its tick")
    mapper("unmap", mapped)
    harness.eventually(lambda: virtual.stats()["mappings"] == 0, "nothing is mapped")
    held = []
    for _ in range(4):
        control.clock_advance(ns=SECOND)
        held.append(free - virtual.stats()["frames_free"])
    assert held[0] - held[1] == held[1] - held[2] == 10 and held[2] == held[3] < 10, "ten a second"


def test_a_tick_is_lost_and_the_next_one_does_it(virtual):
    control = virtual.control
    granter, mapper = virtual.new(1), virtual.new(2)
    free = virtual.free_frames()
    region, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, refs[0])
    granter("unshare", region)
    mapper("unmap", mapped)
    harness.eventually(lambda: virtual.stats()["mappings"] == 0 and control.clock()["next"],
                       "nothing is mapped")
    rule = control.fault("defer", {"drop": True})
    control.clock_advance(ns=SECOND)
    assert control.fired(rule) == 1
    assert virtual.stats()["frames_free"] < free
    control.clock_advance(ns=SECOND)
    assert virtual.stats()["frames_free"] == free


def test_an_unmap_completes_late(virtual):
    control = virtual.control
    granter, mapper = virtual.new(1), virtual.new(2)
    _, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, refs[0])
    rule = control.fault("unmap", {"late": 2 * SECOND}, domain=2)
    mapper("unmap", mapped)
    harness.eventually(lambda: control.fired(rule), "the unmapping begins")
    assert virtual.json("dump", "maptrack", 2)["maptrack"] != []
    control.clock_advance(ns=2 * SECOND)
    assert virtual.json("dump", "maptrack", 2)["maptrack"] == []
    virtual.audit()


@pytest.mark.parametrize("args, says", [(("--clock", "fast"), "unknown clock"),
                                        (("--seed", "x"), "not a seed"),
                                        (("--seed", "0"), "not a seed")])
def test_an_option_with_a_mistake_is_refused(place, args, says):
    done = harness.gntsim("serve", "--dir", place / "m", *args)
    assert done.returncode == 2 and says in done.stderr
