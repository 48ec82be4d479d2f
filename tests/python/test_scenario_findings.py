# SPDX-License-Identifier: MIT
"""What --check finds of a scenario's programs, and what [check] says of it."""
import re

import pytest

from conftest import HERE
from test_scenario_run import fails, passes

LINE, = [number for number, line in enumerate((HERE / "leaver.c").read_text().splitlines(), 1)
         if "/* reported */" in line]
TEXT = """
[domains]
one = { id = 1 }
[programs]
leaver = { command = ["leaver"%s], domain = "one" }
[[steps]]
spawn = "leaver"
[[steps]]
wait = "leaver"
"""
WRONG, RIGHT = TEXT % "", TEXT % ', "unmap"'


def test_a_leak_fails_a_case_with_the_line_though_no_step_looks_for_it(scenario):
    fails(scenario(WRONG), r"1 finding \(slot-leak\)", r"ERROR slot-leak: 1 grant mapped",
          r"leaver\.c:%d" % LINE)
    passes(scenario(RIGHT))


@pytest.mark.parametrize("table", ["on = false", "kinds = 'port-leak,share-leak'",
                                   "kinds = 'leaks=warning'", "expect = ['slot-leak']",
                                   "suppress = 'known'"])
def test_the_table_says_what_is_all_right(scenario, place, table):
    (place / "known").write_text("slot-leak:leaver\n")
    passes(scenario(WRONG + "[check]\n" + table))


def test_the_command_line_is_stronger_than_the_file(scenario):
    passes(scenario(WRONG, "--no-check"))
    passes(scenario(WRONG, "--check=late-unmap"))
    off = WRONG + "[check]\non = false\n"
    done = fails(scenario(off, "--check"), "slot-leak")
    command = re.search(r"^# replay: (.*)$", done.stdout, re.M).group(1)
    assert command.endswith("--check=usual") or "--check=usual " in command


def test_what_is_expected_must_be_found(scenario):
    fails(scenario(RIGHT + "[check]\nexpect = ['slot-leak']\n"),
          r"story.toml:11: no slot-leak was found, which is expected here")


@pytest.mark.parametrize("table,said", [
    ("kind = 'leaks'", "check.kind: "), ("on = 1", "check.on: must be true or false"),
    ("expect = []", "check.expect: "),
])
def test_a_mistake_in_the_table_is_named(scenario, table, said):
    done = scenario.check(WRONG + "[check]\n" + table + "\n")
    assert done.returncode == 2 and "story.toml:11: " + said in done.stderr, done.stderr
