# SPDX-License-Identifier: MIT
"""Tests the requirements on libxengnttab and libxenevtchn: G, S and E of requirements.txt."""
import pytest

import harness
from scenes import PAGE, end, no_event, pair, requirement

# ---- The mapper's half --------------------------------------------------------------------------


@requirement("G-1", "S-1", "E-12")
def test_open_and_close(world):
    agent = world.new(1)
    fds = [agent("handle", name) for name in ("gnttab", "gntshr", "evtchn")]
    assert [agent("cloexec", fd) for fd in fds] == ["1", "0", "1"]
    assert [agent("close", name) for name in ("gnttab", "gntshr", "evtchn")] == ["0", "0", "0"]
    assert agent.error("cloexec", fds[0]) == "EBADF"
    assert agent("close-null") == "0 0 0"


@requirement("G-2")
def test_set_max_grants(world):
    assert world.new(1)("set-max", 10) == "0"


@requirement("G-3")
def test_three_ways_to_map_the_same(pair):
    shared, refs = pair.granter.share(2, 2)
    one = int(pair.mapper("map-one", "rw", 1, refs[0]))
    both = int(pair.mapper("map-domain", "rw", 1, *refs))
    again = pair.mapper.map("r", 1, *refs)
    pair.granter.poke(shared, 3, 33)
    pair.mapper.poke(both, PAGE + 4, 44)
    assert [pair.mapper.peek(region, 3) for region in (one, both, again)] == [33, 33, 33]
    assert pair.mapper.peek(again, PAGE + 4) == pair.granter.peek(shared, PAGE + 4) == 44
    for region in (one, both, again):
        pair.mapper("unmap", region)
    assert max(pair.pins().values()) == 0


@requirement("G-4", "G-15")
@pytest.mark.parametrize("target,access", [("1:300", "rw"), ("1:4000000000", "r"), ("777:8", "rw")])
def test_a_failed_map_is_logged_and_leaves_nothing(pair, target, access):
    before = pair.world.stats()["mappings"]
    assert pair.mapper.error("map", access, target) == "EINVAL"
    assert pair.world.stats()["mappings"] == before
    assert "failed" in pair.world.stderr()
    assert all(pins == 0 for pins in pair.pins().values())


@requirement("G-5")
def test_a_map_of_nothing(world):
    assert world.new(2).error("map", "rw") == "EINVAL"


@requirement("G-6")
def test_EAGAIN_is_repeated(world):
    granter, mapper = world.new(1), world.new(2, "legacy")
    shared, refs = granter.share(1, 2)
    granter.poke(shared, 0, 7)
    world.must("page-out", 1, refs[0])
    mapper.send("map", "rw", "1:%d" % refs[0])
    harness.eventually(lambda: world.stats()["mmap_eagain"] >= 20, "it is repeated")
    assert not mapper.answered()
    world.must("page-in", 1, refs[0])
    assert mapper.peek(int(mapper.result()), 0) == 7


@requirement("G-7", "G-8")
def test_unmap_of_what_is_no_mapping(world):
    agent = world.new(1)
    assert agent.error("unmap-at", 0, 1) == "EINVAL"
    region = int(agent("anon", 1))
    assert agent.error("unmap-at", agent("addr", region), 1) == "EINVAL"
    shared, _ = agent.share(1, 1)
    assert agent.error("unmap-at", agent("addr", shared), 1) == "EINVAL"
    agent.poke(shared, 0, 1)


