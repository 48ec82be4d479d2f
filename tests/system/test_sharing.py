# SPDX-License-Identifier: MIT
"""Sharing and mapping between processes with the distribution's unmodified libraries."""
import pytest

PAGE = 4096


def test_four_pages_mapped_in_shuffled_order_are_the_granters_frames(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(4, 2)
    for page in range(4):
        granter.poke(shared, page * PAGE, 10 + page)
    order = [2, 0, 3, 1]
    mapped = mapper.map("rw", 1, *(refs[page] for page in order))
    assert [mapper.peek(mapped, position * PAGE) for position in range(4)] == [12, 10, 13, 11]
    for position in range(4):
        mapper.poke(mapped, position * PAGE + 4095, 20 + position)
    assert [granter.peek(shared, page * PAGE + 4095) for page in order] == [20, 21, 22, 23]
    mapper("unmap", mapped)
    granter("unshare", shared)
    machine.quiet(open_files=2)


def test_a_page_can_be_mapped_by_many_domains_and_more_than_once(machine):
    mappers = [machine.new(domain) for domain in range(2, 6)]
    granter = machine.new(1)
    shares = [granter.share(1, domain) for domain in range(2, 6)]
    for mapper, (shared, refs) in zip(mappers, shares):
        first, second = mapper.map("rw", 1, refs[0]), mapper.map("rw", 1, refs[0])
        mapper.poke(first, 7, 77)
        assert mapper.peek(second, 7) == 77
        assert granter.peek(shared, 7) == 77
        mapper("unmap", first)
        assert mapper.peek(second, 7) == 77
    machine.audit()


def test_pages_of_two_granters_can_be_mapped_as_one_range(machine):
    first, second, mapper = machine.new(1), machine.new(2), machine.new(3)
    (one, one_refs), (two, two_refs) = first.share(1, 3), second.share(1, 3)
    first.poke(one, 0, 1)
    second.poke(two, 0, 2)
    mapped = int(mapper("map", "rw", "2:%d" % two_refs[0], "1:%d" % one_refs[0]))
    assert (mapper.peek(mapped, 0), mapper.peek(mapped, PAGE)) == (2, 1)


def test_a_domain_can_map_its_own_grant(machine):
    agent = machine.new(3)
    shared, refs = agent.share(2, 3)
    mapped = agent.map("rw", 3, *reversed(refs))
    agent.poke(mapped, 0, 5)
    assert agent.peek(shared, PAGE) == 5


def test_a_read_only_mapping_reads_and_a_write_is_a_fault(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("r", 1, *refs)
    granter.poke(shared, 3, 33)
    assert mapper.peek(mapped, 3) == 33
    assert mapper.error("poke", mapped, 3, 1) in ("SIGSEGV", "SIGBUS")
    assert granter.peek(shared, 3) == 33


def test_write_permission_cannot_be_added_to_a_read_only_mapping(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2, "ro")
    mapped = mapper.map("r", 1, *refs)
    mapper.send("mprotect", mapped, "rw")
    mapper.answer()
    assert mapper.error("poke", mapped, 0, 66) in ("SIGSEGV", "SIGBUS")
    assert granter.peek(shared, 0) == 0


def test_a_read_only_grant_cannot_be_mapped_for_writing(machine):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(1, 2, "ro")
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    mapper.map("r", 1, *refs)
    machine.audit()


def test_a_page_granted_to_another_domain_cannot_be_mapped(machine):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(1, 3)
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    assert mapper.error("map", "r", "1:%d" % refs[0]) == "EINVAL"
    machine.audit()


@pytest.mark.parametrize("what", ["unused reference", "huge reference", "unknown domain"])
def test_a_grant_that_does_not_exist_cannot_be_mapped(machine, what):
    machine.must("domain", "create", "1")
    mapper = machine.new(2)
    target = {"unused reference": "1:200", "huge reference": "1:4000000000",
              "unknown domain": "777:8"}[what]
    assert mapper.error("map", "rw", target) == "EINVAL"
    machine.audit()


def test_one_bad_reference_among_many_maps_nothing(machine):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(5, 2)
    words = ["1:%d" % ref for ref in refs]
    words[3] = "1:300"
    assert mapper.error("map", "rw", *words) == "EINVAL"
    assert machine.stats()["mappings"] == 1, "only the granter's own"
    machine.audit()
    mapper.map("rw", 1, *refs)


def test_the_data_of_a_thousand_pages_arrives(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1000, 2)
    for page in range(0, 1000, 37):
        granter.poke(shared, page * PAGE + page, page % 251)
    mapped = mapper.map("rw", 1, *reversed(refs))
    for page in range(0, 1000, 37):
        assert mapper.peek(mapped, (999 - page) * PAGE + page) == page % 251
    mapper("unmap", mapped)
    granter("unshare", shared)
    machine.quiet(open_files=2)


def test_copying_to_and_from_a_grant_needs_no_mapping(machine):
    granter, copier = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    copier("copy", 1, refs[0], 100, "hello")
    assert [granter.peek(shared, 100 + i) for i in range(5)] == list(b"hello")
    assert copier("copy-back", 1, refs[0], 101, 4) == "ello"
    assert copier.error("copy-back", 1, 300, 0, 4).startswith("GNTST-")


def test_many_whole_pages_are_copied_by_one_call(machine):
    granter, copier = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    granter.poke(shared, 0, 17)
    granter.poke(shared, PAGE - 1, 71)
    for count in (1, 3, 4, 5, 300):
        assert copier("copy-pages", 1, refs[0], count).split() == [str(count), "17", "71"]


def test_unmapping_with_another_count_is_refused(machine):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(2, 2)
    mapped = mapper.map("rw", 1, *refs)
    assert mapper.error("unmap", mapped, 1) == "EINVAL"
    mapper("unmap", mapped)


def test_a_mapping_works_on_after_its_handle_is_closed(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    mapper("close", "gnttab")
    mapper.poke(mapped, 0, 9)
    assert granter.peek(shared, 0) == 9
    mapper("munmap", mapped, 0)
    granter("close", "gntshr")
    granter.poke(shared, 0, 8)
    granter("munmap", shared, 0)
    machine.quiet()


def test_a_reference_is_usable_until_it_is_unshared_and_not_after(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapper("unmap", mapper.map("rw", 1, *refs))
    granter("unshare", shared)
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"


def test_unsharing_a_page_that_is_still_mapped_leaves_the_peer_its_page(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapper("unmap", mapper.map("rw", 1, *refs))
    granter("unshare", shared)
    free = machine.free_frames()           # now that the tables are as large as they get
    shared, refs = granter.share(1, 2)
    granter.poke(shared, 1, 41)
    mapped = mapper.map("rw", 1, *refs)
    granter("unshare", shared)
    mapper.poke(mapped, 2, 42)
    assert mapper.peek(mapped, 1) == 41
    machine.audit()
    mapper("unmap", mapped)
    machine.frames_are_back(free)


@pytest.mark.parametrize("granters", ["pv", "pvh", "legacy"])
@pytest.mark.parametrize("mappers", ["pv", "pvh", "legacy"])
def test_sharing_and_mapping_again_and_again_costs_no_memory(machine, granters, mappers):
    granter, mapper = machine.new(1, granters), machine.new(2, mappers)

    def once():
        shared, refs = granter.share(4, 2)
        mapped = mapper.map("rw", 1, *refs)
        mapper.poke(mapped, 0, 1)
        mapper("unmap", mapped)
        granter("unshare", shared)

    once()
    machine.quiet(open_files=2)
    free = machine.free_frames()
    for _ in range(40):
        once()
    machine.frames_are_back(free)
    assert sum(d["maptrack_in_use"] for d in machine.json("domain", "list")) == 0
    machine.audit()


def test_a_page_that_comes_back_into_use_holds_nothing_of_its_last_owner(machine):
    agent = machine.new(1)
    for _ in range(5):
        shared, _ = agent.share(16, 2)
        for page in range(16):
            assert agent.peek(shared, page * PAGE + 11) == 0
            agent.poke(shared, page * PAGE + 11, 0xee)
        agent("unshare", shared)


def test_events_go_both_ways_between_domains(machine):
    one, two = machine.new(1), machine.new(2)
    port = one.unbound(2)
    local = two.bind(1, port)
    two("evtchn-notify", local)
    assert one.wait() == port
    one("evtchn-unmask", port)
    one("evtchn-notify", port)
    assert two.wait() == local
    assert one.wait(0) is None


def test_an_event_that_comes_while_the_port_is_masked_is_kept(machine):
    one, two = machine.new(1), machine.new(2)
    port = one.unbound(2)
    local = two.bind(1, port)
    two("evtchn-notify", local)
    assert one.wait() == port
    two("evtchn-notify", local)
    assert one.wait(0) is None
    one("evtchn-unmask", port)
    assert one.wait() == port


def test_a_channel_can_only_be_bound_by_the_domain_it_is_for(machine):
    one, two, three = machine.new(1), machine.new(2), machine.new(3)
    port = one.unbound(2)
    assert three.error("evtchn-bind", 1, port) == "EINVAL"
    two.bind(1, port)
    assert two.error("evtchn-bind", 1, port) == "EINVAL"
    assert two.error("evtchn-bind", 999, 1) == "ESRCH"


def test_two_machines_at_once_know_nothing_of_each_other(serve, compiled):
    first, second = serve(), serve()
    granter = first.agent(1, compiled("agent"))
    mapper, stranger = first.agent(2, compiled("agent")), second.agent(2, compiled("agent"))
    _, refs = granter.share(1, 2)
    mapper.map("rw", 1, *refs)
    assert stranger.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    assert second.stats()["mappings"] == 0
