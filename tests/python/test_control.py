# SPDX-License-Identifier: MIT
"""Tests the client of the control socket against a server that answers as a test likes."""
import pytest

import gntsim
from fake import Fake
from gntsim.trace import Event, agrees, missing, select


def test_a_request_is_one_line_with_the_verb_and_what_is_not_none(place):
    with Fake(place, lambda request: {"result": {"verb": request["verb"]}}) as fake:
        control = gntsim.Control(place)
        assert control.call("guest-map", domain=2, ref=8, readonly=None) == {"verb": "guest-map"}
        control.close()
    assert fake.requests == [{"verb": "guest-map", "domain": 2, "ref": 8}]


def test_an_error_is_an_exception_with_the_machines_sentence(place):
    with Fake(place, lambda request: {"error": "there is no domain 7 (see domain list)"}):
        control = gntsim.Control(place)
        with pytest.raises(gntsim.Refused, match=r"^dump: there is no domain 7 \(see "
                           r"domain list\)$") as refused:
            control.call("dump", domain=7)
        assert (refused.value.verb, refused.value.message) == ("dump", "there is no domain 7 (see domain list)")
        control.close()


@pytest.mark.parametrize("answer", [b"what?\n", b"[1]\n", b"{}\n", b"\xff\xfe\n", b"\n"])
def test_what_is_no_machine_is_said_to_be_none(place, answer):
    with Fake(place, lambda request: answer):
        control = gntsim.Control(place)
        with pytest.raises(gntsim.Gone, match="no gntsim machine"):
            control.call("stats")
        control.close()


def test_a_machine_that_hangs_up_is_gone_now_and_later(place):
    with Fake(place, lambda request: None):
        control = gntsim.Control(place)
        with pytest.raises(gntsim.Gone, match="ended"):
            control.call("stats")
        with pytest.raises(gntsim.Gone, match="closed"):
            control.call("stats")


def test_a_machine_that_does_not_answer_is_a_timeout(place):
    with Fake(place, lambda request: b""):
        control = gntsim.Control(place, timeout=0.05)
        with pytest.raises(gntsim.Timeout, match="did not answer within 0.05 s"):
            control.call("stats")


def test_no_machine_says_how_to_start_one(place):
    with pytest.raises(gntsim.NotFound, match=r"no machine answers at .*/control: .*gntsim "
                       r"serve --dir"):
        gntsim.Control(place)


def test_a_path_too_long_for_a_socket_is_said_to_be_that(place):
    with pytest.raises(gntsim.NotFound, match="too long"):
        gntsim.Control(str(place / ("x" * 120)))


def test_what_is_attached_to_goes_on_when_it_is_closed(place):
    with Fake(place, lambda request: {"result": {"mappings": 3}}) as fake:
        for _ in range(2):
            with gntsim.Machine.attach(place, program="/bin/true") as machine:
                assert machine.stats() == {"mappings": 3}
    assert len(fake.requests) == 2


def answers(place, **results):
    """A machine whose verbs answer so."""
    return Fake(place, lambda request: {"result": results[request["verb"].replace("-", "_")]})


def test_the_methods_of_a_domain_are_the_guest_verbs(place):
    with answers(place, domain_list=[{"domain": 1, "profile": "pv"}],
                 guest_page={"page": 4, "frame": 9},
                 guest_grant={"ref": 8, "refs": [8]},
                 guest_end={"ended": False}, guest_read={"hex": "6869"}, guest_write={},
                 guest_map={"status": "okay", "mapping": 3},
                 guest_unmap={"status": "okay"}, guest_copy={"status": "bad_gntref"},
                 guest_event_alloc={"port": 9}) as fake, \
            gntsim.Machine.attach(place, program="/bin/true") as machine:
        domain = machine.domain(1)
        assert domain.grant(to=2, readonly=True) == 8
        assert domain.end(8) is False
        domain.write(b"hi", page=4, offset=2)
        assert domain.read(2, page=4) == b"hi"
        assert domain.map(2, 8) == 3
        domain.unmap(3)
        assert domain.copy({"page": 4}, {"domain": 2, "ref": 1}, 10) == "bad_gntref"
        assert domain.event_alloc(remote=domain) == 9
    assert fake.requests[1:] == [
        {"verb": "guest-page", "domain": 1},
        {"verb": "guest-grant", "domain": 1, "page": 4, "to": 2, "readonly": True},
        {"verb": "guest-end", "domain": 1, "ref": 8},
        {"verb": "guest-write", "domain": 1, "page": 4, "offset": 2, "hex": "6869"},
        {"verb": "guest-read", "domain": 1, "page": 4, "offset": 0, "size": 2},
        {"verb": "guest-map", "domain": 1, "granter": 2, "ref": 8, "readonly": False},
        {"verb": "guest-unmap", "domain": 1, "mapping": 3},
        {"verb": "guest-copy", "domain": 1, "source": {"page": 4}, "dest": {"domain": 2, "ref": 1},
         "size": 10},
        {"verb": "guest-event-alloc", "domain": 1, "remote": 1},
    ]


def test_a_map_that_fails_is_an_exception_with_the_status(place):
    with answers(place, domain_list=[{"domain": 1, "profile": "pv"}],
                 guest_map={"status": "bad_gntref", "index": 0}), \
            gntsim.Machine.attach(place, program="/bin/true") as machine:
        with pytest.raises(gntsim.GrantFailed,
                           match="reference 8 of domain 2: status bad_gntref") as failed:
            machine.domain(1).map(2, 8)
        assert failed.value.status == "bad_gntref"


