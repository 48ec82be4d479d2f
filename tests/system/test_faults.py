# SPDX-License-Identifier: MIT
"""Faults on demand: rules over the control socket, and what programs see of them."""
import json
import signal
import subprocess

import pytest

import harness
from control import Control


@pytest.fixture
def control(machine):
    control = Control(machine)
    yield control
    control.close()


def pair(machine, count=1, profile=None):
    granter, mapper = machine.new(1), machine.new(2, profile)
    region, refs = granter.share(count, 2)
    return granter, mapper, region, refs


# ---- Operations of the hypervisor


def test_one_element_of_a_batch_gets_a_status_and_the_mapping_fails(machine, control):
    _, mapper, _, refs = pair(machine, 3)
    rule = control.fault("map_grant_ref", {"status": "bad_gntref"}, index=1, domain=2)
    assert mapper.error("map", "rw", *("1:%d" % ref for ref in refs)) == "EINVAL"
    assert control.fired(rule) == 1
    assert mapper.map("rw", 1, *refs) >= 0, "once only"
    machine.audit()


def test_a_rule_chooses_by_reference_and_peer(machine, control):
    _, mapper, _, refs = pair(machine, 3)
    rule = control.fault("map_grant_ref", {"status": "permission_denied"}, ref=refs[2], peer=1,
                         times=0)
    other = control.fault("map_grant_ref", {"status": "permission_denied"}, peer=7, times=0)
    assert mapper.map("rw", 1, *refs[:2]) >= 0
    assert mapper.error("map", "rw", "1:%d" % refs[2]) == "EINVAL"
    assert control.fired(rule) >= 1 and control.fired(other) == 0


def test_a_rule_chooses_by_the_size_of_the_batch_and_by_writing(machine, control):
    _, mapper, _, refs = pair(machine, 2)
    rule = control.fault("map_grant_ref", {"status": "general_error"}, count=2, times=0)
    read_only = control.fault("map_grant_ref", {"status": "general_error"}, count=1, writable=False,
                              times=0)
    assert mapper.map("rw", 1, refs[0]) >= 0
    assert mapper.error("map", "rw", "1:%d" % refs[0], "1:%d" % refs[1]) == "EINVAL"
    assert mapper.error("map", "r", "1:%d" % refs[0]) == "EINVAL"
    assert control.fired(rule) >= 1 and control.fired(read_only) >= 1


def test_a_whole_hypercall_can_fail(machine, control):
    _, mapper, _, refs = pair(machine)
    rule = control.fault("map_grant_ref", {"hypercall": "EFAULT"}, domain=2)
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EFAULT"
    assert control.fired(rule) == 1
    machine.audit()


def test_an_event_channel_operation_can_fail(machine, control):
    agent = machine.new(1)
    control.fault("evtchn_alloc_unbound", {"hypercall": "ENOSPC"})
    assert agent.error("evtchn-unbound", 2) == "ENOSPC"
    assert agent.unbound(2) > 0


def test_a_page_is_really_paged_out_and_the_program_goes_on_when_it_is_back(machine, control):
    _, mapper, _, refs = pair(machine, 2, "pvh")
    rule = control.fault("map_grant_ref", {"page_out": True}, ref=refs[1])
    mapper.send("map", "rw", *("1:%d" % ref for ref in refs))
    harness.eventually(lambda: control.fired(rule), "the page goes out")
    assert [d["paged_out"] for d in machine.json("domain", "list") if d["domain"] == 1] == [1]
    machine.must("page-in", 1, refs[1])
    assert int(mapper.result()) >= 0
    machine.audit()


def test_eagain_some_times_and_then_success(machine, control):
    _, mapper, _, refs = pair(machine, 1, "pvh")
    rule = control.fault("map_grant_ref", {"status": "eagain"}, domain=2, times=5)
    assert mapper.map("rw", 1, refs[0]) >= 0
    assert control.fired(rule) == 5


# ---- Devices


@pytest.mark.parametrize("at, more, command, error", [
    ("open", {"device": "gntalloc"}, ("open", "gntalloc"), "ENOMEM"),
    ("mmap", {"device": "gntdev"}, ("map", "rw", "1:{ref}"), "ENODEV"),
    ("ioctl", {"ioctl": "MAP_GRANT_REF"}, ("map", "rw", "1:{ref}"), "ENOSPC"),
    ("ioctl", {"device": "gntalloc", "ioctl": "ALLOC_GREF"}, ("share", 1, 1, "rw"), "EPERM"),
    ("ioctl", {"device": "evtchn", "ioctl": "BIND_UNBOUND_PORT"}, ("evtchn-unbound", 1), "EMFILE"),
])
def test_a_device_call_fails_with_the_errno_wanted_and_works_the_next_time(machine, control, at,
                                                                           more, command, error):
    _, mapper, _, refs = pair(machine)
    rule = control.fault(at, {"errno": error}, domain=2, **more)
    words = [str(word).format(ref=refs[0]) for word in command]
    assert mapper.error(*words) == error
    mapper(*words)
    assert control.fired(rule) == 1
    machine.audit()


