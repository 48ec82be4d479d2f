# SPDX-License-Identifier: MIT
"""Debian's unmodified tools for a domain's memory: xenpaging, xen-memshare, xen-access and
test-paging-mempool. Skipped where they are not installed."""
import signal
import subprocess
from pathlib import Path

import pytest

import harness

TOOLS = sorted(Path("/usr/lib").glob("xen-[0-9]*/bin/xenpaging"))
PAGE = 4096
TARGET = "/local/domain/1/memory/target-tot_pages"
KIB = PAGE // 1024

pytestmark = pytest.mark.skipif(not TOOLS, reason="Debian's xen-utils-4.17 are not there")


def tool(name):
    return TOOLS[-1].with_name(name)


@pytest.fixture
def machine(serve):
    return serve("--way", "device")


def out(machine, name, *words, status=0):
    return machine.out(0, tool(name), *words, status=status)


# ---- xenpaging -----------------------------------------------------------------------------------

class Paging:
    """Domain 1, a program of it with pages that say who they are, and a pager."""
    NR = 48

    def __init__(self, machine, program, place):
        self.machine, self.file = machine, place / "pages"
        machine.must("domain", "create", "1", "--type", "hvm")
        self.program = machine.agent(1, program)
        self.region, self.refs = self.program.share(self.NR, 2)
        for page in range(self.NR):
            self.program.poke(self.region, page * PAGE + page, page + 1)
        self.pages = machine.domain(1)["pages"]

    def begin(self):
        ports = self.machine.domain(1)["ports"]
        pager = self.machine.popen(0, tool("xenpaging"), "-d", "1", "-f", self.file, "-m", "1024",
                                   stdin=subprocess.DEVNULL, stderr=self.machine.errors)
        harness.eventually(lambda: pager.poll() is not None or
                           self.machine.domain(1)["ports"] > ports, "the pager has its ring")
        return pager

    def target(self, pages):
        self.machine.must("store", "write", TARGET, pages * KIB)

    def is_out(self, pages):
        harness.eventually(lambda: self.machine.domain(1)["paged_out"] == pages,
                           lambda: "%d pages are out: %s" % (pages, self.machine.domain(1)))

    def intact(self):
        return all(self.program.peek(self.region, page * PAGE + page) == page + 1
                   for page in range(self.NR))


@pytest.fixture
def paging(machine, compiled, place):
    return Paging(machine, compiled("agent"), place)


def test_xenpaging_pages_a_domain_out_to_its_target_and_in_again(paging):
    pager = paging.begin()
    paging.target(20)
    # The ring's page is the domain's, too.
    paging.is_out(paging.pages + 1 - 20)
    assert paging.machine.domain(1)["pages"] == 20
    paging.machine.audit()
    paging.target(0)
    paging.is_out(0)
    assert paging.intact()
    pager.send_signal(signal.SIGTERM)
    assert pager.wait(harness.PATIENCE) == 0
    paging.machine.audit()


def test_xenpaging_brings_all_back_when_it_is_told_to_end_and_begins_again(paging):
    for _ in range(2):
        pager = paging.begin()
        paging.target(20)
        paging.is_out(paging.pages + 1 - 20)
        pager.send_signal(signal.SIGTERM)
        assert pager.wait(harness.PATIENCE) == 0
        assert paging.machine.domain(1)["paged_out"] == 0
        paging.target(0)
    assert paging.intact()
    paging.machine.audit()


def test_a_pager_that_was_killed_has_left_its_ring_and_another_one_says_so(paging):
    pager = paging.begin()
    paging.target(20)
    paging.is_out(paging.pages + 1 - 20)
    pager.kill()
    pager.wait(harness.PATIENCE)
    assert paging.begin().wait(harness.PATIENCE) == 1
    paging.machine.says("xenpaging is (or was) active on this domain")
    paging.machine.audit()


def test_a_program_that_writes_to_a_page_that_is_out_waits_for_the_pager(paging):
    pager = paging.begin()
    paging.target(4)
    paging.is_out(paging.pages + 1 - 4)
    harness.stop(pager)
    paging.program.send("poke", paging.region, 20 * PAGE, 99)
    paging.machine.audit()
    assert not paging.program.answered()
    pager.send_signal(signal.SIGCONT)
    assert paging.program.result() == "99"
    assert paging.program.peek(paging.region, 20 * PAGE) == 99
    assert paging.intact()
    for page in range(paging.NR):
        paging.program.poke(paging.region, page * PAGE + 1, 100 + page)
    assert [paging.program.peek(paging.region, page * PAGE + 1)
            for page in range(paging.NR)] == list(range(100, 100 + paging.NR))
    paging.machine.audit()


def test_a_peer_that_maps_a_page_that_is_out_gets_it_from_the_pager(paging, compiled):
    mapper = paging.machine.agent(2, compiled("agent"), "pvh")
    paging.begin()
    paging.target(4)
    paging.is_out(paging.pages + 1 - 4)
    mapped = mapper.map("r", 1, paging.refs[7])
    assert mapper.peek(mapped, 7) == 8
    paging.machine.audit()


