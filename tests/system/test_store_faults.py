# SPDX-License-Identifier: MIT
"""The store in fault rules, in the trace and in its replay."""
import json
import subprocess

import pytest

import gntsim
import harness


@pytest.fixture
def machine(attached):
    return attached


@pytest.fixture
def guest(machine):
    with machine.domain(1).store() as store:
        yield store


def events(trace, *ops):
    """(op, path, result) of the trace's lines."""
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    return [(line["op"], line["args"].get("path"), line.get("result")) for line in lines
            if line["op"] in ops]


def refused(store, code):
    return pytest.raises(gntsim.StoreError, match=code)


# ---- The trace

def test_each_request_and_event_is_in_the_trace_with_its_absolute_path(machine, guest):
    machine.store.watch("/local/domain/1/data", "t")
    assert machine.store.event() == ("/local/domain/1/data", "t")
    guest.write("data/x", "on\"e")
    with refused(guest, "EACCES"):
        guest.read("/tool")
    assert machine.store.event() == ("/local/domain/1/data/x", "t")
    told = [event for event in machine.trace() if event.op.startswith("store_")]
    assert [(event.op, event.domain, event.args.get("path"), event.get("result"))
            for event in told] == [
        ("store_event", 0, "/local/domain/1/data", None),
        ("store_watch", 0, "/local/domain/1/data", 0),
        ("store_event", 0, "/local/domain/1/data/x", None),
        ("store_write", 1, "/local/domain/1/data/x", 0),
        ("store_read", 1, "/tool", "EACCES")]
    assert told[3].args["value"] == "on\"e" and told[2].args["token"] == "t"
    assert told[0].pid is None and told[3].pid == told[4].pid


def test_what_a_toolstack_writes_for_a_new_domain_is_no_request_of_anybody(machine):
    machine.domain(1)
    machine.domain(1).destroy()
    assert not [event for event in machine.trace() if event.op.startswith("store_")]
    assert not [row for row in machine.points()["points"] if row["kind"] == "store"]


def test_any_bytes_in_a_path_are_a_line_of_json(traced, machine, trace):
    with machine.domain(1).store() as guest:
        with refused(guest, "EINVAL"):
            guest.request(2, bytes(range(1, 256)) + b"\0", "odd")
    traced.stop()
    path = "/local/domain/1/" + "".join(map(chr, range(1, 256)))
    assert ("store_read", path, "EINVAL") in events(trace, "store_read")


# ---- Rules

def test_a_rule_chooses_by_request_path_and_domain(machine, guest):
    rule = machine.fault(at="store_write", path="/local/domain/1/data/a*", domain=1,
                         do={"errno": "EIO"}, times=0)
    guest.write("data/b", "1")
    machine.store.write("/local/domain/1/data/a", "1")
    for _ in range(2):
        with refused(guest, "EIO"):
            guest.write("data/a", "2")
    with refused(guest, "EIO"):
        guest.write("/local/domain/1/data/a/b/c", "2")
    assert guest.read("data/a") == b"1"
    assert (rule.passed, rule.fired) == (3, 3)
    refusals = [event for event in machine.trace(op="store_write") if event.get("rule")]
    assert [(event.result, event.rule) for event in refusals] == [("EIO", rule.id)] * 3


def test_a_commit_that_says_eagain_is_tried_again_by_who_knows_how(machine, guest):
    machine.fault(at="store_transaction_end", do={"errno": "EAGAIN"}, times=2)
    tries = []

    def body():
        tries.append(guest.exists("data/x"))
        guest.write("data/x", "1")

    guest.transaction(body)
    assert tries == [False] * 3 and guest.read("data/x") == b"1"


def test_a_quota_can_be_reached_at_any_request(machine, guest):
    machine.fault(at="store_mkdir", do={"errno": "ENOSPC"})
    machine.fault(at="store_watch", do={"errno": "E2BIG"})
    with refused(guest, "ENOSPC"):
        guest.mkdir("data/x")
    with refused(guest, "E2BIG"):
        guest.watch("data", "t")
    guest.mkdir("data/x")


def test_an_event_is_lost_or_comes_twice(machine, guest):
    guest.watch("data", "t")
    assert guest.event() == ("data", "t")
    machine.fault(at="store_event", domain=1, path="*/lost", do={"drop": True})
    machine.fault(at="store_event", domain=1, path="*/twice", do={"double": True})
    for name in ("lost", "twice", "once"):
        machine.store.write("/local/domain/1/data/" + name, "1")
    assert [guest.event()[0] for _ in range(3)] == ["data/twice", "data/twice", "data/once"]
    assert [event.args["path"] for event in machine.trace(op="store_lost")] == \
        ["/local/domain/1/data/lost"]