def test_a_rule_is_for_one_process_only(machine, control):
    one, other = machine.new(1), machine.new(1)
    rule = control.fault("ioctl", {"errno": "ENOMEM"}, pid=other.pid, times=0)
    one.share(1, 2)
    assert other.error("share", 1, 2, "rw") == "ENOMEM"
    assert control.fired(rule) >= 1


def test_skip_every_and_times_count_the_matches(machine, control):
    agent = machine.new(1)
    rule = control.fault("ioctl", {"errno": "ENOMEM"}, ioctl="ALLOC_GREF", skip=2, every=2, times=2)
    results = []
    for _ in range(8):
        agent.send("share", 1, 2, "rw")
        results.append(agent.answer().startswith("ok"))
    assert results == [True, True, False, True, False, True, True, True]
    listed = next(r for r in control.fault_list() if r["id"] == rule)
    assert (listed["passed"], listed["fired"]) == (8, 2)


def drawn(serve, compiled, seed):
    machine = serve("--seed", seed)
    control = Control(machine)
    agent = machine.agent(1, compiled("agent"))
    control.fault("ioctl", {"errno": "ENOMEM"}, ioctl="ALLOC_GREF", probability=0.5, times=0)
    results = ""
    for _ in range(40):
        agent.send("share", 1, 2, "rw")
        results += "1" if agent.answer().startswith("ok") else "0"
    control.close()
    return results


