# SPDX-License-Identifier: MIT
"""The trace, event by event: in a file, from the ring, as a stream, and for other viewers."""
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess

import pytest

import harness
from control import Control

SCHEMA = harness.SOURCE / "docs" / "trace.schema.json"


@pytest.fixture
def traced(serve, compiled, place):
    def start(*args):
        path = place / ("trace%d.jsonl" % len(list(place.glob("trace*"))))
        machine = serve("--trace", path, *args)
        machine.path = path
        machine.control = Control(machine)
        machine.new = lambda domain, profile=None: machine.agent(domain, compiled("agent"), profile)
        return machine
    return start


def events_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def a_bit_of_everything(machine):
    granter, mapper = machine.new(1), machine.new(2)
    region, refs = granter.share(3, 2)
    machine.control.fault("map_grant_ref", {"status": "eagain"}, index=1)
    mapped = mapper.map("rw", 1, *refs)
    mapper("unmap", mapped)
    port = granter.unbound(2)
    local = mapper.bind(1, port)
    mapper("evtchn-notify", local)
    assert granter.wait() == port
    machine.must("page-out", 1, refs[0])
    granter.end()
    mapper.end()
    machine.quiet()


def test_the_file_tells_everything_in_order_and_every_event_is_as_the_schema_says(traced):
    machine = traced()
    a_bit_of_everything(machine)
    machine.control.close()
    machine.stop()
    events = events_of(machine.path)
    assert [e["seq"] for e in events] == list(range(len(events)))
    assert events[0]["op"] == "machine" and events[0]["args"]["format"] == 2
    times = [e["time"] for e in events]
    assert times == sorted(times)
    schema = json.loads(SCHEMA.read_text())
    for event in events:
        check(event, schema)
    assert {"domain_create", "open", "ioctl", "mmap", "map_grant_ref", "unmap_grant_ref",
            "evtchn_send", "event", "munmap", "release",
            "verb", "domain_destroy", "enter", "user_read", "upcall"} <= {e["op"] for e in events}
    fired = [e for e in events if "rule" in e]
    assert [(e["op"], e["args"]["index"], e["result"], e["rule"])
            for e in fired] == [("map_grant_ref", 1, "eagain", 1)]


def check(value, schema, where="event"):
    """As much of JSON Schema as ours uses."""
    kinds = {"object": dict, "integer": int, "string": str, "null": type(None), "array": list}
    allowed = schema.get("type", list(kinds))
    allowed = [allowed] if isinstance(allowed, str) else allowed
    assert any(isinstance(value, kinds[k]) and not (k == "integer" and isinstance(value, bool))
               for k in allowed), (where, value)
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    if isinstance(value, int) and "minimum" in schema:
        assert value >= schema["minimum"], (where, value)
    if isinstance(value, dict):
        for key in schema.get("required", []):
            assert key in value, (where, key, value)
        for key, member in value.items():
            if key in schema.get("properties", {}):
                check(member, schema["properties"][key], where + "." + key)
            else:
                assert schema.get("additionalProperties", True), (where, key, value)


def test_processes_are_numbered_in_the_order_in_which_they_appear(traced):
    machine = traced()
    first, second = machine.new(5), machine.new(5)
    second.share(1, 2)
    first.share(1, 2)
    events = machine.control.trace_read()["events"]
    assert [e["pid"] for e in events if e["op"] == "open"] == [1, 2]
    assert str(first.pid) not in [str(e["pid"]) for e in events]