@requirement("G-9")
def test_only_a_whole_mapping_can_be_unmapped(pair):
    shared, refs = pair.granter.share(3, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    for count in (0, 1, 2, 4):
        assert pair.mapper.error("unmap", mapped, count) == "EINVAL"
    pair.mapper.poke(mapped, 2 * PAGE, 9)
    assert pair.granter.peek(shared, 2 * PAGE) == 9
    assert pair.mapper("unmap", mapped, 3) == "0"


@requirement("G-10")
def test_unmap_fires_the_notification(pair):
    shared, mapped = pair.mapped_notified()
    pair.mapper("unmap", mapped)
    assert pair.granter.wait() == pair.port
    assert pair.granter.peek(shared, 9) == 0


@requirement("G-11")
def test_grant_copy_reports_each_segment(pair):
    shared, refs = pair.granter.share(2, 2)
    assert pair.mapper("copy-pair", 1, refs[0], refs[1], "hello").split() == ["0", "0"]
    assert [pair.granter.peek(shared, page * PAGE) for page in (0, 1)] == [ord("h"), ord("h")]
    status = pair.mapper("copy-pair", 1, 400, refs[1], "world").split()
    assert int(status[0]) < 0 and status[1] == "0"
    assert pair.granter.peek(shared, PAGE) == ord("w")
    pair.mapper("copy", 1, refs[0], 100, "there")
    assert pair.mapper("copy-back", 1, refs[0], 100, 5) == "there"


@requirement("G-12")
def test_a_grant_copy_that_an_old_kernel_does_not_know(world):
    granter, mapper = world.new(1), world.new(2, "legacy")
    _, refs = granter.share(1, 2)
    assert mapper.error("copy-pair", 1, refs[0], refs[0], "x") == "ENOTTY"
    assert "failed" in world.stderr().lower()


@requirement("G-13")
def test_dma_buf(world):
    agent = world.new(1)
    assert agent("dmabuf", 0).split()[::2] == ["EINVAL", "EINVAL"]
    assert agent("dmabuf", 1).split() == ["ENOTTY"] * 4


@requirement("G-14")
def test_restrict_all_ends_the_mappers_handle_only(pair):
    _, refs = pair.granter.share(1, 2)
    pair.granter("handle", "gnttab")
    assert pair.granter("restrict-all", 2) == "0"
    assert pair.granter.error("map", "rw", "1:%d" % refs[0]) == "ENOTTY"
    shared, refs = pair.granter.share(1, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.mapper.poke(mapped, 0, 4)
    assert pair.granter.peek(shared, 0) == 4


# ---- The granter's half -------------------------------------------------------------------------


@requirement("S-2", "S-9")
def test_pages_are_zeroed_and_in_the_order_of_their_references(pair):
    first, first_refs = pair.granter.share(4, 2)
    second, second_refs = pair.granter.share(1, 2)
    assert len({*first_refs, *second_refs}) == 5
    assert all(pair.granter.peek(first, offset) == 0 for offset in range(0, 4 * PAGE, 211))
    for page in range(4):
        pair.granter.poke(first, page * PAGE, 10 + page)
    pair.granter.poke(second, 0, 20)
    mapped = pair.mapper.map("rw", 1, *reversed(first_refs), *second_refs)
    assert [pair.mapper.peek(mapped, page * PAGE) for page in range(5)] == [13, 12, 11, 10, 20]


@requirement("S-3", "X-3", "F-9")
def test_close_of_the_granters_handle_does_not_unshare(pair):
    shared, mapped = pair.notified()
    pair.granter("close", "gntshr")
    no_event(pair.mapper)
    pair.granter.poke(shared, 0, 9)
    assert [pair.mapper.peek(mapped, offset) for offset in (0, 5)] == [9, 1]
    pair.granter("munmap", shared, 0)
    assert pair.mapper.wait() == pair.local


@requirement("F-9")
def test_close_of_the_mappers_handle_does_not_unmap(pair):
    shared, refs = pair.granter.share(1, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.mapper("close", "gnttab")
    pair.mapper.poke(mapped, 0, 9)
    assert pair.granter.peek(shared, 0) == 9
    pair.mapper("munmap", mapped, 0)
    harness.eventually(lambda: max(pair.pins().values()) == 0, "the grant is unmapped")


@requirement("S-4")
def test_a_failed_share_is_logged(world):
    assert world.new(1).error("share", 1025, 2, "rw") == "ENOSPC"
    assert "failed" in world.stderr()


@requirement("S-5")
def test_a_share_of_nothing(world):
    assert world.new(1).error("share", 0, 2, "rw") == "EINVAL"


@requirement("S-6")
def test_a_page_that_the_peer_may_only_read(pair):
    shared, refs = pair.granter.share(1, 2, "ro")
    assert pair.mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    mapped = pair.mapper.map("r", 1, *refs)
    pair.granter.poke(shared, 0, 6)
    assert pair.mapper.peek(mapped, 0) == 6
    assert pair.mapper.error("poke", mapped, 0, 1) in ("SIGSEGV", "SIGBUS")


@requirement("S-7")
def test_unshare_is_a_munmap_of_so_many_pages(pair):
    shared, refs = pair.granter.share(3, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    assert pair.granter("unshare-count", shared, 1) == "0"
    if harness.library_kind() != "tsan":      # which puts something of its own there
        assert pair.granter.error("peek", shared, 0) == "SIGSEGV"
    pair.granter.poke(shared, 2 * PAGE, 3)
    assert pair.mapper.peek(mapped, 2 * PAGE) == 3
    assert pair.granter("unshare", shared) == "0"


# ---- Event channels -----------------------------------------------------------------------------


@requirement("E-1")
def test_evtchn_open_takes_one_flag(world):
    agent = world.new(1)
    assert agent("evtchn-open", 0) == "1"
    assert agent("evtchn-open", 1) == "0"
    for flags in (2, 3, 0x80000000):
        assert agent.error("evtchn-open", flags) == "EINVAL"


@requirement("E-2", "E-3")
def test_binding_the_two_ends(world):
    one, two = world.new(1), world.new(2)
    port = one.unbound(2)
    assert port > 0
    assert one.unbound(31000) > 0, "nobody is there, and need not be"
    local = int(two("evtchn-bind", 1, port))
    assert local > 0
    assert two.wait() == local
    no_event(one)
    two("evtchn-unmask", local)
    two("evtchn-notify", local)
    assert one.wait() == port


@requirement("E-4")
def test_binding_to_what_is_not_there(world):
    one, two, three = world.new(1), world.new(2), world.new(3)
    port = one.unbound(2)
    assert two.error("evtchn-bind", 777, 1) == "ESRCH"
    assert two.error("evtchn-bind", 1, port + 50) == "EINVAL"
    assert three.error("evtchn-bind", 1, port) == "EINVAL"


@requirement("E-5")
def test_binding_a_virq(world):
    agent = world.new(1)
    assert int(agent("evtchn-virq", 1)) > 0
    assert agent.error("evtchn-virq", 1) == "EEXIST"
    assert agent.error("evtchn-virq", 1000) == "EINVAL"


@requirement("E-6")
def test_a_port_of_somebody_elses(world):
    one, other = world.new(1), world.new(1)
    port = one.unbound(2)
    for agent in (other, one):
        expected = "ENOTCONN" if agent is other else None
        for verb in ("evtchn-notify", "evtchn-unbind"):
            if expected:
                assert agent.error(verb, port) == expected
            else:
                agent(verb, port)
    assert one.error("evtchn-unbind", port) == "ENOTCONN"


@requirement("E-7", "E-8")
def test_pending_masks_and_events_merge(pair):
    pair.granter("evtchn-notify", pair.port)
    pair.granter("evtchn-notify", pair.port)
    assert pair.mapper.wait() == pair.local
    no_event(pair.mapper)
    pair.granter("evtchn-notify", pair.port)
    no_event(pair.mapper)
    pair.mapper("evtchn-unmask", pair.local)
    assert pair.mapper.wait() == pair.local


@requirement("E-9")
def test_pending_waits_and_poll_says_so(pair):
    no_event(pair.mapper)
    pair.mapper.send("pending")
    assert not pair.mapper.answered()
    pair.granter("evtchn-notify", pair.port)
    assert int(pair.mapper.result()) == pair.local


@requirement("E-10")
def test_restrict(world):
    one, two, three = world.new(1), world.new(2), world.new(3)
    ports = {2: two.unbound(1), 3: three.unbound(1)}
    assert one.error("evtchn-restrict", 0) == "EINVAL"
    assert one("evtchn-restrict", 2) == "0"
    assert one.error("evtchn-restrict", 2) == "EACCES"
    assert one.error("evtchn-unbound", 2) == "EACCES"
    assert one.error("evtchn-virq", 1) == "EACCES"
    assert one.error("evtchn-bind", 3, ports[3]) == "EACCES"
    local = one.bind(2, ports[2])
    two("evtchn-notify", ports[2])
    assert one.wait() == local


@requirement("E-11")
def test_fdopen_takes_no_flags(world):
    agent = world.new(1)
    fd = agent("handle", "evtchn")
    for flags in (1, 2):
        assert agent.error("evtchn-fdopen", fd, flags) == "EINVAL"
    assert agent("evtchn-fdopen", fd, 0) == "0"


@requirement("E-12")
@pytest.mark.parametrize("how", ["close", "exit", "kill", "exec"])
def test_closing_unbinds_every_port(world, how):
    agent = world.new(1)
    for _ in range(3):
        agent.unbound(2)
    if how == "close":
        agent("close", "evtchn")
    else:
        end(agent, how, "", 0)
    harness.eventually(lambda: not world.own_ports(1), "no port is left")



