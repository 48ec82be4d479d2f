# SPDX-License-Identifier: MIT
"""A domain whose kernel is a process (hv-remote), beside ordinary processes in other domains."""
import json
import os
import socket
import subprocess

import pytest

import harness
from control import Control

BUILT = os.path.join(os.environ.get("GNTSIM_BUILD") or str(harness.SOURCE / "build"), "tests",
                     "system")
KERNEL, EXAMPLE = os.path.join(BUILT, "remote-kernel"), os.path.join(BUILT, "remote-example")
DOMAIN = 2
OKAY, GENERAL_ERROR, BAD_GNTREF = 0, -1, -3


@pytest.fixture(params=["pv", "pvh"])
def kernel(machine, request):
    return attach(machine, request.param)


@pytest.fixture
def control(machine):
    control = Control(machine)
    yield control
    control.close()


def attach(machine, profile="pv", domain=DOMAIN):
    agent = harness.Agent([KERNEL, str(machine.dir), str(domain), profile], machine.errors)
    machine.agents.append(agent)
    agent.result("attach")
    return agent


def in_use(machine, domain):
    return len(machine.json("dump", "maptrack", domain)["maptrack"])


def test_what_it_grants_an_ordinary_process_maps(machine, kernel):
    peer = machine.new(1)
    index, ref = map(int, kernel("grant", 1, "rw").split())
    kernel("poke", index, 5, 55)
    region = peer.map("rw", DOMAIN, ref)
    assert peer.peek(region, 5) == 55
    peer.poke(region, 6, 66)
    assert int(kernel("peek", index, 6)) == 66
    assert kernel("end", index) == "0"                   # in use
    peer("unmap", region)
    assert kernel("end", index) == "1"
    assert int(kernel("audit")) == 0
    machine.audit()


def test_it_maps_what_an_ordinary_process_grants(machine, kernel):
    peer = machine.new(1)
    region, (ref, other) = peer.share(2, DOMAIN)
    peer.poke(region, 7, 77)
    mapping = int(kernel("map", 1, ref, "rw"))
    assert int(kernel("mapped-peek", mapping, 7)) == 77
    kernel("mapped-poke", mapping, 8, 88)
    assert peer.peek(region, 8) == 88
    assert in_use(machine, DOMAIN) == 1
    second = int(kernel("map", 1, other, "ro"))
    assert kernel("unmap", mapping) == "1"
    assert kernel("unmap", second) == "1"
    assert in_use(machine, DOMAIN) == 0
    assert kernel("map", 1, 500, "rw") == "status %d" % BAD_GNTREF or \
        kernel("map", 1, 500, "rw") == "status %d" % GENERAL_ERROR
    assert int(kernel("audit")) == 0
    machine.audit()


def test_events_go_both_ways(machine, kernel):
    peer = machine.new(1)
    port = peer.unbound(DOMAIN)
    local = int(kernel("bind", 1, port))
    assert int(kernel("wait")) == local                  # a bound port is pending from the start
    kernel("notify", local)
    assert peer.wait() == port
    peer("evtchn-unmask", port)
    peer("evtchn-notify", port)
    assert int(kernel("wait")) == local
    mine = int(kernel("unbound", 1))
    theirs = peer.bind(DOMAIN, mine)
    kernel.send("wait")
    peer("evtchn-notify", theirs)
    assert int(kernel.result()) == mine
    machine.audit()


def test_two_such_kernels_share_a_page(machine):
    one, two = attach(machine, "pv", 5), attach(machine, "pvh", 6)
    index, ref = map(int, one("grant", 6, "rw").split())
    mapping = int(two("map", 5, ref, "rw"))
    two("mapped-poke", mapping, 1, 11)
    assert int(one("peek", index, 1)) == 11
    machine.audit()


def test_a_long_array_goes_in_pieces(machine, kernel):
    peer = machine.new(1)
    region, (ref,) = peer.share(1, DOMAIN)
    peer.poke(region, 4090, 90)
    index, _ = map(int, kernel("grant", 1, "rw").split())
    assert int(kernel("copies", 1, ref, index, 3000)) == 3000
    assert int(kernel("peek", index, 4090)) == 90
    machine.audit()


