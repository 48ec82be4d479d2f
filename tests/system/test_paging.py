# SPDX-License-Identifier: MIT
"""What a mapper sees, kernel by kernel, when granted pages are paged out."""
import harness


def paged_out_pair(machine, profile):
    granter, mapper = machine.new(1), machine.new(2, profile)
    shared, refs = granter.share(3, 2)
    granter.poke(shared, 0, 7)
    machine.must("page-out", 1, refs[0])
    return granter, mapper, shared, refs


def test_on_an_old_kernel_the_librarys_own_loop_retries_until_the_page_is_back(machine):
    granter, mapper, shared, refs = paged_out_pair(machine, "legacy")
    mapper.send("map", "rw", "1:%d" % refs[0])
    harness.eventually(lambda: machine.stats()["mmap_eagain"] >= 5, "five attempts")
    assert not mapper.answered()
    machine.must("page-in", 1, refs[0])
    mapped = int(mapper.result())
    assert mapper.peek(mapped, 0) == 7
    mapper.poke(mapped, 0, 8)
    assert granter.peek(shared, 0) == 8
    mapper("unmap", mapped)
    machine.audit()


def test_on_an_old_kernel_one_paged_out_page_of_many_makes_the_whole_mapping_wait(machine):
    _, mapper, _, refs = paged_out_pair(machine, "legacy")
    mapper.send("map", "rw", *("1:%d" % ref for ref in reversed(refs)))
    harness.eventually(lambda: machine.stats()["mmap_eagain"] >= 3, "three attempts")
    machine.audit()
    machine.must("page-in", 1, refs[0])
    mapped = int(mapper.result())
    assert mapper.peek(mapped, 2 * 4096) == 7


def test_a_mapper_that_is_killed_while_it_retries_leaves_nothing(machine):
    granter, mapper, _, refs = paged_out_pair(machine, "legacy")
    mapper.send("map", "rw", "1:%d" % refs[0])
    harness.eventually(lambda: machine.stats()["mmap_eagain"] >= 1, "an attempt")
    mapper.kill()
    machine.must("page-in", 1, refs[0])
    granter.end()
    machine.quiet()


def test_a_kernel_of_today_retries_by_itself_until_the_page_is_back(machine):
    granter, mapper, shared, refs = paged_out_pair(machine, "pvh")
    mapper.send("map", "rw", "1:%d" % refs[0])
    before = machine.stats()["hypercalls"]
    harness.eventually(lambda: machine.stats()["hypercalls"] > before + 3, "the kernel tries again")
    assert not mapper.answered()
    machine.must("page-in", 1, refs[0])
    mapped = int(mapper.result())
    assert mapper.peek(mapped, 0) == 7
    assert machine.stats()["mmap_eagain"] == 0, "the program saw no EAGAIN"
    machine.audit()
    assert granter.peek(shared, 0) == 7


def test_while_a_kernel_retries_for_one_program_others_work(machine):
    _, mapper, _, refs = paged_out_pair(machine, "pvh")
    other, same_domain = machine.new(3), machine.new(2)
    mapper.send("map", "rw", "1:%d" % refs[0])
    for agent, domain in ((other, 3), (same_domain, 2)):
        shared, own = agent.share(1, domain)
        mapped = agent.map("rw", domain, *own)
        agent.poke(mapped, 0, 1)
        assert agent.peek(shared, 0) == 1
    assert not mapper.answered()
    machine.must("page-in", 1, refs[0])
    mapper.result()


def test_a_program_killed_while_its_kernel_retries_leaves_nothing(machine):
    granter, mapper, _, refs = paged_out_pair(machine, "pvh")
    mapper.send("map", "rw", "1:%d" % refs[0])
    before = machine.stats()["hypercalls"]
    harness.eventually(lambda: machine.stats()["hypercalls"] > before + 2, "the kernel tries again")
    mapper.kill()
    machine.must("page-in", 1, refs[0])
    granter.end()
    machine.quiet()


def test_a_domain_destroyed_while_its_kernel_retries_leaves_nothing(machine):
    granter, mapper, _, refs = paged_out_pair(machine, "pvh")
    mapper.send("map", "rw", "1:%d" % refs[0])
    before = machine.stats()["hypercalls"]
    harness.eventually(lambda: machine.stats()["hypercalls"] > before + 2, "the kernel tries again")
    machine.must("domain", "destroy", 2)
    mapper.process.wait(harness.PATIENCE)
    granter.end()
    machine.quiet()


def test_the_granter_itself_goes_on_using_its_paged_out_page(machine):
    granter, _, shared, refs = paged_out_pair(machine, "pv")
    assert granter.peek(shared, 0) == 7
    granter.poke(shared, 0, 9)
    machine.must("page-in", 1, refs[0])
    assert granter.peek(shared, 0) == 9


def test_a_granter_may_unshare_a_page_that_is_paged_out(machine):
    granter, mapper, shared, refs = paged_out_pair(machine, "pv")
    granter("unshare", shared)
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    machine.audit()
