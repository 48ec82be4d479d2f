# SPDX-License-Identifier: MIT
"""A suspended and resumed domain keeps kernel, programs and open files, and gets new hypervisor
state."""
import os
import subprocess
import threading

import pytest

import harness
from control import Control


@pytest.fixture
def control(machine):
    control = Control(machine)
    yield control
    control.close()


def pair(machine, count=1, profile=None):
    granter, mapper = machine.new(1, profile), machine.new(2, profile)
    region, refs = granter.share(count, 2)
    return granter, mapper, region, refs


def domains(machine):
    return {d["domain"]: d for d in machine.json("domain", "list") if d["state"] == "alive"}


@pytest.mark.parametrize("profile", ["pv", "pvh", "legacy"])
def test_old_files_go_on_and_what_they_grant_is_gone(machine, control, profile):
    granter, mapper, region, refs = pair(machine, profile=profile)
    granter.poke(region, 0, 9)
    assert control.domain_suspend(domain=1) == {"domain": 3}
    assert granter.peek(region, 0) == 9, "memory stays"
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    assert mapper.error("map", "rw", "3:%d" % refs[0]) == "EINVAL"
    region, refs = granter.share(1, 2)
    theirs, their_refs = mapper.share(1, 3)
    mapped, back = mapper.map("rw", 3, refs[0]), granter.map("rw", 2, their_refs[0])
    granter.poke(region, 5, 17)
    mapper.poke(theirs, 6, 18)
    assert (mapper.peek(mapped, 5), granter.peek(back, 6)) == (17, 18)
    machine.audit()


def test_what_a_peer_has_mapped_stays_mapped_and_the_dead_half_goes_with_it(machine, control):
    granter, mapper, region, refs = pair(machine)
    mapped = mapper.map("rw", 1, refs[0])
    granter.poke(region, 0, 9)
    control.domain_suspend(domain=1)
    assert mapper.peek(mapped, 0) == 9
    assert "still mapped" in control.refused("domain-create", domain=1)
    assert "exists already" in control.refused("domain-suspend", domain=3, **{"as": 2})
    machine.audit()
    mapper("unmap", mapped)
    control.domain_create(domain=1)
    assert machine.exec(1, "true").returncode == 0
    machine.audit()


def test_what_it_had_mapped_is_given_back_once(machine, control):
    granter, mapper, _, refs = pair(machine, 3)
    mapped = mapper.map("rw", 1, *refs)
    control.domain_suspend(domain=2)
    assert domains(machine)[3]["maptrack_in_use"] == 0
    region, more = granter.share(3, 3)
    again = mapper.map("rw", 1, *more)
    mapper("unmap", mapped)
    mapper.poke(again, 1, 44)
    assert granter.peek(region, 1) == 44, "the old mapping's end is not the new one's"
    machine.audit()
    mapper("unmap", again)
    assert domains(machine)[3]["maptrack_in_use"] == 0
    machine.audit()


def test_an_old_port_is_notified_without_an_error_and_its_reader_waits(machine, control):
    ours, theirs = machine.new(1), machine.new(2)
    port = ours.unbound(2)
    local = theirs.bind(1, port)
    ours.send("wait", harness.PATIENCE * 1000)
    control.domain_suspend(domain=1)
    theirs("evtchn-notify", local)
    other = machine.new(3)
    fresh = other.unbound(2)
    assert fresh == port, "the hypervisor begins anew"
    other("evtchn-unbind", fresh)
    assert not ours.answered(), "a read waits"
    ours.kill()
    machine.audit()


def test_an_old_port_can_be_notified_unmasked_and_unbound_and_bound_anew(machine, control):
    ours, theirs = machine.new(1), machine.new(2)
    port = ours.unbound(2)
    theirs.bind(1, port)
    control.domain_suspend(domain=1)
    ours("evtchn-notify", port)
    ours("evtchn-unmask", port)
    assert ours.wait(0) is None
    assert ours.error("evtchn-unbound", 2) == "EEXIST", "the number is taken in this file"
    ours("evtchn-unbind", port)
    assert ours.error("evtchn-notify", port) == "ENOTCONN"
    assert ours.unbound(2) == port
    local = theirs.bind(3, port)
    theirs("evtchn-notify", local)
    assert ours.wait() == port
    machine.audit()


def test_programs_stay_in_their_domain_when_another_gets_its_old_number(machine, control):
    agent = machine.new(1)
    agent.share(1, 2)
    control.domain_suspend(domain=1, **{"as": 3})
    control.domain_create(domain=1)
    stranger = machine.new(1)
    port = agent.unbound(2)
    assert (domains(machine)[3]["ports"], domains(machine)[1]["ports"]) == (3, 2), \
        "what it opens now is in its own domain, too"
    agent("evtchn-notify", port)
    _, refs = stranger.share(1, 2)
    mapper = machine.new(2)
    assert mapper.map("rw", 1, refs[0]) >= 0
    machine.must("domain", "destroy", 1)
    assert stranger.process.wait(harness.PATIENCE) != 0
    assert agent.pid and agent.process.poll() is None
    late = machine.new(3)
    late.share(1, 2)
    machine.must("domain", "destroy", 3)
    assert agent.process.wait(harness.PATIENCE) != 0 and late.process.wait(harness.PATIENCE) != 0


