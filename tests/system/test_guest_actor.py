# SPDX-License-Identifier: MIT
"""Acting as a driver inside a guest kernel, over the control socket."""
import json
import random
import socket
import struct

import pytest

import harness
from control import Control, Refused

PAGE = 4096


@pytest.fixture
def control(machine):
    control = Control(machine)
    for domain in (1, 2, 3):
        control.domain_create(domain=domain)
    yield control
    control.close()


def u32(value):
    return struct.pack("<I", value).hex()


def shared(control, granter=1, mapper=2, text="68656c6c6f", **more):
    page = control.guest_page(domain=granter)["page"]
    control.guest_write(domain=granter, page=page, hex=text)
    return page, control.guest_grant(domain=granter, page=page, to=mapper, **more)["ref"]


def domain_info(control, domain):
    return next(d for d in control.domain_list() if d["domain"] == domain)


def test_what_one_kernel_writes_into_a_granted_page_another_reads_in_its_mapping(machine, control):
    page, ref = shared(control)
    assert ref == 8, "a kernel's first reference"
    mapped = control.guest_map(domain=2, granter=1, ref=ref)
    assert mapped["status"] == "okay"
    where = {"domain": 2, "mapping": mapped["mapping"]}
    assert control.guest_read(**where, size=5)["hex"] == "68656c6c6f"
    control.guest_write(**where, offset=4095, hex="7a")
    assert control.guest_read(domain=1, page=page, offset=4094, size=2)["hex"] == "007a"
    assert control.guest_unmap(**where) == {"status": "okay"}
    assert control.guest_end(domain=1, ref=ref) == {"ended": True}
    control.guest_page_free(domain=1, page=page)
    machine.audit()


def test_a_process_and_a_kernel_share_a_page(machine, control):
    process = machine.new(1)
    region, refs = process.share(1, 2)
    mapped = control.guest_map(domain=2, granter=1, ref=refs[0])
    process.poke(region, 100, 77)
    assert control.guest_read(domain=2, mapping=mapped["mapping"], offset=100,
                              size=1)["hex"] == "4d"
    control.guest_write(domain=1, ref=refs[0], offset=100, hex="4e")
    assert process.peek(region, 100) == 78
    control.guest_unmap(domain=2, mapping=mapped["mapping"])
    page, ref = shared(control, granter=2, mapper=1, text="2a")
    region = process.map("rw", 2, ref)
    assert process.peek(region, 0) == 42
    assert control.guest_end(domain=2, ref=ref) == {"ended": False}
    process("unmap", region)
    assert control.guest_end(domain=2, ref=ref) == {"ended": True}
    control.guest_page_free(domain=2, page=page)
    machine.audit()


def test_a_grant_in_use_cannot_be_ended_and_a_deferred_end_waits_for_the_peer(machine, control):
    page, ref = shared(control)
    mapped = control.guest_map(domain=2, granter=1, ref=ref)["mapping"]
    assert control.guest_end(domain=1, ref=ref) == {"ended": False}
    control.guest_end_deferred(domain=1, ref=ref)
    control.guest_page_free(domain=1, page=page)
    assert domain_info(control, 1)["deferred"] == 1
    free = machine.free_frames()
    assert control.guest_read(domain=2, mapping=mapped, size=5)["hex"] == "68656c6c6f"
    control.guest_unmap(domain=2, mapping=mapped)
    harness.eventually(lambda: domain_info(control, 1)["deferred"] == 0,
                       "the kernel's tick ends it")
    assert machine.stats()["frames_free"] == free + 1
    machine.audit()


def test_a_map_answers_the_hypervisors_status(control):
    _, ref = shared(control)
    assert control.guest_map(domain=3, granter=1, ref=ref)["status"] == "general_error"
    assert control.guest_map(domain=2, granter=1, ref=4000)["status"] == "bad_gntref"
    assert control.guest_map(domain=2, granter=99, ref=ref)["status"] == "bad_domain"
    _, readonly = shared(control, readonly=True)
    assert control.guest_map(domain=2, granter=1, ref=readonly)["status"] == "general_error"
    mapped = control.guest_map(domain=2, granter=1, ref=readonly, readonly=True)
    with pytest.raises(Refused, match="read-only"):
        control.guest_write(domain=2, mapping=mapped["mapping"], hex="00")


