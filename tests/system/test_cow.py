# SPDX-License-Identifier: MIT
"""Memory sharing under running programs: they see one page, and a write makes a real copy."""
import sys
from pathlib import Path

import pytest

import harness

PAGE = 4096
TOOLSTACK = Path(__file__).with_name("toolstack.py")


class Stage:
    """Programs in domains 1 and 2 with pages at the same gfns, and a toolstack in domain 0."""

    def __init__(self, machine, nr=1, domains=(1, 2)):
        self.machine = machine
        self.toolstack = machine.agent(0, "/usr/bin/python3", words=[str(TOOLSTACK)])
        self.programs = {dom: machine.new(dom, "pvh") for dom in domains}
        self.regions, self.gfns = {}, {}
        for dom, program in self.programs.items():
            self.regions[dom], refs = program.share(nr, 3 - dom)
            self.gfns[dom] = self.frames(dom, refs)
            for page in range(nr):
                self.poke(dom, 40 + page, page)
        if len(domains) == 2:
            self.share_is_on()

    def share_is_on(self):
        for dom in (1, 2):
            self.call("xc_memshr_control", dom, 1)
            self.call("xc_domain_pause", dom)

    def call(self, name, *words):
        """The call's result, and the numbers that it returns beside."""
        return list(map(int, self.toolstack(name, *words).split()))

    def frames(self, dom, refs):
        frames = {e["ref"]: e["frame"] for e in self.machine.own_grants(dom)}
        return [frames[ref] for ref in refs]

    def adder(self, program, dom, pages, threads):
        """A program of the domain that writes all the time, and the gfns of its pages."""
        process = self.machine.popen(dom, program, 3 - dom, pages, threads, profile="pvh",
                                     stdin=-1, stdout=-1, text=True)
        return process, self.frames(dom, list(map(int, process.stdout.readline().split())))

    def share_range(self, gfns):
        """Between looking for what can be shared and sharing it, nobody writes."""
        self.call("xc_memshr_range_share", 1, 2, gfns[0], gfns[-1])
        return self.counted()

    def poke(self, dom, value, page=0):
        self.programs[dom].poke(self.regions[dom], page * PAGE, value)

    def peek(self, dom, page=0):
        return self.programs[dom].peek(self.regions[dom], page * PAGE)

    def nominate(self, dom, page=0):
        return self.call("xc_memshr_nominate_gfn", dom, self.gfns[dom][page], "&")[1]

    def share(self, page=0):
        source, client = self.nominate(1, page), self.nominate(2, page)
        self.call("xc_memshr_share_gfns", 1, self.gfns[1][page], source,
                  2, self.gfns[2][page], client)
        self.counted()

    def users(self, dom, page=0):
        try:
            return self.call("xc_memshr_debug_gfn", dom, self.gfns[dom][page])[0]
        except harness.Refused:
            return 0

    def counted(self):
        """The counters' equation, which the audit checks, too."""
        self.machine.audit()
        saved, used = (self.call(name)[0] for name in ("xc_sharing_freed_pages",
                                                       "xc_sharing_used_frames"))
        return saved, used


@pytest.fixture
def stage(machine):
    return Stage(machine)


def test_programs_of_two_domains_see_one_page_until_one_writes(stage):
    stage.poke(1, 7)
    stage.poke(2, 7)
    stage.share()
    assert stage.counted() == (1, 1)
    assert stage.users(1) == stage.users(2) == 2
    assert stage.peek(1) == stage.peek(2) == 7
    stage.poke(1, 8)
    assert (stage.peek(1), stage.peek(2)) == (8, 7)
    assert stage.users(1) == 0
    assert stage.users(2) == 1
    assert stage.counted() == (0, 1)
    stage.poke(2, 9)
    assert (stage.peek(1), stage.peek(2)) == (8, 9)
    assert stage.counted() == (0, 0)


def test_what_the_client_had_is_gone_and_a_share_of_many_pages_is_page_by_page(machine):
    stage = Stage(machine, nr=3)
    stage.share(0)
    stage.share(2)
    assert [stage.peek(2, page) for page in range(3)] == [40, 41, 42]
    stage.poke(2, 99, 1)
    stage.poke(1, 50, 0)
    assert [stage.peek(1, page) for page in range(3)] == [50, 41, 42]
    assert [stage.peek(2, page) for page in range(3)] == [40, 99, 42]
    assert stage.counted() == (1, 2)