def test_a_domain_is_suspended_at_a_point(machine, control):
    granter, mapper, _, refs = pair(machine)
    rule = control.fault("map_grant_ref", {"suspend": 1}, domain=2)
    mapper.map("rw", 1, refs[0])
    assert control.fired(rule) == 1
    harness.eventually(lambda: 3 in domains(machine), "it goes on as domain 3")
    granter.share(1, 2)
    machine.audit()


@pytest.mark.parametrize("at", ["ioctl", "mmap", "map_grant_ref", "open"])
def test_a_program_does_not_notice_a_suspend_in_the_middle_of_its_own_calls(machine, control, at):
    granter, mapper, _, refs = pair(machine)
    control.fault(at, {"suspend": 2}, domain=2, skip=0)
    mapper.send("map", "rw", "1:%d" % refs[0])
    assert mapper.answer().split()[0] in ("ok", "err")
    if at == "open":
        machine.new(2).share(1, 1)
    harness.eventually(lambda: 3 in domains(machine), "it is suspended")
    mapper.share(1, 1)
    _, again = granter.share(1, 3)
    mapper.map("rw", 1, again[0])
    machine.audit()


def test_a_paused_call_goes_on_after_a_suspend(machine, control):
    granter, mapper, _, refs = pair(machine)
    control.fault("ioctl", {"pause": True}, domain=2, device="gntdev", ioctl="MAP_GRANT_REF")
    mapper.send("map", "rw", "1:%d" % refs[0])
    harness.eventually(control.paused, "a call is paused")
    control.domain_suspend(domain=2)
    paused = control.paused()
    assert paused[0]["domain"] == 3
    control.resume(id=paused[0]["id"])
    assert mapper.answer() == "err EINVAL", "the reference is for domain 2"
    granter.share(1, 3)
    machine.audit()


def test_programs_map_and_notify_while_their_domain_is_suspended_again_and_again(machine, control):
    granter, mapper = machine.new(1), machine.new(2)
    stop = threading.Event()

    def suspend():
        now = 2
        while not stop.is_set():
            now = control.domain_suspend(domain=now)["domain"]

    region, refs = granter.share(4, 2)
    thread = threading.Thread(target=suspend)
    thread.start()
    try:
        for _ in range(60):
            mapper.send("map", "rw", *("1:%d" % ref for ref in refs))
            answer = mapper.answer().split()
            assert answer[0] == "ok" or answer[1] == "EINVAL", answer
            if answer[0] == "ok":
                mapper("unmap", answer[1])
            own, _ = mapper.share(1, 1)
            mapper("unshare", own)
    finally:
        stop.set()
        thread.join()
    assert granter.peek(region, 0) == 0
    machine.audit()
    mapper.end()
    granter.end()
    machine.quiet()


def test_a_suspend_is_replayed_event_by_event(serve, compiled, place):
    path = place / "trace.jsonl"
    machine = serve("--trace", path)
    control = Control(machine)
    granter, mapper = (machine.agent(domain, compiled("agent")) for domain in (1, 2))
    _, refs = granter.share(2, 2)
    mapped = mapper.map("rw", 1, *refs)
    port = granter.unbound(2)
    granter.send("wait", harness.PATIENCE * 1000)
    control.domain_suspend(domain=1)
    mapper("unmap", mapped)
    granter2 = machine.agent(3, compiled("agent"))
    assert granter2.unbound(2) == port
    granter2.share(1, 2)
    control.domain_suspend(domain=3, grant_version=2, **{"as": 1})
    mapper.share(1, 1)
    granter2("evtchn-notify", port)
    granter.kill()
    granter2.end()
    mapper.end()
    control.close()
    machine.stop()
    assert '"domain_suspend"' in path.read_text()
    events = path.read_text().count("\n")
    done = harness.gntsim("replay", path)
    assert (done.returncode, done.stdout) == (0, "replay: %d events, all as recorded\n" % events), \
        done


def test_a_driver_in_the_kernel_has_its_pages_and_writes_its_grants_anew(machine, control):
    control.domain_create(domain=1)
    mapper = machine.new(2)
    page = control.guest_page(domain=1)["page"]
    control.guest_write(domain=1, page=page, offset=3, hex="2a")
    ref = control.guest_grant(domain=1, page=page, to=2)["ref"]
    mapped = mapper.map("rw", 1, ref)
    control.domain_suspend(domain=1)
    assert control.guest_read(domain=3, page=page, offset=3, size=1)["hex"] == "2a"
    assert mapper.error("map", "rw", "3:%d" % ref) == "EINVAL"
    ref = control.guest_grant(domain=3, page=page, to=2)["ref"]
    again = mapper.map("rw", 3, ref)
    assert mapper.peek(again, 3) == 0x2a
    mapper("unmap", mapped)
    mapper("unmap", again)
    machine.audit()


def test_parameters_go_on(machine, control):
    if os.environ.get("GNTSIM_WAY") == "socket":
        pytest.skip("no /sys/module over the socket way")
    machine.exec(1, "sh", "-c", "echo 3 > /sys/module/xen_gntalloc/parameters/limit")
    holder = machine.popen(1, "sh", "-c", "echo ready; read x; cat "
                           "/sys/module/xen_gntalloc/parameters/limit", stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "ready\n"
    control.domain_suspend(domain=1)
    assert holder.communicate("\n")[0] == "3\n"
    assert machine.exec(2, "cat", "/sys/module/xen_gntalloc/parameters/limit").stdout == "3\n"