def test_pages_that_a_domain_frees_while_they_are_out_are_gone(paging):
    pager = paging.begin()
    paging.target(4)
    paging.is_out(paging.pages + 1 - 4)
    paging.program("unshare", paging.region)
    paging.target(0)
    paging.is_out(0)
    pager.send_signal(signal.SIGTERM)
    assert pager.wait(harness.PATIENCE) == 0
    paging.machine.audit()


# ---- xen-memshare --------------------------------------------------------------------------------

class Sharing:
    """Two domains that a toolstack made, whose pages are alike."""

    def __init__(self, machine, program):
        self.machine, self.program = machine, program
        self.a, self.b = (self.stack("make", "hvm", 16) for _ in range(2))
        for domain in (self.a, self.b):
            self.stack("fill", domain, 5, 77)

    def stack(self, *words):
        done = self.machine.exec(0, self.program, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def memshare(self, *words):
        return out(self.machine, "xen-memshare", *words)

    def nominate(self, domain, gfn):
        text = self.memshare("nominate", domain, str(gfn))
        assert text.startswith("handle = 0x"), text
        return text.split()[-1]

    def info(self):
        """Frames that are shared, and those that this saves; the equation holds. Debian's tool
        has mixed up its two labels: what it calls freed is used, and the reverse."""
        freed, used = (int(line.split(" = ")[1])
                       for line in self.memshare("info").splitlines())
        shared = sum(int(self.stack("info", domain).split()[1]) for domain in (self.a, self.b))
        assert shared == used + freed
        self.machine.audit()
        return used, freed


@pytest.fixture
def sharing(machine, compiled):
    return Sharing(machine, compiled("toolstack"))


def test_xen_memshare_shares_two_pages_and_unshares_one(sharing):
    for domain in (sharing.a, sharing.b):
        sharing.memshare("enable", domain)
    assert sharing.info() == (0, 0)
    source, client = sharing.nominate(sharing.a, 5), sharing.nominate(sharing.b, 5)
    assert sharing.info() == (2, 0)
    sharing.memshare("share", sharing.b, "5", client, sharing.a, "5", source)
    assert sharing.info() == (1, 1)
    sharing.memshare("debug-gfn", sharing.a, "5")
    assert sharing.memshare("audit") == "Audit returned 0 errors.\n"
    sharing.memshare("unshare", sharing.b, "5")
    assert sharing.info() == (1, 0)
    assert sharing.stack("read", sharing.b, 5) == "77"
    sharing.stack("fill", sharing.b, 5, 78)
    assert sharing.stack("read", sharing.a, 5) == "77"
    for domain in (sharing.a, sharing.b):
        sharing.memshare("disable", domain)
    assert sharing.info() == (1, 0)


def test_xen_memshare_shares_a_range_and_adds_a_page_where_none_was(sharing):
    for domain in (sharing.a, sharing.b):
        sharing.memshare("enable", domain)
    sharing.memshare("range", sharing.a, sharing.b, "0", "7")
    assert sharing.info() == (8, 8)
    source = sharing.nominate(sharing.a, 5)
    sharing.memshare("add-to-physmap", sharing.b, "20", sharing.a, "5", source)
    assert sharing.info() == (8, 9)
    assert sharing.stack("read", sharing.b, 20) == "77"
    sharing.stack("destroy", sharing.a)
    sharing.a = sharing.b
    assert sharing.memshare("info") == "used = 1\nfreed = 8\n"
    sharing.stack("destroy", sharing.b)
    assert sharing.memshare("info") == "used = 0\nfreed = 0\n"
    sharing.machine.audit()


# ---- xen-access, and Xen's own test --------------------------------------------------------------

def test_xen_access_listens_to_writes_until_it_is_interrupted(machine):
    machine.must("domain", "create", "1", "--type", "hvm")
    ports = machine.domain(1)["ports"]
    listener = machine.popen(0, tool("xen-access"), "1", "write", stdin=subprocess.DEVNULL,
                             stdout=machine.errors, stderr=machine.errors)
    machine.says("starting write 1")
    assert machine.domain(1)["ports"] == ports + 1
    listener.send_signal(signal.SIGINT)
    assert listener.wait(harness.PATIENCE) == 0
    machine.says("xenaccess shut down on signal 2")
    assert machine.domain(1)["ports"] == ports
    machine.audit()


@pytest.mark.parametrize("what, named", [
    ("breakpoint", "for software breakpoints of a vCPU: not modelled"),
    ("debug", "for debug exceptions of a vCPU: not modelled"),
    ("altp2m_write", "made hypercall hvm_op (34), command 25, which is not modelled")])
def test_the_first_feature_of_a_vcpu_that_xen_access_misses_is_named(machine, what, named):
    machine.must("domain", "create", "1", "--type", "hvm")
    assert machine.exec(0, tool("xen-access"), "1", what).returncode != 0
    machine.says(named)
    machine.audit()


def test_xens_own_test_of_paging_pools_passes(machine):
    assert "Fail" not in out(machine, "test-paging-mempool")
    machine.audit()