def test_one_bad_reference_in_a_batch_leaves_nothing_mapped(machine, control):
    page = control.guest_page(domain=1, count=11)["page"]
    refs = control.guest_grant(domain=1, page=page, count=11, to=2)["refs"]
    for bad in range(11):
        batch = refs[:bad] + [4000] + refs[bad + 1:]
        assert control.guest_map(domain=2, granter=1, refs=batch) == \
            {"status": "bad_gntref", "index": bad}
        assert domain_info(control, 2)["maptrack_in_use"] == 0
    mapping = control.guest_map(domain=2, granter=1, refs=refs)["mapping"]
    control.guest_write(domain=1, page=page + 10, hex="aa")
    assert control.guest_read(domain=2, mapping=mapping, offset=10 * PAGE, size=1)["hex"] == "aa"
    control.guest_write(domain=2, mapping=mapping, offset=PAGE - 2, hex="01020304")
    assert control.guest_read(domain=1, page=page + 1, size=2)["hex"] == "0304"
    assert control.guest_unmap(domain=2, mapping=mapping)["status"] == "okay"
    machine.audit()


def test_a_map_of_a_page_that_is_paged_out_is_pending_until_it_is_back(machine, control):
    _, ref = shared(control)
    control.page_out(domain=1, ref=ref)
    answer = control.guest_map(domain=2, granter=1, ref=ref)
    assert answer["pending"] is True
    mapping = answer["mapping"]
    with pytest.raises(Refused, match="nothing is mapped"):
        control.guest_read(domain=2, mapping=mapping, size=1)
    with pytest.raises(Refused, match="retries"):
        control.guest_unmap(domain=2, mapping=mapping)
    control.page_in(domain=1, ref=ref)
    harness.eventually(lambda: "pending" not in control.guest_mapping(domain=2, mapping=mapping),
                       "the retry")
    assert control.guest_mapping(domain=2, mapping=mapping) == {"status": "okay",
                                                                "mapping": mapping}
    assert control.guest_read(domain=2, mapping=mapping, size=1)["hex"] == "68"
    machine.audit()


def test_a_domain_may_go_while_its_kernel_acts(machine, control):
    page, ref = shared(control)
    _, out = shared(control)
    control.guest_map(domain=2, granter=1, ref=ref)
    control.page_out(domain=1, ref=out)
    assert control.guest_map(domain=2, granter=1, ref=out)["pending"]
    port = control.guest_event_alloc(domain=1, remote=2)["port"]
    control.guest_event_bind(domain=2, remote=1, port=port)
    control.domain_destroy(domain=1)
    machine.audit()
    control.domain_destroy(domain=2)
    machine.audit()
    control.domain_create(domain=1)
    with pytest.raises(Refused, match="no page"):
        control.guest_read(domain=1, page=page, size=1)


def test_a_machine_may_end_while_its_kernels_act(machine, control):
    _, ref = shared(control)
    _, out = shared(control)
    control.guest_map(domain=2, granter=1, ref=ref)
    control.page_out(domain=1, ref=out)
    control.guest_map(domain=2, granter=1, ref=out)
    control.guest_end_deferred(domain=1, ref=ref)


@pytest.mark.parametrize("profile", ["pvh", "legacy"])
def test_every_kernel_can_be_acted(machine, control, profile):
    control.domain_create(domain=5, profile=profile)
    control.domain_create(domain=6, profile=profile)
    page, ref = shared(control, 5, 6)
    mapped = control.guest_map(domain=6, granter=5, ref=ref)["mapping"]
    assert control.guest_read(domain=6, mapping=mapped, size=5)["hex"] == "68656c6c6f"
    control.guest_write(domain=5, ref=ref, hex="00")
    assert control.guest_read(domain=6, mapping=mapped, size=2)["hex"] == "0065"
    control.guest_unmap(domain=6, mapping=mapped)
    own = control.guest_grant(domain=5, page=page, to=5)["ref"]
    assert control.guest_map(domain=5, granter=5, ref=own)["status"] == "okay", "one's own page"
    machine.audit()


def test_a_copy_moves_bytes_between_pages_and_grants(machine, control):
    page, ref = shared(control)
    target = control.guest_page(domain=2)["page"]
    answer = control.guest_copy(domain=2, source={"domain": 1, "ref": ref, "offset": 1},
                                dest={"page": target, "offset": 8}, size=4)
    assert answer == {"status": "okay"}
    assert control.guest_read(domain=2, page=target, offset=8, size=4)["hex"] == "656c6c6f"
    control.guest_write(domain=2, page=target, hex="ffee")
    assert control.guest_copy(domain=2, source={"page": target, "offset": 0},
                              dest={"domain": 1, "ref": ref, "offset": 4094},
                              size=2)["status"] == "okay"
    assert control.guest_read(domain=1, page=page, offset=4094, size=2)["hex"] == "ffee"
    assert control.guest_copy(domain=2, source={"domain": 1, "ref": ref, "offset": 4000},
                              dest={"page": target, "offset": 0},
                              size=200)["status"] == "bad_copy_arg"
    machine.audit()


