# SPDX-License-Identifier: MIT
"""Hostile guests make seeded steps, in the background or by a thread, and can do no more than they
may."""
import json
import random

import pytest

import harness
from control import Control, Refused
from test_guest_actor import control, shared, u32  # noqa: F401 (control is a fixture)

KINDS = ["rewrite-entries", "flip", "stale", "guess", "flood"]


def word(control, domain, **place):
    return int.from_bytes(bytes.fromhex(control.guest_read(domain=domain, size=4, **place)["hex"]),
                          "little")


def test_a_flip_puts_a_hostile_value_and_then_the_true_one_back(control):
    page, ref = shared(control, text=u32(512))
    mapped = control.guest_map(domain=2, granter=1, ref=ref)["mapping"]
    id = control.adversary_start(domain=1, kind="flip", page=page, values=[65535, 0], steps=0)["id"]
    seen = []
    for _ in range(4):
        control.adversary_step(id=id)
        seen.append(word(control, 2, mapping=mapped))
    assert seen == [65535, 512, 0, 512]
    assert control.adversary_stop(id=id) == {"id": id, "domain": 1, "kind": "flip", "steps": 4,
                                             "hits": 4}


def test_a_flip_reaches_the_page_of_a_program_and_stops_with_the_truth(machine, control):
    program = machine.new(1)
    region, refs = program.share(1, 2)
    program.poke(region, 8, 77)
    id = control.adversary_start(domain=1, kind="flip", ref=refs[0], offset=8, values=[5],
                                 steps=0)["id"]
    control.adversary_step(id=id)
    assert program.peek(region, 8) == 5
    control.adversary_stop(id=id)
    assert program.peek(region, 8) == 77


def test_a_thread_flips_between_any_two_reads(machine, control):
    program, mapper = machine.new(1), machine.new(2)
    region, refs = program.share(1, 2)
    program.poke(region, 0, 1)
    mapped = mapper.map("rw", 1, *refs)
    id = control.adversary_start(domain=1, kind="flip", ref=refs[0], values=[2, 3],
                                 thread=True)["id"]
    seen = set()
    harness.eventually(lambda: seen.add(mapper.peek(mapped, 0)) or len(seen) == 3,
                       lambda: "1, 2 and 3 are seen: %s" % seen)
    with pytest.raises(Refused, match="thread"):
        control.adversary_step(id=id)
    assert control.adversary_stop(id=id)["hits"] > 0
    assert mapper.peek(mapped, 0) == 1


def test_a_thread_goes_with_its_domain_and_with_the_machine(machine, control):
    for domain in (1, 2):
        page = control.guest_page(domain=domain)["page"]
        control.adversary_start(domain=domain, kind="flip", page=page, words=1024, thread=True)
    control.domain_destroy(domain=1)
    assert [a["domain"] for a in control.adversary_list()] == [2]
    machine.audit()


def entries(control, domain):
    return [row for row in control.dump(what="entries", domain=domain)["entries"]]


def test_rewriting_changes_an_entry_in_use_and_puts_it_right(machine, control):
    page, ref = shared(control)
    mapped = control.guest_map(domain=2, granter=1, ref=ref)["mapping"]
    before = control.guest_entry(domain=1, ref=ref)
    id = control.adversary_start(domain=1, kind="rewrite-entries", first=ref, last=ref,
                                 steps=0)["id"]
    changed = set()
    right = 0
    for _ in range(120):
        control.adversary_step(id=id)
        now = control.guest_entry(domain=1, ref=ref)
        right += now == before
        changed.add(json.dumps(now))
    assert len(changed) > 10 and right > 10
    control.adversary_stop(id=id)
    assert control.guest_entry(domain=1, ref=ref) == before
    assert control.guest_read(domain=2, mapping=mapped, size=5)["hex"] == "68656c6c6f", \
        "the mapping is what it was"
    assert control.guest_unmap(domain=2, mapping=mapped)["status"] == "okay"
    machine.audit()


def test_stale_references_are_published_where_the_peer_looks(control):
    ring, _ = shared(control)
    ended = []
    for _ in range(3):
        _, ref = shared(control)
        ended.append(ref)
    for ref in ended:
        control.guest_end(domain=1, ref=ref)
    id = control.adversary_start(domain=1, kind="stale", page=ring, offset=64, words=4,
                                 steps=0)["id"]
    control.adversary_step(id=id, n=40)
    published = {word(control, 1, page=ring, offset=64 + 4 * i) for i in range(4)}
    assert published <= set(ended)
    for ref in published:
        assert control.guest_map(domain=2, granter=1, ref=ref)["status"] != "okay"


def test_a_guess_hits_what_is_granted_to_the_guesser_and_nothing_else(machine, control):
    shared(control, mapper=3)
    id = control.adversary_start(domain=2, kind="guess", granter=1, first=0, last=20, steps=0)["id"]
    assert control.adversary_step(id=id, n=200)["hits"] == 0
    _, ref = shared(control, mapper=2)
    assert control.adversary_step(id=id, n=200)["hits"] > 0
    assert control.guest_end(domain=1, ref=ref) == {"ended": True}, "it holds nothing"
    machine.audit()


def test_a_flood_of_events_is_one_event(machine, control):
    program = machine.new(2)
    unbound = program.unbound(1)
    port = control.guest_event_bind(domain=1, remote=2, port=unbound)["port"]
    id = control.adversary_start(domain=1, kind="flood", port=port, burst=1000, steps=0)["id"]
    control.adversary_step(id=id, n=10)
    assert program.wait() == unbound
    assert program.wait(0) is None, "masked until the program unmasks it"
    program("evtchn-unmask", unbound)
    machine.audit()