def test_an_array_that_ends_in_nothing_faults_there(machine, kernel):
    peer = machine.new(1)
    _, (ref,) = peer.share(1, DOMAIN)
    index, _ = map(int, kernel("grant", 1, "rw").split())
    assert kernel("narrow", 1, ref, index, 4, 4) == "0 4"
    assert kernel("narrow", 1, ref, index, 2, 4) == "-14 2"
    assert kernel("narrow", 1, ref, index, 0, 4) == "-14 0"
    assert kernel("narrow", 1, ref, index, 4, 3) == "-14 3"
    machine.audit()


def test_an_end_that_must_wait_is_made_up_for_later(machine, kernel):
    peer = machine.new(1)
    index, ref = map(int, kernel("grant", 1, "rw").split())
    region = peer.map("rw", DOMAIN, ref)
    assert kernel("give-up", index) == "1"
    peer("unmap", region)
    harness.eventually(lambda: kernel("deferred") == "0", "the deferred end")
    machine.audit()


def test_version_2_and_back(machine, kernel):
    peer = machine.new(1)
    assert kernel("version", 2) == "2"
    index, ref = map(int, kernel("grant", 1, "rw").split())
    region = peer.map("rw", DOMAIN, ref)
    assert kernel.error("version", 1) == "EBUSY"
    peer("unmap", region)
    assert kernel("end", index) == "1"
    assert kernel("version", 1) == "1"
    assert kernel("version", 2) == "2"
    index, ref = map(int, kernel("grant", 1, "rw").split())
    assert kernel("end", index) == "1"
    machine.audit()


def test_an_address_that_the_kernel_did_not_mean_for_grants_is_refused(machine):
    kernel, peer = attach(machine), machine.new(1)
    _, (ref,) = peer.share(1, DOMAIN)
    assert kernel("map-at", 1, ref, "rw", 0x7000) == "%d 4711 4712" % GENERAL_ERROR
    assert in_use(machine, DOMAIN) == 0
    mapping = kernel("map", 1, ref, "rw")
    kernel("unmap", mapping)
    machine.audit()


def test_the_death_of_its_process_is_the_end_of_the_domain(machine, kernel):
    free = machine.stats()["frames_free"]
    peer = machine.new(1)
    _, (mine,) = peer.share(1, DOMAIN)
    _, ref = map(int, kernel("grant", 1, "rw").split())
    region = peer.map("rw", DOMAIN, ref)
    kernel("map", 1, mine, "rw")
    kernel.kill()
    harness.eventually(lambda: not in_machine(machine, DOMAIN), "domain %d is gone" % DOMAIN)
    machine.audit()
    peer.poke(region, 0, 1)                              # what is mapped lives on
    peer("unmap", region)
    peer.end()
    machine.must("domain", "destroy", 1)
    machine.frames_are_back(free)
    machine.audit()
    attach(machine)                                      # the id is free again


def in_machine(machine, domain):
    return any(row["domain"] == domain and row["state"] == "alive"
               for row in machine.json("domain", "list"))


def test_it_is_told_when_its_domain_is_destroyed(machine, kernel):
    peer = machine.new(1)
    _, ref = map(int, kernel("grant", 1, "rw").split())
    kernel.send("wait-gone")
    machine.must("domain", "destroy", DOMAIN)
    assert kernel.result() == "gone"
    assert not in_machine(machine, DOMAIN)
    with pytest.raises(harness.Refused):
        peer.map("rw", DOMAIN, ref)
    machine.audit()


def test_a_fault_destroys_its_domain_in_the_middle_of_a_hypercall(machine, kernel, control):
    peer = machine.new(1)
    _, (ref,) = peer.share(1, DOMAIN)
    control.fault("map_grant_ref", {"destroy": DOMAIN}, domain=DOMAIN)
    assert kernel("map", 1, ref, "rw").startswith("status ")
    assert kernel("wait-gone") == "gone"
    assert not in_machine(machine, DOMAIN)
    machine.audit()


def test_it_detaches_in_good_order(machine, kernel):
    kernel("grant", 1, "rw")
    assert kernel("detach") == "bye"
    assert kernel.process.wait(harness.PATIENCE) == 0
    assert not in_machine(machine, DOMAIN)
    machine.audit()


def test_garbage_is_dropped_and_said_so(machine, kernel):
    for size in (1, 31, 33, 4096):
        kernel("garbage", size)
    index, _ = map(int, kernel("grant", 1, "rw").split())
    kernel("poke", index, 0, 1)
    machine.says("sent garbage", 4)
    machine.audit()