def test_events_reach_a_kernel_that_looks_for_them(machine, control):
    port = control.guest_event_alloc(domain=1, remote=2)["port"]
    other = control.guest_event_bind(domain=2, remote=1, port=port)["port"]
    control.guest_event_pending(domain=2, port=other)
    control.guest_event_pending(domain=1, port=port)
    control.guest_event_send(domain=1, port=port)
    control.guest_event_send(domain=1, port=port)
    assert control.guest_event_pending(domain=2, port=other) == {"pending": True}
    assert control.guest_event_pending(domain=2, port=other) == {"pending": False}, \
        "events merge, and looking takes them"
    process = machine.new(3)
    unbound = process.unbound(2)
    port = control.guest_event_bind(domain=2, remote=3, port=unbound)["port"]
    control.guest_event_send(domain=2, port=port)
    assert process.wait() == unbound
    control.guest_event_close(domain=2, port=port)
    with pytest.raises(Refused, match="no port"):
        control.guest_event_close(domain=2, port=port)
    machine.audit()


def test_a_raw_entry_is_what_the_hypervisor_obeys(machine, control):
    page, ref = shared(control)
    old = control.guest_entry(domain=1, ref=ref)
    assert (old["flags"], old["to"]) == (1, 2)
    assert control.guest_entry(domain=1, ref=ref, to=3) == old
    assert control.guest_map(domain=2, granter=1, ref=ref)["status"] == "general_error"
    assert control.guest_map(domain=3, granter=1, ref=ref)["status"] == "okay"
    other = control.guest_page(domain=1)["page"]
    control.guest_write(domain=1, page=other, hex="99")
    control.guest_entry(domain=1, ref=100, flags=1, to=2, page=other)
    mapped = control.guest_map(domain=2, granter=1, ref=100)["mapping"]
    assert control.guest_read(domain=2, mapping=mapped, size=1)["hex"] == "99"
    _, others = shared(control, granter=3)
    control.guest_entry(domain=1, ref=101, flags=1, to=2,
                        frame=control.guest_entry(domain=3, ref=others)["frame"])
    assert control.guest_map(domain=2, granter=1, ref=101)["status"] != "okay", \
        "a frame that is not the granter's"


def test_a_version_switch_is_refused_while_a_grant_is_in_use(machine, control):
    _, ref = shared(control)
    mapped = control.guest_map(domain=2, granter=1, ref=ref)["mapping"]
    with pytest.raises(Refused, match="busy"):
        control.guest_version(domain=1, version=2)
    control.guest_unmap(domain=2, mapping=mapped)
    assert control.guest_version(domain=1, version=2) == {"version": 2}
    assert control.guest_map(domain=2, granter=1, ref=ref)["status"] != "okay", \
        "entries do not survive"
    assert control.guest_end(domain=1, ref=ref) == {"ended": True}
    page, ref = shared(control)
    assert control.guest_map(domain=2, granter=1, ref=ref)["status"] == "okay"
    assert control.guest_read(domain=1, ref=ref, size=1)["hex"] == "68"
    machine.audit()


def test_a_page_that_a_buggy_kernel_frees_while_it_is_mapped_stays_the_peers(machine, control):
    page, ref = shared(control)
    mapped = control.guest_map(domain=2, granter=1, ref=ref)["mapping"]
    with pytest.raises(Refused, match="granted"):
        control.guest_page_free(domain=1, page=page)
    control.guest_page_free(domain=1, page=page, force=True)
    assert control.guest_read(domain=2, mapping=mapped, size=5)["hex"] == "68656c6c6f"
    assert control.guest_end(domain=1, ref=ref) == {"ended": False}
    control.guest_unmap(domain=2, mapping=mapped)
    assert control.guest_end(domain=1, ref=ref) == {"ended": True}
    machine.audit()