def test_probability_is_drawn_from_the_machines_seed(serve, compiled):
    first, again, other = (drawn(serve, compiled, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert 5 < first.count("0") < 35


# ---- Holding and killing


def test_a_paused_call_waits_until_it_is_resumed(machine, control):
    granter, mapper, _, refs = pair(machine)
    control.fault("mmap", {"pause": True}, domain=2)
    mapper.send("map", "rw", "1:%d" % refs[0])
    paused = harness.eventually(control.paused, "the call is held")
    assert len(paused) == 1 and paused[0]["at"] == "mmap" and paused[0]["domain"] == 2
    assert not mapper.answered()
    assert machine.json("dump", "maptrack", 2)["maptrack"] == [], "it has not begun"
    control.resume(id=paused[0]["id"])
    assert int(mapper.result()) >= 0
    assert control.paused() == []
    assert "nothing is paused" in control.refused("resume", id=paused[0]["id"])
    machine.audit()


def test_a_call_paused_at_its_hypercall_has_happened_and_is_answered_later(machine, control):
    granter, mapper, _, refs = pair(machine)
    control.fault("map_grant_ref", {"pause": True}, domain=2)
    mapper.send("map", "rw", "1:%d" % refs[0])
    paused = harness.eventually(control.paused, "the answer is held")
    assert machine.json("dump", "maptrack", 2)["maptrack"] != []
    assert not mapper.answered()
    control.resume(id=paused[0]["id"])
    region = int(mapper.result())
    mapper("unmap", region)
    machine.audit()


def test_a_process_that_is_killed_while_it_is_paused_leaves_nothing(machine, control):
    granter, mapper, _, refs = pair(machine)
    control.fault("mmap", {"pause": True}, domain=2)
    mapper.send("map", "rw", "1:%d" % refs[0])
    harness.eventually(control.paused, "the call is held")
    mapper.kill()
    for paused in control.paused():
        control.resume(id=paused["id"])
    granter.end()
    machine.quiet()


def test_a_delayed_call_is_answered_in_the_end(machine, control):
    _, mapper, _, refs = pair(machine)
    rule = control.fault("ioctl", {"delay": 20_000_000}, ioctl="MAP_GRANT_REF")
    assert mapper.map("rw", 1, refs[0]) >= 0
    assert control.fired(rule) == 1


@pytest.mark.parametrize("at", ["open", "ioctl", "mmap", "map_grant_ref"])
def test_a_process_is_killed_at_a_point(machine, control, at):
    granter, mapper, _, refs = pair(machine)
    control.fault(at, {"kill": True}, domain=2)
    mapper.send("map", "rw", "1:%d" % refs[0])
    assert mapper.process.wait(harness.PATIENCE) == -signal.SIGKILL
    granter.end()
    machine.quiet()


def test_the_granter_is_destroyed_in_the_middle_of_a_batch(machine, control):
    granter, mapper, _, refs = pair(machine, 3)
    control.fault("map_grant_ref", {"destroy": 1}, index=1, domain=2)
    assert mapper.error("map", "rw", *("1:%d" % ref for ref in refs)) == "EINVAL"
    assert granter.process.wait(harness.PATIENCE) == -signal.SIGKILL
    assert [d["domain"] for d in machine.json("domain", "list") if d["state"] != "dying"] == [2]
    machine.audit()


def test_the_callers_own_domain_is_destroyed(machine, control):
    granter, mapper, _, refs = pair(machine)
    control.fault("map_grant_ref", {"destroy": 2}, domain=2)
    mapper.send("map", "rw", "1:%d" % refs[0])
    assert mapper.process.wait(harness.PATIENCE) == -signal.SIGKILL
    harness.eventually(lambda: [d["domain"] for d in machine.json("domain", "list")] == [1],
                       "the domain is gone")
    granter.end()
    machine.quiet()


# ---- Events and notifications


def channel(machine):
    one, other = machine.new(1), machine.new(2)
    port = one.unbound(2)
    local = other.bind(1, port)
    return one, port, other, local


def test_an_event_is_lost_and_the_next_one_comes(machine, control):
    one, port, other, local = channel(machine)
    rule = control.fault("event", {"drop": True}, domain=1)
    other("evtchn-notify", local)
    assert control.fired(rule) == 1
    assert one.wait(0) is None
    other("evtchn-notify", local)
    assert one.wait() == port
    machine.audit()


def test_an_event_comes_twice(machine, control):
    one, port, other, local = channel(machine)
    control.fault("event", {"double": True}, domain=1)
    other("evtchn-notify", local)
    assert one.wait() == port
    assert one.wait() == port
    assert one.wait(0) is None


def test_an_event_comes_late(machine, control):
    one, port, other, local = channel(machine)
    control.fault("event", {"late": 50_000_000}, domain=1)
    other("evtchn-notify", local)
    assert one.wait() == port
    machine.audit()


@pytest.mark.parametrize("do, byte, events", [({"drop": True}, 7, 0), ({"double": True}, 0, 1),
                                              ({"late": 1}, 0, 1)])
def test_an_unmap_notification_is_lost_doubled_or_late(machine, control, do, byte, events):
    granter, mapper = machine.new(1), machine.new(2)
    region, refs = granter.share(1, 2)
    port = granter.unbound(2)
    local = mapper.bind(1, port)
    granter.poke(region, 5, 7)
    mapped = mapper.map_notify("rw", 1, refs[0], 5, local)
    rule = control.fault("notify", do, domain=2)
    mapper("unmap", mapped)
    assert control.fired(rule) == 1
    assert granter.peek(region, 5) == byte
    if events:
        assert granter.wait() == port
    else:
        assert granter.wait(0) is None
    machine.audit()


# ---- Limits


def test_limits_of_a_domain_can_be_changed_and_are_obeyed(machine, control):
    _, mapper, _, refs = pair(machine)
    control.limit(domain=1, what="gntalloc", value=1)
    other = machine.new(1)
    assert other.error("share", 1, 2, "rw") == "ENOSPC"
    control.limit(domain=1, what="gntalloc", value=10)
    other.share(1, 2)
    control.limit(domain=2, what="maptrack_frames", value=0)
    assert mapper.error("map", "rw", "1:%d" % refs[0]) == "EINVAL"
    control.limit(domain=2, what="maptrack_frames", value=1)
    assert mapper.map("rw", 1, refs[0]) >= 0
    assert "already" in control.refused("limit", domain=2, what="maptrack_frames", value=0)
    assert "there is no limit" in control.refused("limit", domain=2, what="memory", value=0)
    assert "not a possible value" in control.refused("limit", domain=2, what="grant_frames",
                                                     value=0)


def test_a_domain_is_made_with_limits_and_a_version(machine, control):
    control.domain_create(domain=5, grant_frames=2, maptrack_frames=3, grant_version=2)
    assert [(d["max_grant_frames"], d["grant_version"])
            for d in machine.json("domain", "list")] == [(2, 2)]
    assert "limits are not possible" in control.refused("domain-create", domain=6,
                                                        grant_frames=100000)


# ---- Rules and points


def test_points_are_counted_by_name_device_and_ioctl(machine, control):
    _, mapper, _, refs = pair(machine)
    control.points_reset()
    mapper.map("rw", 1, refs[0])
    points = control.points()
    assert points["total"] == sum(p["passed"] for p in points["points"])
    seen = {(p["kind"], p["at"], p.get("device"), p.get("ioctl")): p["passed"]
            for p in points["points"]}
    assert seen["device", "ioctl", "gntdev", "MAP_GRANT_REF"] == 1
    assert seen["device", "mmap", "gntdev", None] == 1
    assert seen["hypercall", "map_grant_ref", None, None] == \
        seen["element", "map_grant_ref", None, None] == 2


def test_every_point_of_a_map_can_fail_in_turn(machine, control):
    _, mapper, _, refs = pair(machine, 2)
    nth, failed = 0, 0
    while True:
        rule = control.fault("*", {"errno": "ENOMEM"}, domain=2, skip=nth, device="gntdev")
        mapper.send("map", "rw", "1:%d" % refs[0], "1:%d" % refs[1])
        status, _, rest = mapper.answer().partition(" ")
        fired = control.fired(rule)
        control.fault_remove(id=rule)
        if status == "ok":
            mapper("unmap", int(rest))
        else:
            failed += 1
        if not fired:
            break
        nth += 1
    assert failed >= 2 and nth >= 2
    machine.audit()


def test_rules_are_listed_as_they_were_written_and_can_be_removed(machine, control):
    rule = {"name": "one", "at": "map_grant_ref", "domain": 2, "ref": 8, "times": 3,
            "do": {"status": "eagain"}, "optional": True}
    made = control.call("fault-add", **rule)
    assert control.fault_list() == [{**rule, **made, "passed": 0, "fired": 0}]
    in_an_object = control.call("fault-add", rule=rule)
    assert in_an_object["id"] != made["id"]
    control.fault_remove(id=made["id"])
    assert [r["id"] for r in control.fault_list()] == [in_an_object["id"]]
    control.fault_clear()
    assert control.fault_list() == []
    assert "there is no fault rule" in control.refused("fault-remove", id=made["id"])


@pytest.mark.parametrize("rule, says", [
    ({}, 'needs "at"'),
    ({"at": "mmap"}, 'needs "do"'),
    ({"at": "nowhere", "do": {"errno": "EIO"}}, "no point 'nowhere'"),
    ({"at": 3, "do": {"errno": "EIO"}}, '"at" must be'),
    ({"at": "mmap", "do": {"errno": "EFOO"}}, 'an errno like "EINVAL"'),
    ({"at": "mmap", "do": {"explode": True}}, "nothing known to do is 'explode'"),
    ({"at": "mmap", "do": {"errno": "EIO", "kill": True}}, "one key"),
    ({"at": "mmap", "do": {"kill": False}}, "must be true"),
    ({"at": "mmap", "do": {"status": "eagain"}}, "a rule at mmap cannot status"),
    ({"at": "map_grant_ref", "do": {"status": "sunny"}}, '"status" must be a grant status'),
    ({"at": "map_grant_ref", "do": {"errno": "EIO"}}, "call of a device file"),
    ({"at": "evtchn_send", "do": {"status": "eagain"}}, "grant operation"),
    ({"at": "open", "do": {"pause": True}}, "cannot be done at that point"),
    ({"at": "defer", "do": {"double": True}}, "cannot be done at that point"),
    ({"at": "mmap", "do": {"drop": True}}, "only at notify, event, defer, unmap or store_event"),
    ({"at": "mmap", "do": {"errno": "EIO"}, "colour": "red"}, 'no key "colour"'),
    ({"at": "mmap", "do": {"errno": "EIO"}, "domain": "two"}, '"domain" must be a number'),
    ({"at": "mmap", "do": {"errno": "EIO"}, "domain": 40000}, "from 0 to 32751"),
    ({"at": "mmap", "do": {"errno": "EIO"}, "probability": 1.5}, "from 0 to 1"),
    ({"at": "mmap", "do": {"errno": "EIO"}, "device": "tty"},
     "gntdev, gntalloc, evtchn or privcmd"),
    ({"at": "ioctl", "do": {"errno": "EIO"}, "ioctl": "TCGETS"}, "no device has an ioctl"),
    ({"at": "ioctl", "do": {"errno": "EIO"}, "ioctl": "0x50fg"}, "no device has an ioctl"),
    ({"at": "map_grant_ref", "do": {"status": "eagain"}, "device": "gntdev"}, "device files"),
    ({"at": "mmap", "do": {"errno": "EIO"}, "pid": 4194999}, "no process 4194999"),
    ({"at": "mmap", "do": {"delay": 0}}, '"delay" must be a number'),
    ({"at": "mmap", "do": {"errno": "EIO"}, "every": 0}, '"every" must be'),
    ({"at": "mmap", "do": {"errno": "EIO"}, "writable": 1}, "true or false"),
    ({"at": "mmap", "do": {"errno": "EIO"}, "name": ""}, "must be a text"),
])
def test_a_rule_with_a_mistake_is_refused_with_a_sentence_that_names_it(machine, control, rule,
                                                                        says):
    assert says in control.refused("fault-add", **rule)
    assert control.fault_list() == []


# ---- From a file


def test_rules_come_from_a_file_too(serve, compiled, place):
    rules = place / "rules.json"
    rules.write_text(json.dumps([{"at": "ioctl", "ioctl": "ALLOC_GREF", "do": {"errno": "ENOMEM"}},
                                 {"at": "open", "device": "evtchn", "do": {"errno": "EACCES"}}]))
    machine = serve("--fault", rules)
    agent = machine.agent(1, compiled("agent"))
    assert agent.error("share", 1, 2, "rw") == "ENOMEM"
    assert agent.error("open", "evtchn") == "EACCES"
    agent.share(1, 2)


def test_a_private_machine_takes_faults_as_well(compiled, place):
    rules = place / "rules.json"
    rules.write_text(json.dumps({"at": "ioctl", "ioctl": "ALLOC_GREF", "do": {"errno": "EPERM"}}))
    done = harness.gntsim("run", "--fault", rules, "--", compiled("agent"), stdin=None,
                          input="share 1 0 rw\n")
    assert (done.returncode, done.stdout) == (0, "err EPERM\n"), done


@pytest.mark.parametrize("text, says", [("[", "cannot read"),
                                        ("[{}]", 'rule 1: a fault rule needs "at"'),
                                        ("[3]", "is a JSON object")])
def test_a_file_with_a_mistake_ends_the_start_with_status_2(place, text, says):
    rules = place / "rules.json"
    rules.write_text(text)
    done = harness.gntsim("serve", "--dir", place / "m", "--fault", rules)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done


# ---- The simulator itself


def answer_or_end(answer):
    """It ends by SIGKILL if the server was in the middle of something for it
    (docs/reference.md)."""
    try:
        return answer()
    except harness.Dead as end:
        assert "ended with -9 " in str(end)
        return "SIGKILL"


def test_programs_get_an_errno_not_a_hang_when_the_simulator_is_killed(machine, control):
    granter, mapper, region, refs = pair(machine)
    mapped = mapper.map("rw", 1, refs[0])
    granter.send("wait", harness.PATIENCE * 1000)
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    mapper.poke(mapped, 0, 3)
    assert mapper.peek(mapped, 0) == 3, "memory stays"
    ends = ("ENOSYS", "ENODEV", "ENOTCONN", "ECONNABORTED", "ENOTTY", "SIGKILL")
    assert answer_or_end(lambda: mapper.error("map", "rw", "1:%d" % refs[0])) in ends
    assert answer_or_end(granter.answer), "a waiting program is woken"
    subprocess.run(["rm", "-f", str(machine.dir / "control")], check=True)


# ---- On the command line


def test_faults_and_clock_are_steered_from_the_command_line_too(serve, compiled):
    machine = serve("--clock", "virtual")
    agent = machine.agent(1, compiled("agent"))
    assert machine.must("fault", "add",
                        '{"at":"ioctl","ioctl":"ALLOC_GREF","do":{"errno":"ENOMEM"}}').split() == ["id", "1"]
    assert agent.error("share", 1, 2, "rw") == "ENOMEM"
    assert machine.json("fault", "list")[0]["fired"] == 1
    assert "ALLOC_GREF" in machine.must("fault", "list")
    machine.must("fault", "remove", 1)
    assert machine.must("fault", "list") == "none\n"
    assert "ALLOC_GREF" in machine.must("points") and "total" in machine.must("points")
    machine.must("points", "reset")
    assert machine.json("points") == {"total": 0, "points": []}
    assert machine.json("clock", "advance", 5)["now"] == 5
    assert machine.json("clock", "auto", "on")["auto"] is True
    assert machine.json("clock")["now"] == 5
    assert machine.json("trace", "on")["on"] is True
    machine.must("limit", 1, "gntalloc", 0)
    assert agent.error("share", 1, 2, "rw") == "ENOSPC"
    assert machine.json("domain", "suspend", 1) == {"domain": 2}
    assert machine.must("paused") == "none\n"
    for words in (("fault", "add", "x"), ("fault", "remove", "x"), ("clock", "advance", "x"),
                  ("clock", "auto", "x"), ("trace", "x"), ("limit", 1, "gntalloc"), ("fault",)):
        assert machine.ctl(*words).returncode == 2, words
    assert machine.ctl("resume", 1).returncode == 1