def test_the_trace_is_switched_on_and_off_and_read_in_pieces(machine):
    if machine.trace:
        pytest.skip("GNTSIM_TEST_REPLAY has it on from the start")
    control = Control(machine)
    agent = machine.new(1)
    agent.share(1, 2)
    assert control.trace() == {"on": False, "first": 0, "next": 0}
    assert control.trace_read()["events"] == []
    assert control.trace(on=True)["on"]
    agent.share(1, 2)
    control.trace(on=False)
    total = control.trace()["next"]
    everything = control.trace_read(detail=True)
    assert [e["seq"] for e in everything["events"]] == list(range(total))
    assert everything["next"] == total and everything["lost"] == 0
    some = control.trace_read(max=2)
    more = control.trace_read(**{"from": some["next"]})
    assert [e["op"] for e in some["events"] + more["events"]] == [e["op"] for e in control.trace_read()["events"]]
    assert "enter" not in [e["op"] for e in control.trace_read()["events"]]
    assert control.trace_read(last=1)["events"][-1] == everything["events"][-1]
    agent.share(1, 2)
    assert control.trace()["next"] == total
    for wrong in ({"from": "x"}, {"max": 0}, {"detail": 3}):
        assert control.refused("trace-read", **wrong)
    assert "true or false" in control.refused("trace", on=1)
    control.close()


def test_the_ring_keeps_the_last_events_and_says_how_many_are_lost(machine):
    control = Control(machine)
    control.trace(on=True)
    control.domain_create(domain=1)
    page = control.guest_page(domain=1)["page"]
    while not control.trace()["first"]:
        for _ in range(100):
            control.guest_write(domain=1, page=page, offset=0, hex="5a" * 4096)
    state = control.trace()
    read = control.trace_read(max=10, detail=True)
    assert read["lost"] > 0 and read["events"][0]["seq"] == read["lost"] <= state["next"]
    assert [e["seq"] for e in read["events"]] == list(range(read["lost"], read["lost"] + 10))
    control.close()


def test_a_connection_becomes_a_stream_of_events(machine):
    control, stream = Control(machine), Control(machine)
    assert stream.trace_subscribe()["on"]
    agent = machine.new(1)
    agent.share(1, 2)
    seen = []
    while "mmap" not in seen:
        seen.append(stream.told()["op"])
    assert seen[0] in ("machine", "domain_create") and "ioctl" in seen and "enter" not in seen
    stream.close()
    agent.share(1, 2)
    assert control.trace()["on"]
    control.close()


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_what_chrome_reads_is_whole_when_a_signal_ends_it(machine, place, name):
    with open(place / "chrome", "w") as target:
        follower = subprocess.Popen([harness.GNTSIM, "trace", "--chrome", "--dir",
                                     str(machine.dir)], stdout=target)
    control = Control(machine)
    harness.eventually(lambda: control.trace()["on"], "the follower is there")
    machine.new(1).share(1, 2)
    harness.eventually(lambda: "mmap" in (place / "chrome").read_text(), "it has seen something")
    number = getattr(signal, "SIG" + name)
    follower.send_signal(number)
    assert follower.wait(harness.PATIENCE) == 128 + number
    records = json.loads((place / "chrome").read_text())
    check_chrome(records)
    assert "mmap" in str(records)
    control.close()


def test_gntsim_trace_follows_a_machine_until_it_ends(machine):
    follower = subprocess.Popen([harness.GNTSIM, "trace", "--dir", str(machine.dir)],
                                stdout=subprocess.PIPE, text=True)
    control = Control(machine)
    harness.eventually(lambda: control.trace()["on"], "the follower is there")
    agent = machine.new(1)
    agent.share(1, 2)
    ops = []
    while "mmap" not in ops:
        ops.append(json.loads(follower.stdout.readline())["op"])
    control.close()
    machine.stop()
    rest = follower.stdout.read()
    assert follower.wait(harness.PATIENCE) == 0
    assert all(json.loads(line) for line in rest.splitlines())


NEEDED = {"M": {"name", "pid", "tid", "args"}, "i": {"name", "ts", "pid", "tid", "s"},
          "X": {"name", "ts", "dur", "pid", "tid"}, "b": {"name", "cat", "id", "ts", "pid", "tid"},
          "e": {"name", "cat", "id", "ts", "pid", "tid"},
          "s": {"name", "cat", "id", "ts", "pid", "tid"},
          "f": {"name", "cat", "id", "ts", "pid", "tid", "bp"}}


