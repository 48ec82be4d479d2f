# SPDX-License-Identifier: MIT
"""Determinism: the same seed gives the same trace, byte for byte, a hundred times."""
import json

import pytest

import harness
from gntsim.scenario.run import canonical
from gntsim.trace import Event

# A peer maps between the granter's look at its entry and the end of access; both are guests that
# the scenario plays, beside a
# hostile one that draws from the seed.
RACE = """
[scenario]
seed = 11
audit = false
clock = "virtual"
[domains]
front = { id = 1 }
back = { id = 2 }
[[faults]]
name = "now-and-then"
at = "map_grant_ref"
probability = 0.5
times = 0
do = { status = "eagain" }
[[steps]]
guest = "page"
domain = "front"
as = "page"
[[steps]]
adversary = "start"
domain = "front"
kind = "rewrite-entries"
as = "enemy"
[[steps]]
for = "i"
in = { from = 1, to = 10 }
steps = [
  { guest = "grant", domain = "front", page = "${page}", to = "back", as = "grant" },
  { adversary = "step", id = "${enemy}", n = 1 },
  { guest = "map", domain = "back", granter = "front", ref = "${grant}", as = "map" },
  { guest = "end", domain = "front", ref = "${grant}" },
  { clock = "3 ms" },
]
"""

# A program is held between its call and the map while the granter ends access.
HELD = """
[scenario]
clock = "virtual"
[domains]
front = { id = 1 }
back = { id = 2 }
[programs]
backend = { command = ["backend"], domain = "back" }
[[faults]]
name = "hold"
at = "mmap"
device = "gntdev"
times = 0
do = { pause = true }
[[steps]]
guest = "page"
domain = "front"
as = "page"
[[steps]]
spawn = "backend"
[[steps]]
expect = "backend"
output = "ready"
[[steps]]
for = "i"
in = [1, 2, 3]
steps = [
  { guest = "grant", domain = "front", page = "${page}", to = "back", as = "grant" },
  { send = "backend", line = "1 ${grant}" },
  { paused = "hold" },
  { guest = "end", domain = "front", ref = "${grant}", result = { ended = true } },
  { resume = "hold" },
  { expect = "backend", errors = "cannot map: Invalid argument" },
]
[[steps]]
close = "backend"
[[steps]]
wait = "backend"
[[steps]]
stats = { open_files = 0 }
eventually = true
"""


# A sanitizer takes several times longer, and decides nothing here.
RUNS = 100 if harness.library_kind() == "dynamic" else 20


def traces(place):
    return [path.read_bytes() for path in sorted((place / "kept").glob("*.jsonl"))]


def test_run_after_run_of_a_stepped_race_gives_one_trace_byte_for_byte(scenario, place):
    done = scenario(RACE, "--repeat", RUNS, "--jobs", 2, "--trace", "kept",
                    timeout=harness.PATIENCE * 3)
    assert done.returncode == 0, done.stdout[-2000:]
    first, *others = traces(place)
    assert len(others) == RUNS - 1
    results = [event["result"] for event in map(json.loads, first.splitlines())
               if event["op"] == "map_grant_ref"]
    assert len(set(results)) > 1, "the seed decides something"
    for i, other in enumerate(others):
        assert other == first, "run %d differs" % (i + 2)


def test_another_seed_gives_another_trace(scenario, place):
    for seed in (1, 2):
        assert scenario(RACE, "--seed", seed, "--trace", "kept").returncode == 0
        (place / "kept" / "story.jsonl").rename(place / "kept" / ("%d.jsonl" % seed))
    one, other = traces(place)
    assert one != other


def test_run_after_run_of_a_program_held_at_a_race_gives_one_trace(scenario, place):
    """What differs is where the host's kernel puts the program's memory, and what lies in holes of
    structures there: that is in details which are for a replay only."""
    done = scenario(HELD, "--repeat", RUNS, "--jobs", 2, "--trace", "kept",
                    timeout=harness.PATIENCE * 3)
    assert done.returncode == 0, done.stdout[-2000:]

    def events(trace):
        every = [Event(json.loads(line)) for line in trace.splitlines()]
        return [canonical(event) for event in every if event.op != "enter"
                and not event.op.startswith("user_")]
    first, *others = map(events, traces(place))
    assert len(others) == RUNS - 1
    for i, other in enumerate(others):
        assert other == first, "run %d differs" % (i + 2)


@pytest.mark.parametrize("text", [RACE, HELD], ids=["guests", "program"])
def test_the_check_of_determinism_agrees(scenario, text):
    done = scenario(text, "--check-determinism")
    assert done.returncode == 0, done.stdout
