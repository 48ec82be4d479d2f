# SPDX-License-Identifier: MIT
"""Sweeps see programs that swallow a fault, and wrong data that comes of it."""
import re

from test_scenario_run import PAGE, lines

STEPS = """
[[steps]]
guest = "write"
domain = "front"
page = "${page}"
text = "x"
[programs.reader]
command = ["reader", "%s", "1", "${grant}"]
domain = "back"
[[steps]]
spawn = "reader"
[[steps]]
expect = "reader"
output = "value 120"
[[finally]]
wait = "reader"
[sweep]
patience = 20
"""


def story(how, more=""):
    return PAGE + STEPS % how + more


def sweep(scenario, text, *options):
    done = scenario(text, "--sweep", "nth", "--jobs", 3, "--way", "socket", *options)
    return done, {name: ok for name, ok in lines(done).items() if name != "story"}


def test_a_program_that_reports_every_fault_is_right(scenario):
    done, points = sweep(scenario, story("right"))
    assert done.returncode == 0 and len(points) >= 5, done.stdout


def test_wrong_data_without_a_report_fails_the_point_with_both(scenario):
    done, points = sweep(scenario, story("wrong"))
    assert done.returncode == 1
    assert not points["story at mmap gntdev no. 1"] and not points["story at map_grant_ref no. 1"]
    part = done.stdout[done.stdout.index("not ok"):]
    assert re.search(r"# story.toml:\d+: wrong-result: \w+.* failed, no program reported it", part)
    assert "'value 120'" in part and "value 0" in part, part
    assert re.search(r"# rule of the sweep: \d+ passed it, it fired 1 times", part), part


def test_a_fault_that_nobody_shows_is_swallowed_unless_the_file_says_so(scenario):
    done, points = sweep(scenario, story("lucky"))
    assert not points["story at mmap gntdev no. 1"]
    assert "fault-swallowed: mmap failed" in done.stdout
    done, points = sweep(scenario, story("lucky", "tolerates = ['.']\n"))
    assert done.returncode == 0 and all(points.values()), done.stdout


def test_shards_split_the_points_of_a_sweep(scenario):
    every = list(sweep(scenario, story("right"))[1])
    parts = [list(sweep(scenario, story("right"), "--shard", "%d/2" % i)[1]) for i in (1, 2)]
    assert sorted(parts[0] + parts[1]) == sorted(every)
    assert abs(len(parts[0]) - len(parts[1])) <= 1