def check_chrome(records):
    """What the trace event format asks for: the members of each phase, pairs of spans and of flows,
    and a slice below each end of a flow."""
    open_spans, starts, flows = {}, {}, []
    slices = {(r["pid"], r["tid"], r["ts"]) for r in records if r["ph"] == "X"}
    named = {(r["pid"], r["tid"]) for r in records if r["ph"] == "M"}
    for r in records:
        assert NEEDED[r["ph"]] <= set(r), r
        assert isinstance(r["pid"], int) and isinstance(r["tid"], int) and r["ts"] >= 0, r
        assert (r["pid"], r["tid"]) in named, r
        if r["ph"] == "b":
            assert (r["cat"], r["id"]) not in open_spans, r
            open_spans[r["cat"], r["id"]] = r
        elif r["ph"] == "e":
            begun = open_spans.pop((r["cat"], r["id"]))
            assert all(r[key] == begun[key] for key in ("name", "pid", "tid"))
            assert r["ts"] >= begun["ts"]
        elif r["ph"] == "s":
            starts[r["id"]] = r
        elif r["ph"] == "f":
            flows.append((starts.pop(r["id"]), r))
    assert open_spans == {} and starts == {}
    for ends in flows:
        assert ends[0]["name"] == ends[1]["name"] and ends[0]["ts"] <= ends[1]["ts"]
        assert {(r["pid"], r["tid"], r["ts"]) for r in ends} <= slices, ends
    return [(one["name"], one["pid"], other["pid"]) for one, other in flows]


def exported(machine, place):
    machine.control.close()
    machine.stop()
    target = place / "out.chrome"
    done = harness.gntsim("trace", "--export", target, machine.path)
    assert done.returncode == 0, done.stderr
    return json.loads(target.read_text())


def test_a_recorded_trace_is_exported_for_chrome_and_perfetto(traced, place):
    machine = traced()
    a_bit_of_everything(machine)
    records = exported(machine, place)
    flows = check_chrome(records)
    mapped = [e for e in events_of(machine.path)
              if (e["op"], e.get("result")) == ("map_grant_ref", "okay")]
    assert flows.count(("grant is mapped", 1, 2)) == len(mapped) > 2
    assert ("port is bound", 1, 2) in flows
    assert ("event is delivered", 2, 1) in flows
    begun = [r for r in records if r["ph"] == "b"]
    assert {r["cat"] for r in begun} == {"call", "grant", "mapping", "port"}
    assert {r["name"] for r in begun} >= {"mmap", "ioctl MAP_GRANT_REF"}
    seen = {(r["args"]["seq"], r["args"]["time"]) for r in records if "seq" in r.get("args", {})}
    assert seen >= {(e["seq"], e["time"]) for e in events_of(machine.path)}
    names = {(r["name"], r["pid"], r["tid"]): r["args"]["name"] for r in records if r["ph"] == "M"}
    assert names["process_name", 1, 0] == "domain 1" and names["thread_name", 2, 0] == "kernel"
    assert re.fullmatch(r"agent\S* \(process 1\)", names["thread_name", 1, 1])


def test_under_a_clock_that_stands_still_the_time_of_an_event_is_its_number(traced, place):
    machine = traced("--clock", "virtual")
    a_bit_of_everything(machine)
    records = exported(machine, place)
    check_chrome(records)
    of_events = [r for r in records if "seq" in r.get("args", {})]
    assert all(r["ts"] == r["args"]["seq"] for r in of_events)
    assert len({r["ts"] for r in of_events}) == len(events_of(machine.path))
    grants = [(r["ts"], r["name"]) for r in records if r["ph"] == "b" and r["cat"] == "grant"]
    made = [(e["seq"], "grant %(ref)d to domain %(to)d" % e["args"])
            for e in events_of(machine.path) if e["op"] == "grant"]
    assert grants == made