def test_a_map_whose_kernel_retries_is_waited_for(place):
    answers = iter([{"status": "eagain", "mapping": 3, "pending": True}] * 2 +
                   [{"status": "okay", "mapping": 3}])
    with Fake(place, lambda request: {"result": [{"domain": 1, "profile": "pv"}]
                                      if request["verb"] == "domain-list" else next(answers)}) \
            as fake, gntsim.Machine.attach(place, program="/bin/true") as machine:
        assert machine.domain(1).map(2, 8) == 3
    assert [request["verb"] for request in fake.requests[1:]] == ["guest-map", "guest-mapping",
                                                                  "guest-mapping"]


def test_another_profile_than_a_domain_has_is_an_error(place):
    with answers(place, domain_list=[{"domain": 1, "profile": "pv"}]), gntsim.Machine.attach(place, program="/bin/true") as machine:
        with pytest.raises(gntsim.Error, match="exists with profile pv"):
            machine.domain(1, profile="pvh")


def test_a_rules_times_may_have_units_and_its_counts_are_asked_for(place):
    with answers(place, fault_add={"id": 5}, fault_list=[{"id": 4, "fired": 9, "passed": 9},
                                                         {"id": 5, "fired": 2, "passed": 3}],
                 fault_remove={"fired": 2, "passed": 3}) as fake, gntsim.Machine.attach(place, program="/bin/true") as machine:
        rule = machine.fault(at="map_grant_ref", do={"delay": "5 ms"}, index=6, name="slow",
                             peer=None)
        assert (rule.fired, rule.passed) == (2, 3)
        assert rule.remove() == 2
        assert machine.rules == []
    assert fake.requests[0] == {"verb": "fault-add", "at": "map_grant_ref",
                                "do": {"delay": 5000000}, "index": 6, "name": "slow"}
    assert fake.requests[-1] == {"verb": "fault-remove", "id": 5}


def test_violations_of_the_audit_are_in_the_exception(place):
    with answers(place, audit={"violations": 2,
                               "lines": ["one", "other"]}), gntsim.Machine.attach(place, program="/bin/true") as machine:
        with pytest.raises(gntsim.AuditFailed, match="2 violations:\n  one\n  other") as failed:
            machine.audit()
        assert failed.value.lines == ["one", "other"]


def test_the_trace_is_read_to_its_end_and_filtered(place):
    events = [{"seq": i, "op": "map_grant_ref" if i % 2 else "ioctl", "args": {"index": i}}
              for i in range(5)]

    def answer(request):
        part = events[request["from"]:request["from"] + 2]
        return {"result": {"events": part, "next": request["from"] + len(part), "lost": 0}}
    with Fake(place, answer), gntsim.Machine.attach(place, program="/bin/true") as machine:
        assert [event.seq for event in machine.trace()] == [0, 1, 2, 3, 4]
        assert [event.seq for event in machine.trace(2, op="map_grant_ref", args={"index": 3})] == \
            [3]


def test_the_clock_takes_times_with_units(place):
    with answers(place, clock_advance={"now": 7},
                 clock={"mode": "virtual", "now": 3, "next": None}) as fake, \
            gntsim.Machine.attach(place, program="/bin/true") as machine:
        assert machine.clock.advance("32.6 s") == 7
        assert machine.clock.advance("next") == 7
        assert (machine.clock.mode, machine.clock.now, machine.clock.next) == ("virtual", 3, None)
    assert fake.requests[:2] == [{"verb": "clock-advance", "ns": 32600000000},
                                 {"verb": "clock-advance", "to": "next"}]


@pytest.mark.parametrize("text, value", [("5 ms", 5000000), ("0.25us", 250),
                                         ("1 min", 60 * 10 ** 9), ("2h", 7200 * 10 ** 9), (12, 12),
                                         ("0.3 ns", 0)])
def test_times_are_exact(text, value):
    assert gntsim.nanoseconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "ms", "-1 s", "1 day", -1, 0.5, True, None, "1e3 s",
                                  "1 s 2"])
def test_what_is_no_time_is_an_error_that_shows_one(text):
    with pytest.raises(ValueError, match="5 ms|nanoseconds"):
        gntsim.nanoseconds(text)


@pytest.mark.parametrize("value, wanted, so", [
    (3, 3, True), (3, 4, False), (True, 1, False), (1, True, False), (3, {"min": 2}, True),
    (3, {"max": 2}, False),
    (3, {"min": 3, "max": 3}, True), ("x", {"min": 0}, False), ("abc", {"matches": "^b|c$"}, True),
    ("abc", "b", False),
    ({"a": 1, "b": {"c": 2}}, {"b": {"c": {"min": 2}}}, True), ({"a": 1}, {"b": 1}, False),
    (None, None, True), ({}, {}, True)])
def test_values_agree_with_what_is_wanted(value, wanted, so):
    assert agrees(value, wanted) is so


def test_events_are_found_in_order_with_others_between():
    events = [Event(op=op) for op in "abcab"]
    assert missing(events, [{"op": "a"}, {"op": "c"}, {"op": "b"}]) == []
    assert missing(events, [{"op": "c"}, {"op": "c"}]) == [{"op": "c"}]
    assert len(select(events, {"op": "a"})) == 2
    with pytest.raises(AttributeError):
        events[0].nothing
