# SPDX-License-Identifier: MIT
"""Tests faults, the clock, the trace, determinism and sweeps of scenarios."""
import json
import re
import shlex
import subprocess

import pytest

import harness
from test_scenario_run import PAGE, fails, lines, passes, steps


def rule(**keys):
    return "[[faults]]\n" + "".join("%s = %s\n" % (key, value) for key, value in keys.items())


MAP = "guest = 'map'\ndomain = 'back'\ngranter = 'front'\nref = '${grant}'\nas = 'map'"
UNMAP = "guest = 'unmap'\ndomain = 'back'\nmapping = '${map}'"


def test_a_rule_changes_what_happens_and_is_counted(scenario):
    passes(scenario(steps(MAP + "\nresult = { status = 'bad_gntref' }", "fired = 'no'\ntimes = 1",
                          MAP + "\nresult = { status = 'okay' }",
                          "fired = 'no'\ntimes = { max = 1 }",
                          "trace = [ { op = 'map_grant_ref', domain = 'back', result = "
                          "'bad_gntref', rule = 'no', args = { ref = '${grant}', index = 0 } },"
                          " { op = 'map_grant_ref', result = 'okay' } ]",
                          "never = [ { op = 'unmap_grant_ref' } ]",
                          "events = { op = 'map_grant_ref' }\ncount = 2",
                          "mark = true", "never = [ { op = 'map_grant_ref' } ]", UNMAP,
                          "trace = [ { op = 'unmap_grant_ref' } ]",
                          "events = { op = 'map_grant_ref' }\ncount = 0")
                    + rule(name="'no'", at="'map_grant_ref'", domain="'back'", peer="'front'",
                           do="{ status = 'bad_gntref' }")))


def test_a_rule_that_never_fired_fails_unless_it_is_optional(scenario):
    never = rule(name="'never'", at="'copy'", do="{ status = 'bad_gntref' }")
    fails(scenario(steps(MAP) + never), r"story.toml:27: the rule \"never\" never fired: 0 passed "
          r"it; if that is all right say optional")
    passes(scenario(steps(MAP) + never + "optional = true\n"))
    skip = rule(at="'map_grant_ref'", skip=5, do="{ status = 'bad_gntref' }")
    fails(scenario(steps(MAP) + skip), r"the rule never fired: 1 passed it")


def test_rules_come_and_go_in_steps(scenario):
    passes(scenario(steps("fault = { name = 'no', at = 'map_grant_ref', times = 0, do = { status = "
                          "'bad_gntref' } }",
                          MAP + "\nresult = { status = 'bad_gntref' }", "unfault = 'no'",
                          MAP + "\nresult = { status = 'okay' }")))
    fails(scenario(steps("fault = { name = 'no', at = 'copy', do = { status = 'bad_gntref' } }",
                         "unfault = 'no'")), r'the rule "no" never fired')


def test_a_mistake_that_only_the_machine_can_see_names_the_line(scenario):
    fails(scenario(steps(MAP) + rule(at="'mmap'", do="{ drop = true }")),
          r"story.toml:27: fault-add: a rule at mmap cannot drop")


def test_a_program_meets_a_device_error(scenario):
    passes(scenario(steps("spawn = 'backend'", "expect = 'backend'\noutput = 'ready'",
                          "send = 'backend'\nline = '1 ${grant}'",
                          "expect = 'backend'\nerrors = 'error: cannot map: (?P<why>.*)'",
                          "equal = ['${why}', 'Cannot allocate memory']",
                          "send = 'backend'\nline = '1 ${grant}'",
                          "expect = 'backend'\noutput = 'served 0'",
                          "trace = [ { op = 'mmap', program = 'backend', rule = 'full', result = "
                          "'ENOMEM' }, { op = 'mmap', program = 'backend' } ]",
                          "close = 'backend'", "wait = 'backend'")
                    + rule(name="'full'", at="'mmap'", device="'gntdev'",
                           do="{ errno = 'ENOMEM' }")))