@pytest.mark.parametrize("args, says", [
    ((), "needs --dir"), (("--export", "x"), "needs one recorded trace"),
    (("--export", "-", "/nowhere"), "cannot read"),
    (("--dir", "x", "y"), "unexpected argument"),
    (("--export", "-", __file__), "no event of a trace"),
])
def test_a_mistake_on_the_command_line_is_named(args, says):
    done = harness.gntsim("trace", *args)
    assert done.returncode == 2 and says in done.stderr


def test_an_export_never_takes_the_place_of_its_trace(place):
    trace = place / "t.jsonl"
    trace.write_text('{"seq":0}\n')
    done = harness.gntsim("trace", "--export", trace, trace)
    assert done.returncode == 2 and "is the trace" in done.stderr
    assert trace.read_text() == '{"seq":0}\n'


def test_the_half_line_that_a_killed_server_leaves_is_not_exported(place):
    trace = place / "t.jsonl"
    trace.write_text('{"seq":0,"time":0,"op":"a","domain":1,"pid":0}\n{"se')
    done = harness.gntsim("trace", "--export", "-", trace)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert [one["name"] for one in json.loads(done.stdout) if one["ph"] != "M"] == ["a"]


def test_a_trace_that_cannot_be_written_ends_the_start_with_status_2(place):
    done = harness.gntsim("serve", "--dir", place / "m", "--trace", place / "no" / "where")
    assert done.returncode == 2 and "cannot write the trace" in done.stderr


def test_a_trace_that_fills_the_disk_ends_at_a_whole_line_and_says_so(place):
    """A file that may not grow is what a full disk is."""
    path, directory = place / "trace", place / "m"
    server = subprocess.Popen([harness.GNTSIM, "serve", "--dir", directory, "--trace", path],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "ready" in server.stdout.readline()
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (100001, 100001))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(directory / "control"))
        lines = sock.makefile("rb")
        for number in range(1000):
            sock.sendall(b'{"verb":"domain-create","domain":%d}\n' % number)
            assert json.loads(lines.readline()) == {"result": {}}
        lines.close()
    message = server.stderr.readline()
    assert "cannot write the trace: File too large; it ends here" in message
    assert harness.gntsim("ctl", "--dir", directory, "audit").returncode == 0, "it goes on"
    server.terminate()
    out, errors = server.communicate(timeout=harness.PATIENCE)
    assert (server.returncode, out, errors) == (1, "", "")
    text = path.read_text()
    assert text.endswith("}\n") and 99000 < len(text) <= 100001
    assert [event["seq"] for event in events_of(path)] == list(range(text.count("\n")))
    assert harness.gntsim("replay", path).returncode == 0, "it is replayed as far as it goes"


@pytest.mark.parametrize("path, says", [("/dev/full", "No space left on device")])
def test_a_trace_that_cannot_be_written_makes_run_fail(path, says):
    done = harness.gntsim("run", "--trace", path, "--", "true")
    assert done.returncode == 1 and says in done.stderr
    assert harness.gntsim("run", "--trace", path, "--", "sh", "-c", "exit 3").returncode == 3, \
        "the command's own status counts more"


@pytest.fixture
def pipe(place):
    path = place / "pipe"
    os.mkfifo(path)
    return path


def many_events(control, times=2000):
    """Some 8 KiB each."""
    control.domain_create(domain=1)
    page = control.guest_page(domain=1)["page"]
    for _ in range(times):
        control.guest_write(domain=1, page=page, offset=0, hex="5a" * 4096)
    return control.trace()["next"]


def test_a_trace_to_a_pipe_that_nobody_empties_stops_nothing(serve, pipe):
    for reader in (None, os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)):
        machine = serve("--trace", pipe)
        control = Control(machine)
        many_events(control)
        machine.audit()
        control.close()
        machine.server.terminate()
        assert machine.server.wait(harness.PATIENCE) == 1, "it is not whole"
        machine.says("the end of the trace was read by nobody")
        machine.stopped = True
    os.set_blocking(reader, True)
    with open(reader, "rb") as lines:
        text = lines.read()
    assert text.endswith(b"}\n") and all(json.loads(line)["seq"] == number
                                         for number, line in enumerate(text.splitlines()))