def test_pages_are_shared_and_written_again_and_again_and_no_frame_is_lost(stage):
    stage.share()
    stage.poke(2, 1)
    free = stage.machine.free_frames()
    for turn in range(20):
        stage.poke(1, turn)
        stage.share()
        assert stage.peek(2) == turn
        stage.poke(1 + turn % 2, 100 + turn)
        assert stage.peek(2 - turn % 2) == turn
    assert stage.counted() == (0, 1)
    stage.poke(1, 3)
    stage.poke(2, 4)
    assert stage.machine.free_frames() == free


def added(program):
    """What a program says that it has added so far."""
    program.stdin.write("\n")
    program.stdin.flush()
    return int(program.stdout.readline())


def test_threads_that_write_all_the_time_lose_nothing_by_shares(machine, compiled):
    stage = Stage(machine, domains=())
    program, gfns = stage.adder(compiled("cow"), 1, 4, 3)
    client = machine.new(2, "pvh")
    region, refs = client.share(4, 1)
    assert stage.frames(2, refs) == gfns
    stage.share_is_on()
    for turn in range(12):
        stage.share_range(gfns)
        before = added(program)
        harness.eventually(lambda: added(program) > before + 100, "it goes on")
        client.poke(region, turn % 4 * PAGE + 2048, turn)
        assert client.peek(region, turn % 4 * PAGE + 2048) == turn
    program.stdin.close()
    assert program.stdout.read() == "done\n"
    assert program.wait(harness.PATIENCE) == 0


def test_a_page_that_is_replaced_under_writing_threads_shows_none_of_their_writes(machine,
                                                                                 compiled):
    stage = Stage(machine, nr=4, domains=(1,))
    program, gfns = stage.adder(compiled("cow"), 2, 4, 3)
    assert gfns == stage.gfns[1]
    stage.share_is_on()
    for _ in range(12):
        stage.share_range(gfns)
        before = added(program)
        assert [stage.peek(1, page) for page in range(4)] == [40, 41, 42, 43]
        harness.eventually(lambda: added(program) > before + 100, "it goes on")
        assert [stage.peek(1, page) for page in range(4)] == [40, 41, 42, 43]
    program.kill()
    program.wait()


def test_a_writable_grant_and_a_copy_write_to_the_page_that_the_program_sees(stage):
    stage.share()
    ref = next(e["ref"] for e in stage.machine.own_grants(1) if e["frame"] == stage.gfns[1][0])
    mapped = stage.programs[2].map("rw", 1, ref)
    stage.programs[2].poke(mapped, 1, 77)
    assert stage.programs[1].peek(stage.regions[1], 1) == 77
    assert stage.programs[2].peek(stage.regions[2], 1) == 0
    assert stage.counted() == (0, 1)
    stage.programs[2]("unmap", mapped)
    stage.share()
    stage.programs[2]("copy", 1, ref, 100, "hello")
    assert stage.programs[1].peek(stage.regions[1], 100) == ord("h")
    assert stage.programs[2].peek(stage.regions[2], 100) == 0
    assert stage.counted() == (0, 1)


def test_a_read_only_grant_keeps_sharing_and_shows_what_was_shared(machine):
    stage = Stage(machine, domains=())
    mapper, source, client = machine.new(3, "pv"), machine.new(1, "pvh"), machine.new(2, "pvh")
    region, refs = source.share(1, 3)
    other, theirs = client.share(1, 3)
    source.poke(region, 0, 40)
    gfns = stage.frames(1, refs)
    assert gfns == stage.frames(2, theirs)
    stage.share_is_on()
    assert stage.share_range(gfns) == (1, 1)
    mapped = mapper.map("r", 1, *refs)
    assert (mapper.peek(mapped, 0), client.peek(other, 0)) == (40, 40)
    assert stage.counted() == (1, 1)
    source.poke(region, 0, 41)
    assert [source.peek(region, 0), client.peek(other, 0), mapper.peek(mapped, 0)] == [41, 40, 40]
    assert stage.counted() == (0, 1)


def test_a_foreign_mapping_that_may_write_shows_the_programs_copy(stage):
    stage.share()
    assert stage.toolstack("write", 1, stage.gfns[1][0], 66) == "66"
    assert (stage.peek(1), stage.peek(2)) == (66, 40)
    stage.poke(1, 67)
    assert stage.toolstack("read", 1, stage.gfns[1][0]) == "67"
    assert stage.counted() == (0, 1)


def test_a_page_that_its_program_gives_up_while_it_is_shared_stays_the_others(stage):
    stage.share()
    stage.programs[1]("unshare", stage.regions[1])
    assert stage.peek(2) == 40
    stage.counted()
    stage.poke(2, 41)
    assert stage.counted() == (0, 0)