@pytest.mark.parametrize("request_", [
    {"verb": "guest-page"}, {"verb": "guest-page", "domain": 9},
    {"verb": "guest-page", "domain": "1"},
    {"verb": "guest-page", "domain": 1, "count": 0},
    {"verb": "guest-page", "domain": 1, "count": 1 << 40},
    {"verb": "guest-grant", "domain": 1}, {"verb": "guest-grant", "domain": 1, "page": 7, "to": 2},
    {"verb": "guest-grant", "domain": 1, "page": -1, "to": 2},
    {"verb": "guest-end", "domain": 1, "ref": 0},
    {"verb": "guest-write", "domain": 1, "page": 1, "hex": "0"},
    {"verb": "guest-write", "domain": 1, "page": 1, "hex": "zz"},
    {"verb": "guest-write", "domain": 1, "page": 1, "hex": 5},
    {"verb": "guest-write", "domain": 1, "page": 1},
    {"verb": "guest-write", "domain": 1, "page": 1, "offset": 4096, "hex": "00"},
    {"verb": "guest-write", "domain": 1, "page": 1, "offset": 4095, "hex": "0000"},
    {"verb": "guest-write", "domain": 1, "hex": "00"},
    {"verb": "guest-write", "domain": 1, "mapping": 1, "hex": "00"},
    {"verb": "guest-write", "domain": 1, "ref": 4294967295, "hex": "00"},
    {"verb": "guest-read", "domain": 1, "page": 1, "size": 70000},
    {"verb": "guest-read", "domain": 1, "page": 1, "size": -1},
    {"verb": "guest-read", "domain": 1, "page": 1, "size": True},
    {"verb": "guest-map", "domain": 1, "granter": 2},
    {"verb": "guest-map", "domain": 1, "granter": 2, "refs": []},
    {"verb": "guest-map", "domain": 1, "granter": 2, "refs": [1, "x"]},
    {"verb": "guest-map", "domain": 1, "granter": 2, "refs": [-1]},
    {"verb": "guest-map", "domain": 1, "granter": 2, "ref": 8, "readonly": "yes"},
    {"verb": "guest-map", "domain": 1, "granter": 1 << 20, "ref": 8},
    {"verb": "guest-map", "domain": 1, "granter": 2, "refs": [8] * 40000},
    {"verb": "guest-unmap", "domain": 1, "mapping": 1},
    {"verb": "guest-mapping", "domain": 1, "mapping": 1},
    {"verb": "guest-copy", "domain": 1}, {"verb": "guest-copy", "domain": 1, "source": 1, "dest": 2,
                                          "size": 1},
    {"verb": "guest-copy", "domain": 1, "source": {"page": 9, "offset": 0},
     "dest": {"page": 9, "offset": 0}, "size": 1},
    {"verb": "guest-copy", "domain": 1, "source": {"page": 1}, "dest": {"page": 1, "offset": 0},
     "size": 1},
    {"verb": "guest-event-alloc", "domain": 1},
    {"verb": "guest-event-bind", "domain": 1, "remote": 2, "port": 77},
    {"verb": "guest-event-send", "domain": 1, "port": 4000},
    {"verb": "guest-event-pending", "domain": 1, "port": 4000000},
    {"verb": "guest-event-close", "domain": 1, "port": 1},
    {"verb": "guest-entry", "domain": 1, "ref": 1 << 31, "flags": 1},
    {"verb": "guest-entry", "domain": 1, "ref": 8, "flags": 1 << 20},
    {"verb": "guest-entry", "domain": 1, "ref": 8, "page": 9},
    {"verb": "guest-version", "domain": 1, "version": 3}, {"verb": "guest-version", "domain": 1},
    {"verb": "guest-page-free", "domain": 1, "page": 9},
], ids=lambda request: "-".join(str(key if key != "verb" else value)[:20]
                                for key, value in request.items()))
def test_a_request_that_makes_no_sense_gets_a_sentence(machine, control, request_):
    control.guest_page(domain=1)
    reply = control.line(json.dumps(request_))
    assert " " in reply["error"], reply
    machine.audit()


def test_random_requests_never_stop_the_server_nor_break_its_books(machine, control):
    chance = random.Random(20261121)
    verbs = ["guest-" + name for name in ("page", "page-free", "grant", "end", "end-deferred",
                                          "write", "read", "map", "mapping",
                                          "unmap", "copy", "event-alloc", "event-bind",
                                          "event-send", "event-pending", "event-close",
                                          "version")]
    worked = set()
    for _ in range(4000):
        small = lambda: chance.choice([1, 2, 3, 8, 9, 10, 11, 12, chance.randrange(40)])
        end = lambda: {"page": small(), "offset": small()} if chance.random() < .5 else \
            {"domain": small() % 4, "ref": small(), "offset": small()}
        request = {"verb": chance.choice(verbs), "domain": chance.choice([1, 2, 3]),
                   "page": small(), "to": small() % 4,
                   "granter": small() % 4, "mapping": small(), "remote": small() % 4,
                   "port": small(), "size": small(), "offset": small(),
                   "hex": "00" * small(), "source": end(), "dest": end(),
                   "version": 1 + small() % 2,
                   "readonly": chance.random() < .3, "force": chance.random() < .3}
        request.update({"ref": small()} if chance.random() < .7
                       else {"refs": [small() for _ in range(small())]})
        for key in [key for key in request if key not in ("verb", "domain")
                    and chance.random() < .1]:
            del request[key]
        if "verb" in request and "result" in control.line(json.dumps(request)):
            worked.add(request["verb"])
    assert worked == set(verbs)
    machine.audit()