def attack(machine, control, seed):
    """One run of a load with all kinds in the background: what everybody saw."""
    ring, _ = shared(control)
    port = control.guest_event_alloc(domain=2, remote=1)["port"]
    mine = control.guest_event_bind(domain=1, remote=2, port=port)["port"]
    ids = [control.adversary_start(domain=1, seed=seed, kind=kind, **more)["id"] for kind, more in [
        ("rewrite-entries", {}), ("flip", {"page": ring, "words": 8}),
        ("stale", {"page": ring, "offset": 64, "words": 8}),
        ("guess", {"granter": 2, "last": 30}), ("flood", {"port": mine, "burst": 2})]]
    seen = []
    for _ in range(40):
        page, ref = shared(control)
        mapped = control.guest_map(domain=2, granter=1, ref=ref)
        seen.append(mapped["status"])
        if mapped["status"] == "okay":
            seen.append(control.guest_read(domain=2, mapping=mapped["mapping"], size=8)["hex"])
            seen.append(control.guest_unmap(domain=2, mapping=mapped["mapping"])["status"])
        seen.append(control.guest_end(domain=1, ref=ref)["ended"])
        seen.append(control.guest_read(domain=1, page=ring, size=128)["hex"])
    done = [control.adversary_stop(id=id) for id in ids]
    assert all(one["steps"] > 20 and one["hits"] > 0 for one in done if one["kind"] != "guess"), \
        done
    return seen, [(one["steps"], one["hits"]) for one in done]


def test_the_same_seed_is_the_same_attack(serve):
    runs = []
    for seed in (7, 7, 8):
        machine = serve()
        with_control = Control(machine)
        for domain in (1, 2):
            with_control.domain_create(domain=domain)
        runs.append(attack(machine, with_control, seed))
        machine.audit()
        with_control.close()
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("profile", ["pv", "pvh", "legacy"])
def test_programs_and_server_survive_a_hostile_granter(machine, control, profile):
    control.domain_create(domain=4, profile=profile)
    mapper, granter = machine.new(4), machine.new(1)
    shared_, refs = granter.share(8, 4)
    control.adversary_start(domain=1, kind="rewrite-entries", seed=3)
    outcomes = set()
    for _ in range(60):
        mapper.send("map", "rw", *("1:%d" % ref for ref in refs))
        answer = mapper.answer().split()
        outcomes.add(answer[0] if answer[0] == "ok" else answer[1])
        if answer[0] == "ok":
            mapper.poke(int(answer[1]), 4096, 1)
            mapper("unmap", answer[1])
    assert outcomes == {"ok", "EINVAL"}, "some succeed, some are refused"
    machine.audit()


@pytest.mark.parametrize("args", [
    {}, {"kind": "evil"}, {"kind": 1}, {"kind": "flip"}, {"kind": "flip", "page": 7},
    {"kind": "flip", "page": 1, "offset": 2},
    {"kind": "flip", "page": 1, "offset": 4096},
    {"kind": "flip", "page": 1, "offset": 4092, "words": 2},
    {"kind": "flip", "page": 1, "words": 0}, {"kind": "flip", "page": 1, "values": [1] * 17},
    {"kind": "flip", "page": 1, "values": [-1]},
    {"kind": "flip", "page": 1, "values": "x"}, {"kind": "flip", "mapping": 1},
    {"kind": "stale", "page": 1, "thread": True},
    {"kind": "guess"}, {"kind": "guess", "granter": 2, "first": 9, "last": 8},
    {"kind": "guess", "granter": 2, "seed": "x"},
    {"kind": "flood"}, {"kind": "flood", "port": 1, "burst": 0},
    {"kind": "rewrite-entries", "steps": "x"},
    {"kind": "rewrite-entries", "domain": 9},
], ids=str)
def test_an_adversary_that_makes_no_sense_gets_a_sentence(control, args):
    control.guest_page(domain=1)
    with pytest.raises(Refused, match=" "):
        control.adversary_start(**{"domain": 1, **args})
    assert control.adversary_list() == []


@pytest.mark.parametrize("verb", ["adversary-step", "adversary-stop"])
def test_an_adversary_that_is_not_there_gets_a_sentence(control, verb):
    with pytest.raises(Refused, match="no adversary"):
        control.call(verb, id=5)
    with pytest.raises(Refused, match="missing"):
        control.call(verb)


def test_random_adversaries_never_stop_the_server(machine, control):
    chance = random.Random(6)
    for domain in (1, 2):
        page, ref = shared(control, granter=domain, mapper=3 - domain)
        control.guest_map(domain=3 - domain, granter=domain, ref=ref)
    for round_ in range(300):
        request = {"kind": chance.choice(KINDS), "domain": chance.choice([1, 2]), "seed": round_,
                   "words": chance.randrange(1, 5),
                   "granter": chance.choice([1, 2, 9]), "port": chance.randrange(5),
                   "steps": chance.randrange(50), "first": 0}
        request[chance.choice(["page", "mapping"])] = 1
        try:
            id = control.adversary_start(**request)["id"]
            control.adversary_step(id=id, n=chance.randrange(1, 20))
        except Refused:
            continue
        for domain in (1, 2):
            _, ref = shared(control, granter=domain, mapper=3 - domain)
            mapped = control.guest_map(domain=3 - domain, granter=domain, ref=ref)
            if "mapping" in mapped:
                control.guest_unmap(domain=3 - domain, mapping=mapped["mapping"])
        if chance.random() < .5:
            control.adversary_stop(id=id)
    machine.audit()