@pytest.mark.parametrize("dom", [1, 2])
def test_a_program_that_is_killed_leaves_the_others_page_as_it_is(stage, dom):
    stage.share()
    stage.programs[dom].kill()
    assert stage.peek(3 - dom) == 40
    stage.poke(3 - dom, 41)
    assert stage.peek(3 - dom) == 41
    stage.counted()


@pytest.mark.parametrize("dom", [1, 2])
def test_a_domain_that_is_destroyed_leaves_the_others_page_as_it_is(stage, dom):
    stage.share()
    stage.machine.must("domain", "destroy", dom)
    assert stage.peek(3 - dom) == 40
    assert stage.counted() == (0, 1)
    stage.poke(3 - dom, 41)
    assert stage.peek(3 - dom) == 41
    assert stage.counted() == (0, 0)


def test_programs_that_write_all_the_time_are_killed_in_the_middle(machine, compiled):
    stage = Stage(machine, nr=4, domains=(1,))
    for _ in range(3):
        program, gfns = stage.adder(compiled("cow"), 2, 4, 3)
        stage.share_is_on()
        stage.share_range(gfns)
        program.kill()
        program.wait()
        machine.must("domain", "destroy", 2)
        assert [stage.peek(1, page) for page in range(4)] == [40, 41, 42, 43]
        stage.counted()


def test_a_child_of_a_fork_has_no_shared_page_and_the_parent_goes_on(stage):
    stage.share()
    child, _ = stage.programs[1].fork()
    assert stage.programs[1].error("child", child, "peek", stage.regions[1], 0) == "SIGSEGV"
    stage.poke(1, 8)
    assert (stage.peek(1), stage.peek(2)) == (8, 40)
    # With the last shared page a fork inherits the mapping again.
    child, _ = stage.programs[1].fork()
    assert stage.programs[1]("child", child, "peek", stage.regions[1], 0) == "8"


def test_a_page_that_a_forked_child_has_is_not_shared(stage):
    stage.programs[1].fork()
    handle = stage.nominate(1)
    stage.machine.says("has forked, and its children have pages that were to be shared")
    with pytest.raises(harness.Refused, match="ECHILD"):
        stage.call("xc_memshr_share_gfns", 1, stage.gfns[1][0], handle,
                   2, stage.gfns[2][0], stage.nominate(2))
    with pytest.raises(harness.Refused, match="E2BIG"):
        stage.nominate(1)
    stage.counted()


def full(stage, dom):
    """The domain can have no page more."""
    pages = next(d["pages"] for d in stage.machine.json("domain", "list") if d["domain"] == dom)
    stage.call("xc_domain_setmaxmem", dom, pages * 4)


def test_without_memory_for_the_copy_and_without_a_helper_the_domain_is_crashed(stage):
    stage.share()
    full(stage, 1)
    with pytest.raises(harness.Dead):
        stage.poke(1, 8)
    stage.machine.says("domain 1 was crashed by the hypervisor: a shared page was written")
    assert stage.peek(2) == 40
    assert stage.counted() == (0, 1)


def waits_for_memory(stage):
    """The program of domain 1 writes, and waits for its helper, whose ring's gfn this is."""
    ring = 300
    stage.call("xc_domain_populate_physmap_exact", 1, 1, 0, 0, "=%d" % ring)
    stage.call("xc_hvm_param_set", 1, 29, ring)
    stage.toolstack("clear", 1, ring)
    stage.call("xc_memshr_ring_enable", 1, "&")
    stage.share()
    full(stage, 1)
    stage.programs[1].send("poke", stage.regions[1], 0, 8)
    return ring


def test_without_memory_for_the_copy_the_write_waits_until_the_helper_has_made_room(stage):
    ring = waits_for_memory(stage)
    harness.eventually(lambda: stage.toolstack("answer", 1, ring) != "none", "the helper is asked")
    assert not stage.programs[1].answered()
    # An answer without more memory: it is asked again.
    stage.call("xc_memshr_domain_resume", 1)
    harness.eventually(lambda: stage.toolstack("answer", 1, ring) != "none", "once more")
    stage.counted()
    stage.call("xc_domain_setmaxmem", 1, 1 << 20)
    assert not stage.programs[1].answered()
    stage.call("xc_memshr_domain_resume", 1)
    assert stage.programs[1].result() == "8"
    assert (stage.peek(1), stage.peek(2)) == (8, 40)
    assert stage.counted() == (0, 1)