def test_a_slow_reader_of_a_trace_is_told_how_many_events_it_lost(serve, pipe):
    machine = serve("--trace", pipe)
    control = Control(machine)
    total = many_events(control)
    with open(pipe, "rb") as lines:
        machine.server.terminate()
        events = [json.loads(line) for line in lines]
    assert machine.server.wait(harness.PATIENCE) == 0
    machine.stopped = True
    gaps = [event["lost"] for event in events if "lost" in event]
    assert gaps and sum(gaps) > 0
    expected = 0
    for event in events:
        expected += event.get("lost", 1)
        assert event.get("seq", expected - 1) == expected - 1
    assert expected >= total
    with open(pipe.parent / "read", "w") as out:
        out.writelines(json.dumps(event, separators=(",", ":")) + "\n" for event in events)
    done = harness.gntsim("replay", pipe.parent / "read")
    assert done.returncode == 2 and "events are lost here" in done.stderr
    control.close()


def test_a_reader_of_a_trace_that_is_never_far_behind_loses_nothing(serve, pipe):
    machine = serve("--trace", pipe)
    with subprocess.Popen(["cat", pipe], stdout=open(pipe.parent / "copy", "wb")) as reader:
        control = Control(machine)
        total = many_events(control, 900)      # less than the machine keeps for a reader
        control.close()
        machine.stop()
        assert reader.wait(harness.PATIENCE) == 0
    events = events_of(pipe.parent / "copy")
    assert len(events) > total and [event["seq"] for event in events] == list(range(len(events)))


def test_a_killed_server_leaves_nearly_all_of_its_trace(traced):
    machine = traced()
    agent = machine.new(1)
    agent.share(1, 2)
    seen = machine.control.trace()["next"]
    harness.eventually(lambda: machine.path.read_text().count("\n") >= seen,
                       "it is in the file soon, whatever happens")
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    assert len(events_of(machine.path)) >= seen
    machine.control.close()
    (machine.dir / "control").unlink()


def guest_only(machine):
    """A scenario without programs."""
    control, chance = machine.control, random.Random(7)
    for domain in (1, 2):
        control.domain_create(domain=domain)
    control.fault("map_grant_ref", {"status": "bad_gntref"}, probability=0.4, times=0)
    for _ in range(60):
        page = control.guest_page(domain=1)["page"]
        ref = control.guest_grant(domain=1, page=page, to=2)["ref"]
        mapped = control.guest_map(domain=2, granter=1, ref=ref)
        control.clock_advance(ns=chance.randrange(1000000))
        if "mapping" in mapped:
            control.guest_unmap(domain=2, mapping=mapped["mapping"])
        control.guest_end(domain=1, ref=ref)


def test_the_same_calls_and_the_same_seed_give_the_same_trace_byte_for_byte(traced):
    traces = []
    for seed in (3, 3, 4):
        machine = traced("--clock", "virtual", "--seed", seed)
        guest_only(machine)
        machine.control.close()
        machine.stop()
        traces.append(machine.path.read_bytes())
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]


def test_programs_that_do_the_same_give_the_same_trace_on_a_virtual_clock(traced):
    traces = []
    for _ in range(2):
        machine = traced("--clock", "virtual")
        agent = machine.new(1)
        region, refs = agent.share(2, 1)
        mapped = agent.map("rw", 1, *refs)
        agent("unmap", mapped)
        agent("unshare", region)
        agent.end()
        machine.quiet()
        machine.control.close()
        machine.stop()
        # Whether the end of a mapping is seen at the munmap, or by itself a moment later, is the
        # host's affair: only who is named differs. And some compilers leave a canary where a
        # library leaves a field to the driver.
        text = re.sub(r'"pid":(null|\d+),', "", machine.path.read_text())
        text = re.sub(r'("op":"user_read",.*)"hex":"\w+"', r"\1", text)
        traces.append(text.splitlines())
    assert [pair for pair in zip(*traces) if pair[0] != pair[1]][:3] == []
    assert len(traces[0]) == len(traces[1])
