# SPDX-License-Identifier: MIT
"""A control domain's programs use the distribution's libraries over privcmd: foreign memory, device
model and xencall."""
import pytest

import harness

PAGE = 4096


@pytest.fixture
def control(machine, compiled):
    """A process of domain 0 that looks at domain 1."""
    agent = machine.agent(0, compiled("foreign"), prefix=(), words=(1,))
    agent("open")
    return agent


def frames(machine, domain=1):
    """Of the pages that programs shared: the first 8 references are the toolstack's."""
    return [row["frame"] for row in machine.json("dump", "entries", domain)["entries"]
            if row["ref"] >= 8]


def test_frames_of_another_domain_are_mapped_in_any_order(machine, control):
    granter = machine.new(1)
    shared, _ = granter.share(3, 2)
    numbers = frames(machine)
    for page in range(3):
        granter.poke(shared, page * PAGE, 10 + page)
    assert control("map", "rw", numbers[2], numbers[0], numbers[1]) == "0 0 0"
    assert [int(control("access", page * PAGE)) for page in range(3)] == [12, 10, 11]
    control("access", 7, 77)
    assert granter.peek(shared, 2 * PAGE + 7) == 77
    machine.audit()
    control("unmap")
    assert machine.stats()["mappings"] == 1
    machine.audit()


def test_a_frame_that_is_none_is_a_hole_and_an_access_to_it_SIGBUS(machine, control):
    granter = machine.new(1)
    granter.share(1, 2)
    number = frames(machine)[0]
    assert control("map", "rw", number, 1 << 40, number) == "0 -22 0"
    assert control("access", 5, 9) == "9"
    assert int(control("access", 2 * PAGE + 5)) == 9
    assert control.error("access", PAGE) == "SIGBUS"
    control("unmap")
    assert control.error("strict", number, 1 << 40) == "EINVAL"
    assert machine.stats()["mappings"] == 1


def test_a_page_that_is_out_is_waited_for(machine, control):
    """The library tries those frames again that are paged out, for as long as it takes."""
    granter = machine.new(1)
    shared, refs = granter.share(2, 2)
    granter.poke(shared, PAGE, 8)
    numbers = frames(machine)
    machine.must("page-out", 1, refs[1])
    before = machine.stats()["notifications"]
    control.send("map", "rw", *numbers)
    harness.eventually(lambda: machine.stats()["notifications"] > before + 20, "it is tried again")
    assert not control.answered()
    machine.must("page-in", 1, refs[1])
    assert control.result() == "0 0"
    assert int(control("access", PAGE)) == 8


def test_foreign_memory_is_not_inherited_by_a_child(machine, control):
    machine.new(1).share(1, 2)
    control("map", "r", frames(machine)[0])
    assert control.error("fork") == "SIGSEGV"
    assert control("access", 0) == "0"


def test_a_part_can_be_unmapped(machine, control):
    granter = machine.new(1)
    shared, _ = granter.share(3, 2)
    control("map", "rw", *frames(machine))
    control("munmap", 1)
    assert control.error("access", PAGE) == "SIGSEGV"
    control("access", 2 * PAGE, 4)
    assert granter.peek(shared, 2 * PAGE) == 4
    machine.audit()


@pytest.mark.parametrize("how", ["kill", "exit"])
def test_the_end_of_the_process_ends_it(machine, control, how):
    machine.new(1).share(8, 2)
    control("map", "rw", *frames(machine))
    if how == "kill":
        control.kill()
    else:
        control.end()
    harness.eventually(lambda: machine.stats()["mappings"] == 1, "the mapping is gone")
    machine.audit()


def test_a_destroyed_domains_frames_stay_as_long_as_they_are_mapped(machine, control):
    granter = machine.new(1)
    shared, _ = granter.share(1, 2)
    granter.poke(shared, 0, 5)
    control("map", "rw", *frames(machine))
    machine.must("domain", "destroy", 1)
    assert control("access", 0) == "5"
    machine.audit()
    control("unmap")
    machine.audit()
    machine.must("domain", "create", 1)


def test_the_grant_table_is_a_resource(machine, control):
    granter = machine.new(1)
    _, refs = granter.share(2, 7)
    assert control("resource", 0, 0, 1).split() == ["%d:1:7" % ref for ref in refs]
    assert control("size", 0) == str(64 * PAGE)
    assert control.error("resource", 0, 64, 1) == "EINVAL"
    assert control.error("resource", 1, 0, 1) == "EINVAL", "version 1 has no status frames"
    assert machine.stats()["mappings"] == 1
    machine.audit()


def test_a_restricted_handle_serves_one_domain(machine, control, compiled):
    machine.new(1).share(1, 2)
    machine.new(3).share(1, 2)
    number = frames(machine)[0]
    other = machine.agent(0, compiled("foreign"), words=(3,))
    other("open")
    assert other("restrict") == "0"
    assert other("map", "rw", frames(machine, 3)[0]) == "0"
    control("restrict")
    assert control("map", "rw", number) == "0"


def test_an_unprivileged_domain_maps_nobodys_memory(machine, compiled):
    machine.new(1).share(1, 2)
    agent = machine.agent(2, compiled("foreign"), words=(1,))
    agent("open")
    assert agent.error("strict", frames(machine)[0]) == "EPERM"
    assert agent.error("resource", 0, 0, 1) == "EPERM"


def test_a_device_model_opens_restricts_and_closes(machine, control):
    machine.must("domain", "create", 1)
    assert control("model") == "0"
    assert control.error("model", "op") == "EOPNOTSUPP"
    assert control("model", "restrict") == "0"
    assert control.error("model", "op") == "EOPNOTSUPP"
    assert control("model", "close") == "0"


def test_libxencall_works_in_a_parent_and_in_a_child_with_a_handle_of_its_own(machine, control):
    """Result, status and size; the child's exit status; and that buffers never fault, since they
    are of /dev/xen/hypercall."""
    machine.must("domain", "create", 1)
    assert control("call") == "0 0 64 0 1"


def test_what_privcmd_does_not_have(machine):
    agent = machine.new(0)
    fd = agent.open("privcmd")
    assert agent.error("ioctl", fd, 0x40185008, "00" * 24) == "EOPNOTSUPP"
    assert agent.error("ioctl", fd, 0x40305009, "00" * 48) == "EOPNOTSUPP"
    assert agent.error("ioctl", fd, 0x000050ff, "") == "ENOTTY"
    region = int(agent("mmap", fd, 0, 1, "rw", "shared"))
    assert agent.error("peek", region, 0) == "SIGBUS"


def test_mapping_again_and_again_leaves_nothing(machine, control):
    granter = machine.new(1)
    granter.share(60, 2)
    numbers = frames(machine)
    for _ in range(20):
        control("map", "r", *numbers)
        control("unmap")
    assert machine.stats()["mappings"] == 1
    machine.audit()