def test_half_a_minute_of_retries_costs_no_time(scenario):
    """The page never returns: the mapper's kernel tries for 32 seconds of its clock and gives
    up."""
    import time
    begin = time.monotonic()
    passes(scenario(steps("page-out = 'front'\nref = '${grant}'", "spawn = 'backend'",
                          "send = 'backend'\nline = '1 ${grant}'",
                          "expect = 'backend'\nerrors = 'error: cannot map: Invalid argument'",
                          "call = 'clock'\nas = 'clock'\nresult = { now = { min = 32000000000 } }",
                          "close = 'backend'", "wait = 'backend'")))
    assert time.monotonic() - begin < 20


def test_a_virtual_clock_stands_still_until_a_step_moves_it(scenario):
    passes(scenario(steps("call = 'clock'\nresult = { now = { max = 999999999 } }\nas = 'before'",
                          "clock = '32.6 s'",
                          "call = 'clock'\nresult = { now = { min = 32600000000 } }",
                          "clock = 'next'", "clock = 'auto'", "clock = 'manual'")
                    + "[scenario]\nclock = 'virtual'\n"))


def test_a_caller_is_held_while_something_else_happens(scenario):
    """The race at a revoke: the mapper is between its call and the map when the granter ends
    access."""
    passes(scenario(steps("spawn = 'backend'", "expect = 'backend'\noutput = 'ready'",
                          "send = 'backend'\nline = '1 ${grant}'",
                          "paused = 'hold'", "guest = 'end'\ndomain = 'front'\nref = "
                          "'${grant}'\nresult = { ended = true }", "resume = 'hold'",
                          "expect = 'backend'\nerrors = 'error: cannot map: Invalid argument'",
                          "close = 'backend'", "wait = 'backend'")
                    + rule(name="'hold'", at="'mmap'", domain="'back'", do="{ pause = true }")))
    fails(scenario(steps("resume = 'hold'") +
                   rule(name="'hold'", at="'mmap'", do="{ pause = true }", optional="true")),
          "rule hold holds nobody")


def test_a_program_killed_by_a_rule_is_no_surprise(scenario):
    passes(scenario(steps("spawn = 'backend'", "send = 'backend'\nline = '1 ${grant}'",
                          "wait = 'backend'\nsignal = 'SIGKILL'",
                          "stats = { mappings = 0 }\neventually = true") + rule(at="'mmap'", do="{ kill = true }")))


def test_limits_suspension_and_adversaries_are_steps(scenario):
    passes(scenario(steps("limit = 'front'\nwhat = 'gntalloc'\nvalue = 3",
                          "limit = 'front'\nwhat = 'grant_frames'\nvalue = 4000000000\nerror = "
                          "'must be a number'",
                          "suspend = 'back'\nas_id = 7\nresult = { domain = 7 }",
                          "info = 7\nresult = { state = { matches = '.' } }",
                          "adversary = 'start'\ndomain = 'front'\nkind = 'rewrite-entries'\nas "
                          "= 'enemy'",
                          "adversary = 'step'\nid = '${enemy}'\nn = 5",
                          "adversary = 'stop'\nid = '${enemy}'")
                    + "[scenario]\naudit = false\n"))


def test_the_last_events_of_a_failure_are_shown(scenario):
    done = fails(scenario(steps(MAP, "equal = [1, 2]")), "# last events:")
    assert re.search(r"^#    +\d+ +[\d.]+ d2 +map_grant_ref .*ref=8.* -> okay$", done.stdout, re.M)


RACE = steps("spawn = 'backend'", "expect = 'backend'\noutput = 'ready'",
             "for = 'i'\nin = { from = 1, to = 3 }\nsteps = [ { send = 'backend', line = '1 "
             "${grant}' }, { paused = 'hold' }, "
             "{ guest = 'write', domain = 'front', page = '${page}', text = '${i}' }, { resume = "
             "'hold' }, "
             "{ expect = 'backend', output = 'served' } ]", "close = 'backend'", "wait = 'backend'",
             "stats = { mappings = 0, open_files = 0 }\neventually = true") \
    + rule(name="'hold'", at="'mmap'", device="'gntdev'", times=0, do="{ pause = true }")