def test_an_event_comes_after_so_many_more_requests(machine, guest):
    machine.store.watch("/a", "t")
    machine.store.event()
    guest.watch("data", "g")
    guest.event()
    rule = machine.fault(at="store_event", path="/a*", do={"after": 2})
    machine.store.write("/a", "1")
    guest.write("data/x", "")
    with pytest.raises(gntsim.Timeout):
        machine.store.event(0.05)
    guest.write("data/x", "")
    assert machine.store.event() == ("/a", "t") and rule.fired == 1
    assert [event.args["path"] for event in machine.trace(op="store_late")] == ["/a"]
    machine.fault(at="store_event", path="/a*", do={"after": 1})
    machine.store.write("/a", "2")
    machine.call("store-restart")
    machine.audit()


def test_a_peer_rewrites_what_was_just_read(machine, guest):
    machine.store.write("/local/domain/1/data/ring-ref", "8")
    machine.fault(at="store_read", path="*/ring-ref", do={"rewrite": "9"})
    assert [guest.read("data/ring-ref") for _ in range(3)] == [b"8", b"9", b"9"]
    assert machine.faults()[0]["do"] == {"rewrite": "9"}


def test_a_peer_that_never_leaves_its_state(machine, guest):
    machine.fault(at="store_write", domain=1, path="*/state", do={"rewrite": "3"}, times=0)
    for state in "1456":
        guest.write("data/state", state)
        assert machine.store.read("/local/domain/1/data/state") == b"3"


def test_a_peers_directory_goes_and_whoever_watches_it_is_told(machine, guest):
    vif = machine.domain(1).attach("vif")
    machine.store.watch(vif.frontend, "t")
    machine.store.event()
    machine.fault(at="store_write", path=vif.frontend + "/state", do={"remove": True})
    guest.write("device/vif/0/state", "3")
    assert [machine.store.event()[0] for _ in range(2)] == [vif.frontend + "/state", vif.frontend]
    assert not machine.store.exists(vif.frontend) and machine.store.exists(vif.backend)
    machine.audit()


def test_what_rules_made_of_a_store_is_done_again_by_a_replay(traced, machine, guest, trace):
    machine.fault(at="store_event", do={"after": 1}, times=0)
    machine.fault(at="store_write", path="*/ring-ref", do={"rewrite": "9"})
    machine.fault(at="store_read", path="*/gone/*", do={"remove": True})
    machine.store.watch("/local/domain/1/data", "t")
    guest.write("data/ring-ref", "8")
    guest.write("data/gone/x", "8")
    guest.read("data/gone/x")
    machine.store.ls("/")
    machine.store.event()
    traced.stop()
    lines = len(trace.read_text().splitlines())
    done = harness.gntsim("replay", trace)
    assert (done.returncode, done.stdout) == (0, "replay: %d events, all as recorded\n" % lines), \
        done.stdout + done.stderr


def test_a_client_is_killed_at_its_request_which_is_not_carried_out(traced, machine):
    machine.domain(1)
    machine.fault(at="store_write", path="*/data/x", do={"kill": True})
    assert traced.exec(1, "xenstore-write", "data/y", "1").returncode == 0
    done = traced.exec(1, "xenstore-write", "data/x", "1")
    assert done.returncode in (-9, 128 + 9), done
    assert machine.store.ls("/local/domain/1/data") == ["y"]


def test_a_domain_is_destroyed_at_a_request(machine, guest):
    machine.fault(at="store_write", do={"destroy": 1})
    machine.store.watch("/local/domain/1", "t")
    machine.store.event()
    guest.write("data/x", "1")
    machine.eventually(lambda: not machine.store.exists("/local/domain/1"))
    with pytest.raises(gntsim.Gone):
        guest.read("data/x")
    machine.audit()


def test_requests_of_the_toolstack_itself_do_not_fail(machine):
    machine.fault(at="store_write", do={"errno": "EIO"}, times=0)
    machine.domain(1)
    machine.call("store-write", path="/x", value="1")
    assert machine.call("store-read", path="/x") == {"value": "1"}


@pytest.mark.parametrize("rule,says", [
    ({"at": "store_read", "do": {"drop": True}}, "this cannot be done at that point"),
    ({"at": "store_event", "do": {"errno": "EIO"}}, "this cannot be done at that point"),
    ({"at": "store_read", "do": {"errno": "ENOTTY"}}, "protocol has no such error"),
    ({"at": "store_read", "do": {"delay": 1}}, "this cannot be done at that point"),
    ({"at": "map_grant_ref", "do": {"restart": True}}, "only at a request to the store"),
    ({"at": "store_event", "do": {"remove": True}}, "this cannot be done at that point"),
    ({"at": "store_read", "do": {"after": 1}}, "this cannot be done at that point"),
    ({"at": "store_read", "do": {"rewrite": "x" * 64}}, "less than 64 characters"),
    ({"at": "ioctl", "path": "/a", "do": {"errno": "EIO"}}, "path chooses among requests"),
    ({"at": "store_reed", "do": {"errno": "EIO"}}, "there is no point 'store_reed'"),
])
def test_a_rule_that_can_do_nothing_is_refused(machine, rule, says):
    with pytest.raises(gntsim.Error, match=says):
        machine.fault(**rule)