def test_too_much_garbage_ends_the_domain(machine, kernel):
    for _ in range(20):
        kernel("garbage", 7)
    assert kernel("wait-gone") == "gone"
    machine.says("sent garbage", 8)
    machine.audit()


def test_answers_that_nobody_reads_end_the_domain(machine, kernel):
    assert int(kernel("flood")) > 1
    machine.says("does not read what it is answered")
    harness.eventually(lambda: not in_machine(machine, DOMAIN), "the domain is gone")
    machine.audit()


def test_requests_with_any_numbers_are_answered(machine, kernel):
    peer = machine.new(1)
    _, (ref,) = peer.share(1, DOMAIN)
    foreign = machine.json("dump", "frames", 1)["frames"][0]["mfn"]
    huge = (1 << 64) - 1
    for call in range(1, 16):
        for argument in (0, 1, huge, 1 << 32, foreign):
            if (call, argument) != (8, 0):               # gfn 0 is its own page
                kernel("request", call, argument, huge, huge)
    assert int(kernel("request", 2, foreign)) < 0        # nobody else's frames
    assert int(kernel("request", 3, foreign)) < 0
    assert int(kernel("request", 4, foreign)) < 0
    for op in (20, 32, 12, 1, huge):
        for command in range(14):
            kernel("request", 0, op, command, 0x1000)
    assert ref
    machine.audit()


@pytest.mark.parametrize("seed", range(1, 7))
def test_requests_at_random_leave_the_books_in_order(machine, seed):
    peer = machine.new(1)
    peer.share(8, DOMAIN)
    player = harness.Agent([KERNEL, str(machine.dir), str(DOMAIN), "random", str(seed), "5000"],
                           machine.errors)
    machine.agents.append(player)
    answered, lives = map(int, player.result().split())
    assert answered > 5000 - 2 * lives
    harness.eventually(lambda: not in_machine(machine, DOMAIN), "domain %d is gone" % DOMAIN)
    machine.audit()


def test_the_example_of_the_guide(machine):
    example = subprocess.Popen([EXAMPLE, machine.dir], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    machine.others.append(example)
    ref = int(example.stdout.readline().removeprefix("reference "))
    peer = machine.new(1)
    region = peer.map("rw", DOMAIN, ref)
    assert peer.peek(region, 0) == ord("h")
    peer.poke(region, 0, ord("j"))
    peer("unmap", region)
    assert example.communicate("\n", timeout=harness.PATIENCE)[0] == "it says: jello\n"
    assert example.returncode == 0
    machine.audit()


def test_an_id_that_is_taken_is_refused_with_words(machine, kernel):
    second = harness.Agent([KERNEL, str(machine.dir), str(DOMAIN), "pv"], machine.errors)
    machine.agents.append(second)
    assert second.answer().startswith("err EEXIST cannot create domain 2: it exists already")
    assert second.process.wait(harness.PATIENCE) == 1


def test_no_machine_is_said_with_words(place):
    lonely = harness.Agent([KERNEL, str(place), str(DOMAIN), "pv"], None)
    assert lonely.answer().startswith("err ENOENT no machine answers at ")
    assert lonely.process.wait(harness.PATIENCE) == 1


def test_it_is_listed_with_the_process_that_it_is(machine, kernel):
    (row,) = [row for row in machine.json("domain", "list") if row["domain"] == DOMAIN]
    assert row["kernel"] == kernel.pid
    assert row["state"] == "alive"


def test_no_program_can_be_in_its_domain(machine, kernel, control):
    done = machine.exec(DOMAIN, "true")
    assert done.returncode != 0
    assert "the kernel of domain 2 is a process of its own: no program can be in it" in done.stderr
    assert "for that process to do" in control.refused("guest-page", domain=DOMAIN)


def test_a_request_of_another_version_is_refused(machine):
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(machine.dir / "control"))
        control.sendall(b'{"verb": "kernel-attach", "domain": 9, "version": 999}\n')
        assert json.loads(control.makefile().readline())["result"] == {"errno": 71}
    assert not in_machine(machine, 9)


def test_the_machine_stops_with_one_attached(machine, kernel):
    kernel("grant", 1, "rw")
    machine.must("shutdown")
    assert machine.server.wait(harness.PATIENCE) == 0
    assert kernel("state") == "-3"