def test_the_same_seed_gives_the_same_trace(scenario):
    passes(scenario(steps(MAP, UNMAP, "adversary = 'start'\ndomain = 'front'\nkind = "
                          "'rewrite-entries'\nas = 'enemy'",
                          "adversary = 'step'\nid = '${enemy}'\nn = 50") +
                    "[scenario]\naudit = false\n", "--check-determinism"))


def trace_of(path):
    return path.read_bytes()


def test_a_different_run_is_found_by_the_check(scenario, place):
    """The scenario itself differs: the second run finds a file that the first one made."""
    done = scenario(steps("spawn = 'sh'\nargs = ['test -e %s/f && echo 99 || echo 1; touch %s/f']"
                          % (place, place), "wait = 'sh'\noutput = '(?P<n>\\d+)'",
                          "guest = 'end'\ndomain = 'front'\nref = '${n}'\nerror = ''"),
                    "--check-determinism")
    assert done.returncode == 1
    assert re.search(r"the second run differs at event \d+:\n#   first: .*\n#   second: ",
                     done.stdout), done.stdout


def test_traces_are_kept_where_the_option_says(scenario, place):
    passes(scenario(steps(MAP) + "[matrix]\nk = ['a/b', 2]\n", "--trace", "kept"))
    assert sorted(path.name for path in (place / "kept").glob("*.jsonl")) == ["story_k=2_.jsonl",
                                                                        "story_k=a_b_.jsonl"]
    events = [json.loads(line)
              for line in (place / "kept" / "story_k=2_.jsonl").read_text().splitlines()]
    assert [event["result"] for event in events if event["op"] == "map_grant_ref"] == ["okay"]


# ---- Sweeps

def backend(options="[]", more=""):
    return PAGE + """
[[steps]]
spawn = "backend"
args = %s
[[steps]]
expect = "backend"
output = "ready"
[[steps]]
send = "backend"
line = "1 ${grant} ${grant} ${grant}; 1 ${grant}"
[[steps]]
expect = "backend"
output = "served"

[[finally]]
send = "backend"
line = "1 ${grant}"
[[finally]]
expect = "backend"
output = "served"
[[finally]]
stats = { mappings = 0 }
eventually = true
timeout = 5
[[finally]]
close = "backend"
[[finally]]
wait = "backend"

[sweep]
errors = "^error"
ends = ["backend"]
%s""" % (options, more)


def failed(done):
    return [name for name, ok in lines(done).items() if not ok]


def test_a_right_program_stands_a_fault_at_every_point(scenario):
    done = scenario(backend(), "--sweep", "nth", "--jobs", 2)
    assert done.returncode == 0, done.stdout
    names = list(lines(done))
    assert names[0] == "story" and "story at mmap gntdev no. 1" in names and \
        "story at mmap gntdev no. 2" in names
    assert "story at ioctl gntdev MAP_GRANT_REF no. 2" in names and \
        "story at map_grant_ref no. 4" in names
    assert done.stdout.splitlines()[-1] == "1..%d" % len(names)
    assert "# story: %d points, 0 failed" % (len(names) - 1) in done.stdout


@pytest.mark.parametrize("step", ["stats = { mappings = 1 }",
                                  "call = 'clock'\nresult = { mode = 'real' }"])
def test_a_step_that_waits_in_vain_says_that_the_clock_stands_still(scenario, step):
    text = steps(step + "\neventually = true\ntimeout = 0.05")
    text = "[scenario]\nclock = 'virtual'\n" + text
    fails(scenario(text), "; the clock stands still at 0.000000000 s, and nothing waits for a "
          "later time")


STUCK = steps('guest = "map"\ndomain = "back"\ngranter = "front"\nref = "${grant}"') + """
[[finally]]
dump = "maptrack"
domain = "back"
eventually = true
timeout = 600
[sweep]
at = ["map_grant_ref"]
timeout = 0.5
"""