def test_points_count_requests_and_events_by_name(machine, guest):
    machine.call("points-reset")
    guest.watch("data", "t")
    guest.write("data/x", "1")
    rows = {row["at"]: row["passed"] for row in machine.points()["points"]
            if row["kind"] == "store"}
    assert rows == {"store_watch": 1, "store_write": 1, "store_event": 2}


# ---- A daemon that starts anew

def test_clients_of_a_daemon_that_starts_anew_are_gone_and_nodes_stay(machine, guest):
    guest.write("data/x", "1")
    guest.watch("data", "t")
    guest.event()
    machine.call("store-restart")
    with pytest.raises(gntsim.Gone):
        guest.read("data/x")
    with machine.domain(1).store() as again:
        assert again.read("data/x") == b"1"
        with refused(again, "ENOENT"):
            again.unwatch("data", "t")
    machine.audit()


def test_a_daemon_that_starts_anew_at_a_request_does_not_answer_it(machine, guest):
    machine.fault(at="store_write", do={"restart": True})
    with pytest.raises(gntsim.Gone):
        guest.write("data/x", "1")
    with machine.domain(1).store() as again:
        assert not again.exists("data/x")
        again.write("data/x", "1")


# ---- Replay

def test_what_clients_did_to_the_store_is_done_again_event_by_event(traced, machine, trace):
    machine.fault(at="store_transaction_end", do={"errno": "EAGAIN"})
    machine.fault(at="store_event", do={"double": True}, every=3, times=0)
    machine.fault(at="store_event", do={"drop": True}, every=5, times=0)
    machine.fault(at="store_rm", do={"restart": True})
    with machine.domain(1).store() as guest, machine.domain(2).store() as other:
        machine.store.watch("/local/domain/1/data", "t")
        other.watch("@releaseDomain", "r")
        guest.transaction(lambda: [guest.write("data/%d" % n, "v") for n in range(5)])
        machine.call("store-set-perms", path="/local/domain/1/data/1", perms=["n1", "r2"])
        assert other.read("/local/domain/1/data/1") == b"v"
        traced.exec(2, "xenstore-ls", "/local/domain/2")
        with pytest.raises(gntsim.Gone):
            guest.rm("data/1")
    with machine.domain(2).store() as other:
        other.write("data/y", bytes(range(256)))
        machine.domain(1).destroy()
    machine.call("store-restart")
    traced.stop()
    done = harness.gntsim("replay", trace)
    lines = trace.read_text().count("\n")
    assert (done.returncode, done.stdout) == (0, "replay: %d events, all as recorded\n" % lines), \
        done
    assert len(events(trace, "store_request")) > 25


def test_a_changed_answer_of_the_store_is_found_by_a_replay(traced, machine, trace):
    machine.store.write("/x", "1")
    machine.store.read("/x")
    traced.stop()
    text = trace.read_text()
    trace.write_text(text.replace('"path":"/x"},"result":0', '"path":"/x"},"result":"EIO"'))
    done = harness.gntsim("replay", trace)
    assert done.returncode == 1 and '"result":"EIO"' in done.stdout, done


def test_a_trace_of_a_store_that_makes_no_sense_ends_with_a_difference(traced, machine, trace):
    machine.store.write("/x", "1")
    traced.stop()
    lines = trace.read_text().splitlines()
    which = next(n for n, line in enumerate(lines) if '"store_request"' in line)
    for old, new in (('"conn":', '"conn":9'), ('"op":"store_request"', '"op":"store_taken"')):
        trace.write_text("\n".join(lines[:which] + [lines[which].replace(old, new)]) + "\n")
        done = subprocess.run([harness.GNTSIM, "replay", trace], capture_output=True, text=True,
                              timeout=harness.PATIENCE, check=False)
        assert done.returncode == 1, done


def test_two_machines_at_once_have_the_same_paths_and_a_store_each(serve):
    stores = []
    for value in ("first", "second"):
        server = serve()
        assert server.exec(1, "xenstore-write", "data/x", value).returncode == 0
        stores.append(server)
    for server, value in zip(stores, ("first", "second")):
        assert server.exec(0, "xenstore-read", "/local/domain/1/data/x").stdout == value + "\n"
    with gntsim.Machine.attach(stores[0].dir) as first:
        first.call("store-restart")
    assert stores[1].exec(1, "xenstore-read", "data/x").stdout == "second\n"