@pytest.mark.parametrize("version, vcpu", [(6, 0), (7, 99)])
def test_an_answer_of_another_version_or_for_no_vcpu_lets_nobody_go_on(stage, version, vcpu):
    ring = waits_for_memory(stage)
    harness.eventually(lambda: stage.toolstack("answer", 1, ring, version, vcpu) != "none",
                       "the helper is asked")
    stage.call("xc_domain_setmaxmem", 1, 1 << 20)
    stage.call("xc_memshr_domain_resume", 1)
    assert stage.toolstack("answer", 1, ring) == "none"
    assert not stage.programs[1].answered()
    # Without the ring nobody waits for an answer.
    stage.call("xc_memshr_ring_disable", 1)
    assert stage.programs[1].result() == "8"
    stage.counted()


def test_a_page_that_a_program_maps_over_the_socket_is_not_shared_and_the_machine_says_why(
        machine, compiled):
    stage = Stage(machine, domains=())
    program = machine.agent(1, compiled("agent"), "pvh", options=["--way", "socket"])
    _, refs = program.share(1, 2)
    gfn, = stage.frames(1, refs)
    with pytest.raises(harness.Refused, match="E2BIG"):
        stage.call("xc_memshr_nominate_gfn", 1, gfn, "&")
    machine.says("page 0x%x of domain 1 is not shared: a program that maps it cannot" % gfn)
    assert stage.counted() == (0, 0)


def test_a_replay_makes_the_same_copies_at_the_same_places(serve, place, compiled):
    trace = place / "trace.jsonl"
    machine = serve("--trace", trace)
    machine.new = lambda domain, profile: machine.agent(domain, compiled("agent"), profile)
    stage = Stage(machine)
    stage.share()
    stage.poke(1, 8)
    stage.share()
    stage.poke(2, 9)
    stage.counted()
    machine.stop()
    assert '"op":"page_write"' in trace.read_text()
    done = harness.gntsim("replay", trace)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- A page that its own domain maps -------------------------------------------------------------


def test_the_first_map_of_a_domains_own_page_says_what_becomes_of_it(machine):
    program = machine.new(1, "pvh")
    _, refs = program.share(2, 1)
    program.map("rw", 1, refs[0])
    program.map("rw", 1, refs[1])
    machine.says("domain 1 maps its own page: an auto-translated domain loses the page")


# A device file's page is lost by hypercalls, too. With gntsim's libraries a program notices that
# at its next call.
@pytest.mark.parametrize("kind, way, domain, how", [
    ("dynamic", "device", 1, "library"), ("static", "device", 1, "library"),
    ("dynamic", "auto", 1, "library"), ("dynamic", "socket", 1, "library"),
    ("dynamic", "device", 0, "hypercalls")])
def test_a_page_that_its_own_domain_mapped_and_unmapped_reads_ones_and_loses_writes(
        compiled, kind, way, domain, how):
    done = harness.gntsim("run", "--domain", domain, "--profile", "pvh", "--way", way, "--",
                          compiled("hole", kind), how, domain)
    assert (done.returncode, done.stdout) == (0, "done\n"), done
    assert "maps its own page" in done.stderr


def lost_page(program, mapper):
    """The program's page, which the mapper, of the same domain, has mapped and unmapped."""
    region, (ref,) = program.share(1, 1)
    program.poke(region, 3, 7)
    mapped = mapper.map("rw", 1, ref)
    assert mapper.peek(mapped, 3) == 7
    mapper("unmap", mapped)
    return region


def test_a_page_that_another_program_of_the_domain_mapped_and_unmapped_is_lost(machine):
    program, mapper = machine.new(1, "pvh"), machine.new(1)
    region = lost_page(program, mapper)
    assert [program.peek(region, at) for at in (0, 3, PAGE - 1)] == [255, 255, 255]
    assert program("poke", region, 5, 9) == "255"
    machine.audit()
    program.kill()
    machine.audit()


def test_a_page_stays_as_long_as_one_mapping_of_it_does(machine):
    program = machine.new(1, "pvh")
    region, (ref,) = program.share(1, 1)
    first, second = program.map("rw", 1, ref), program.map("rw", 1, ref)
    program.poke(region, 3, 7)
    program("unmap", first)
    assert program.peek(second, 3) == program.peek(region, 3) == 7
    program("unmap", second)
    assert program.peek(region, 3) == 255


def test_a_pv_domain_keeps_a_page_that_it_maps_itself(machine):
    program = machine.new(1, "pv")
    region = lost_page(program, program)
    assert program.peek(region, 3) == 7
    program.poke(region, 3, 8)


def test_a_replay_loses_the_same_pages(serve, place, compiled):
    trace = place / "trace.jsonl"
    machine = serve("--trace", trace)
    program = machine.agent(1, compiled("agent"), "pvh")
    region = lost_page(program, program)
    program("poke", region, 5, 9)
    machine.stop()
    done = harness.gntsim("replay", trace)
    assert done.returncode == 0, done.stdout + done.stderr
