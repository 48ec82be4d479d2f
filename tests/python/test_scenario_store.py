# SPDX-License-Identifier: MIT
"""Steps of scenarios that ask the store, and faults and sweeps at its requests."""
import re

import pytest

from test_scenario_run import fails, lines, passes, steps

WRITER = """
[domains]
guest = { id = 1 }
[programs]
writer = { command = ["sh", "-c"], domain = "guest" }
"""


def test_steps_write_read_list_and_remove_with_a_domains_rights(scenario):
    passes(scenario(steps(
        "store = 'write'\ndomain = 'front'\npath = 'data/x'\nvalue = 7",
        "store = 'read'\npath = '/local/domain/1/data/x'\nresult = { value = '7' }\nas = 'x'",
        "equal = ['${x.value}', '7']",
        "store = 'mkdir'\npath = '/local/domain/1/data/y'",
        "store = 'ls'\ndomain = 'front'\npath = 'data'\nresult = { names = ['x', 'y'] }",
        "store = 'perms'\ndomain = 'front'\npath = 'data/x'\nset = ['n1', 'r2']\n"
        "result = { perms = ['n1', 'r2'] }",
        "store = 'read'\ndomain = 'back'\npath = '/local/domain/1/name'\nerror = 'EACCES'",
        "store = 'write'\ndomain = 'back'\npath = '/local/domain/1/data/x'\nvalue = ''\n"
        "error = 'EACCES'",
        "store = 'rm'\ndomain = 'front'\npath = 'data/x'",
        "store = 'read'\npath = '/local/domain/1/data/x'\nerror = 'ENOENT'")))


def test_steps_watch_and_wait(scenario):
    passes(scenario(steps(
        "store = 'watch'\ndomain = 'front'\npath = 'data'\ntoken = 't'",
        "store = 'event'\ndomain = 'front'\nresult = { path = 'data', token = 't' }",
        "spawn = 'sh'\nargs = ['read line; xenstore-write data/ready yes; read line']",
        "store = 'write'\npath = '/local/domain/1/data/a'\nvalue = '1'",
        "store = 'event'\ndomain = 'front'\nresult = { path = 'data/a', token = 't' }",
        "store = 'unwatch'\ndomain = 'front'\npath = 'data'\ntoken = 't'",
        "send = 'sh'\nline = 'go'",
        "store = 'wait'\npath = '/local/domain/2/data/ready'\nvalue = 'yes'",
        "send = 'sh'\nline = 'go'",
        "wait = 'sh'")))


def test_clients_of_a_daemon_that_starts_anew_connect_again(scenario):
    passes(scenario(steps(
        "store = 'write'\ndomain = 'front'\npath = 'data/x'\nvalue = '1'",
        "store = 'restart'",
        "store = 'read'\npath = '/local/domain/1/data/x'\nresult = { value = '1' }")))


@pytest.mark.parametrize("step, said", [
    ("store = 'read'\npath = '/no'", "/no: the store answers ENOENT"),
    ("store = 'read'\npath = '/tool'\nresult = { value = 'x' }", 'value is "", expected "x"'),
    ("store = 'event'\ntimeout = 0.1", "the store said nothing within"),
    ("store = 'wait'\npath = '/no'\ntimeout = 0.1", "the store said nothing within"),
    ("store = 'read'\npath = '/tool'\nerror = 'EIO'", "store read succeeded"),
])
def test_a_step_of_the_store_that_is_not_so_fails_and_says_why(scenario, step, said):
    fails(scenario(steps(step)), re.escape(said))


@pytest.mark.parametrize("step, said", [
    ("store = 'reed'\npath = '/a'", "reed"),
    ("store = 'write'\npath = '/a'", 'a step "store" needs "value"'),
    ("store = 'read'\npath = '/a'\ntoken = 't'", "token"),
])
def test_a_mistake_in_a_step_of_the_store_is_found_before_it_runs(scenario, step, said):
    done = scenario(steps(step))
    assert done.returncode == 2 and said in done.stderr, done


def test_a_sweep_fails_each_request_of_a_program_once(scenario):
    """A commit that says EAGAIN is tried again by Debian's program, so that one passes."""
    done = passes(scenario(WRITER + """
[sweep]
exit = [0, 1]
[[steps]]
spawn = "writer"
args = ["exec xenstore-write data/a 1 data/b 2"]
[[steps]]
wait = "writer"
[[steps]]
store = "read"
path = "/local/domain/1/data/b"
result = { value = "2" }
""", "--sweep", "nth"))
    tried = [name for name in lines(done) if "store_" in name]
    for request in ("store_transaction_start", "store_write", "store_transaction_end"):
        assert [name for name in tried if request in name], done.stdout


def test_a_kill_sweep_goes_over_requests_to_the_store(scenario):
    done = passes(scenario(WRITER + """
[sweep]
at = ["store_write", "store_transaction_end"]
[[steps]]
spawn = "writer"
args = ["exec xenstore-write data/a 1 data/b 2"]
[[steps]]
wait = "writer"
[[finally]]
store = "ls"
domain = "guest"
path = "data"
""", "--sweep", "kill"))
    assert len([name for name in lines(done) if "store_" in name]) == 3, done.stdout