def test_the_time_of_a_point_of_a_sweep_covers_its_last_steps_too(scenario):
    done = scenario(STUCK, "--sweep", "nth")
    assert failed(done) == ["story at map_grant_ref no. 1"], done.stdout
    assert re.search(r"# story.toml:\d+: 0 of 0 rows of maptrack.*; this point of the sweep has "
                     r"taken 0.5 s, as long as timeout in \[sweep\] lets it", done.stdout)
    assert re.search(r"# rule of the sweep: 1 passed it, it fired 1 times", done.stdout)


def test_a_program_that_believes_in_success_fails_at_every_point_of_a_map(scenario, place):
    done = scenario(backend('["--buggy"]'), "--sweep", "nth", "--jobs", 2)
    assert done.returncode == 1
    points = failed(done)
    assert "story" not in points and "story at mmap gntdev no. 1" in points and \
        "story at map_grant_ref no. 1" in points
    assert "story at open gntdev no. 1" not in points
    assert re.search(r"backend ended without printing .served. \(SIGSEGV\)", done.stdout)
    command = shlex.split(re.search(r"not ok \d+ - story at mmap gntdev no. 1\n(?:#.*\n)*?# "
                                    r"replay: (.*)", done.stdout).group(1))
    again = subprocess.run([harness.GNTSIM, *command[1:]], cwd=place, capture_output=True,
                           text=True)
    assert again.returncode == 1 and failed(again) == ["story at mmap gntdev no. 1"], \
        again.stdout + again.stderr
    assert "SIGSEGV" in again.stdout


def test_a_leak_on_an_error_path_is_found_where_it_is(scenario):
    done = scenario(backend('["--leaky"]'), "--sweep", "nth", "--jobs", 2)
    points = failed(done)
    assert "story at mmap gntdev no. 2" in points and "story at mmap gntdev no. 1" not in points, \
        done.stdout
    assert re.search(r"mappings is \d, expected 0 \(asked for 5 s\)", done.stdout)


def test_the_index_sweep_fails_each_place_of_each_batch(scenario):
    done = scenario(backend(), "--sweep", "index")
    assert done.returncode == 0, done.stdout
    assert [name for name in lines(done) if "map_grant_ref" in name and "unmap" not in name] == [
        "story at map_grant_ref index %d of domain 2" % i for i in range(3)]
    done = scenario(backend('["--buggy"]'), "--sweep", "index")
    assert len([name for name in failed(done) if " map_grant_ref" in name]) == 3


def test_the_kill_sweep_kills_at_each_point(scenario):
    done = scenario(backend(more='programs = ["backend"]\n'), "--sweep", "kill", "--jobs", 2)
    assert done.returncode == 0, done.stdout
    assert len(lines(done)) > 8 and "story at ioctl gntdev MAP_GRANT_REF no. 1" in lines(done)


def test_the_limit_sweep_finds_the_smallest_that_is_enough(scenario):
    text = PAGE.replace("id = 1", "id = 1, grant_frames = 4") + """
[[steps]]
guest = "page"
domain = "front"
as = "many"
[[steps]]
for = "i"
in = { from = 1, to = 600 }
steps = [ { guest = "grant", domain = "front", page = "${many}", to = "back" } ]
[sweep]
limit = { domain = "front", what = "grant_frames", from = 4 }
"""
    done = scenario(text, "--sweep", "limit")
    assert done.returncode == 0, done.stdout
    assert list(lines(done)) == ["story"] + ["story at grant_frames=%d of domain 1" % n
                                             for n in (4, 3, 2, 1)]
    assert "# story: the smallest grant_frames of domain 1 with which it works is 2\n" in done.stdout


def test_a_sweep_of_what_the_file_does_not_say_enough_about_is_a_mistake(scenario):
    done = scenario(steps(MAP), "--sweep", "limit")
    assert (done.returncode, done.stderr) == (2,
                                              "gntsim: story.toml:1: sweep: --sweep limit needs "
                                              "limit = { domain = …, what = … } in [sweep]\n")


def test_what_is_swept_can_be_chosen(scenario):
    done = scenario(backend(more='at = ["mmap"]\ndo = { errno = "EAGAIN" }\n'), "--sweep", "nth")
    assert {re.sub(r" no. \d", "", name) for name in lines(done)} == {"story",
                                                                      "story at mmap gntdev"}
