# SPDX-License-Identifier: MIT
"""A replay of a trace gives the same answers, and names the first event that a changed model
differs in."""
import json
import os
import subprocess

import pytest

import harness
from control import Control

CHANGED = os.path.join(os.environ.get("GNTSIM_BUILD", "build"), "tests", "system", "gntsim-changed")


@pytest.fixture
def recorded(serve, compiled, place):
    """A trace of programs that run freely, with several processes and threads of the server at
    once."""
    path = place / "trace.jsonl"
    machine = serve("--trace", path)
    control = Control(machine)
    agents = [machine.agent(domain, compiled("agent"), profile)
              for domain, profile in ((1, None), (2, "pvh"), (3, "legacy"))]
    shared = [agent.share(4, (domain + 2) % 3 + 1) for domain, agent in enumerate(agents)]
    control.fault("map_grant_ref", {"status": "eagain"}, probability=0.2, times=0)
    control.fault("event", {"late": 1000000}, every=2, times=0)
    for _ in range(10):
        for domain, agent in enumerate(agents):
            granter = (domain + 1) % 3 + 1
            agent.send("map", "rw", *("%d:%d" % (granter, ref) for ref in shared[granter - 1][1]))
        for agent in agents:
            answer = agent.answer().split()
            if answer[0] == "ok":
                agent("unmap", answer[1])
    port = agents[0].unbound(2)
    local = agents[1].bind(1, port)
    for _ in range(4):
        agents[1]("evtchn-notify", local)
        assert agents[0].wait() == port
        agents[0]("evtchn-unmask", port)
    agents[2].kill()
    agents[0].end()
    control.close()
    machine.stop()
    return path


def test_a_free_running_machine_is_done_again_event_by_event(recorded):
    events = recorded.read_text().count("\n")
    done = harness.gntsim("replay", recorded)
    assert (done.returncode, done.stdout) == (0, "replay: %d events, all as recorded\n" % events), \
        done
    assert events > 300


def test_a_changed_model_is_found_out_at_the_event_that_it_changes(recorded):
    """The changed one loses the second event that is sent; a freshly bound channel has one at
    once."""
    lines = recorded.read_text().splitlines()
    ops = [json.loads(line)["op"] for line in lines]
    sent = [n for n, op in enumerate(ops) if op in ("evtchn_bind_interdomain", "evtchn_send")]
    first = ops.index("event", sent[1])
    done = subprocess.run([CHANGED, "replay", str(recorded)], capture_output=True, text=True,
                          timeout=harness.PATIENCE, check=False)
    assert done.returncode == 1, done
    said = done.stdout.splitlines()
    assert said[0] == "replay: %d events as recorded, then the model differs" % first
    assert said[1] == "recorded: " + lines[first]
    assert said[2].startswith("now: ")


@pytest.mark.parametrize("op", ["map_grant_ref", "mmap", "user_write", "unmap_grant_ref"])
def test_an_answer_that_is_not_the_models_is_found_where_it_is(recorded, op):
    lines = recorded.read_text().splitlines()
    which = [n for n, line in enumerate(lines) if json.loads(line)["op"] == op][-1]
    event = json.loads(lines[which])
    if op == "user_write":
        event["args"]["hex"] = "ff" + event["args"]["hex"][2:]
    else:
        event["result"] = "bad_page" if op.endswith("ref") else "EIO"
    lines[which] = json.dumps(event, separators=(",", ":"))
    recorded.write_text("\n".join(lines) + "\n")
    done = harness.gntsim("replay", recorded)
    assert done.returncode == 1 and "recorded: " + lines[which] in done.stdout, done
    assert done.stdout.startswith("replay: %d events as recorded" % which)


def test_the_record_of_a_killed_server_is_done_again_as_far_as_it_goes(recorded):
    text = recorded.read_text()
    recorded.write_text(text[:len(text) * 2 // 3])
    done = harness.gntsim("replay", recorded)
    assert done.returncode == 0 and "all as recorded" in done.stdout, done


@pytest.mark.parametrize("text, says", [
    (None, "cannot read"), ("", "is not a whole trace"), ("{}\n", "is not a whole trace"),
    ("no JSON\n", "is not a whole trace"),
    ('{"seq":0,"time":0,"op":"machine","args":{"format":99}}\n', "trace format 99"),
])
def test_what_is_no_trace_is_refused_with_status_2(place, text, says):
    path = place / "trace.jsonl"
    if text is not None:
        path.write_text(text)
    done = harness.gntsim("replay", path)
    assert done.returncode == 2 and says in done.stderr, done


def test_a_trace_full_of_nonsense_ends_with_a_difference_and_nothing_worse(recorded):
    lines = recorded.read_text().splitlines()
    for n in range(5, len(lines), 37):
        spoilt = lines[:n] + [lines[n].replace("1", "7").replace("2", "900000000000")] + \
            lines[n + 1:]
        recorded.write_text("\n".join(spoilt) + "\n")
        done = harness.gntsim("replay", recorded)
        assert done.returncode in (0, 1), (n, done)


def test_replay_needs_one_trace():
    assert harness.gntsim("replay").returncode == 2
    assert harness.gntsim("replay", "a", "b").returncode == 2
    assert harness.gntsim("replay", "--help").returncode == 0
