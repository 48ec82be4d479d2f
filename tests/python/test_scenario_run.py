# SPDX-License-Identifier: MIT
"""Tests that scenario files are played as they say."""
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import harness
from conftest import SOURCE

PAGE = """
[domains]
front = { id = 1 }
back = { id = 2 }

[programs]
cat = { command = ["cat"], domain = "front" }
sh = { command = ["sh", "-c"], domain = "back" }
backend = { command = ["backend"], domain = "back" }

[[steps]]
guest = "page"
domain = "front"
as = "page"
[[steps]]
guest = "grant"
domain = "front"
page = "${page}"
to = "back"
as = "grant"
"""


def steps(*lines):
    return PAGE + "".join("[[steps]]\n%s\n" % line for line in lines)


def lines(done):
    """Results by name."""
    return {name: ok == "ok" for ok, name in re.findall(r"^(ok|not ok) \d+ - (.*?)(?: # .*)?$",
                                                        done.stdout, re.M)}


def passes(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "not ok" not in done.stdout
    return done


def fails(done, *said):
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\nnot ok 1 - story\n" in done.stdout, done.stdout
    for text in said:
        assert re.search(text, done.stdout), "%s\n is not in\n%s" % (text, done.stdout)
    return done


def test_what_one_domain_writes_the_other_reads(scenario):
    done = passes(scenario(steps(
        "guest = 'map'\ndomain = 'back'\ngranter = 'front'\nref = '${grant}'\nas = 'map'",
        "guest = 'write'\ndomain = 'front'\npage = '${page}'\noffset = 9\ntext = 'hello'",
        "guest = 'read'\ndomain = 'back'\nmapping = '${map}'\noffset = 9\nsize = 5\nresult = { hex "
        "= '68656c6c6f' }",
        "dump = 'entries'\ndomain = 'front'\nwhere = { to = 'back' }\ncount = 1",
        "guest = 'end'\ndomain = 'front'\nref = '${grant}'\nresult = { ended = false }",
        "guest = 'unmap'\ndomain = 'back'\nmapping = '${map}'\nresult = { status = 'okay' }",
        "guest = 'end'\ndomain = 'front'\nref = '${grant.ref}'\nresult = { ended = true }",
        "dump = 'entries'\ndomain = 'front'\nwhere = { to = 'back' }\ncount = 0",
        "stats = { domains = { min = 2 }, mappings = 0 }",
        "audit = true")))
    assert done.stdout == "1..1\nok 1 - story\n"


def test_programs_are_started_spoken_to_and_waited_for(scenario):
    passes(scenario(steps(
        "spawn = 'cat'\nas = 'first'", "spawn = 'cat'",
        "send = 'first'\nline = 'ref ${grant} of ${page}'",
        "expect = 'first'\noutput = '^ref (?P<caught>\\d+) of (?P<word>\\S+)$'",
        "equal = ['${caught}', '${grant}', '${grant.ref}']",
        "close = 'first'", "wait = 'first'\noutput = 'ref'", "running = 'cat'",
        "kill = 'cat'", "wait = 'cat'\nsignal = 'SIGKILL'",
        "spawn = 'sh'\nargs = ['echo oh $((2 + 1)) >&2; exit 3']",
        "wait = 'sh'\nexit = [2, 3]\nerrors = 'oh (?P<n>\\d)'",
        "equal = ['${n}', 3]", "spawn = 'sh'\nargs = ['kill -SEGV $$']",
        "wait = 'sh'\nany = true")))


@pytest.mark.parametrize("step, said", [
    ("guest = 'read'\ndomain = 'front'\npage = '${page}'\nsize = 1\nresult = { hex = '01' }",
     r'story.toml:\d+: guest-read: hex is "00", expected "01"'),
    ("guest = 'end'\ndomain = 'front'\nref = 999999", r"story.toml:\d+: guest-end: "),
    ("guest = 'page'\ndomain = 'front'\nerror = 'no'",
     r"guest-page succeeded: .* expected an error that matches 'no'"),
    ("destroy = 9\nerror = 'wrong'", r"domain-destroy was refused with 'there is no domain 9.*', "
     r"which does not match 'wrong'"),
    ("stats = { mappings = { min = 1, max = 2 } }",
     r"mappings is 0, expected at least 1 and at most 2"),
    ("dump = 'entries'\nwhere = { ref = 3 }",
     r'0 of 5 rows of entries are as {"ref": 3}, expected at least 1\n#   {"domain": 1'),
    ("info = 'back'\nresult = { profile = 'pvh' }", r'domain 2: profile is "pv", expected "pvh"'),
    ("audit = 'wrong'", r"no violation matches 'wrong': the audit is clean"),
    ("equal = ['${grant}', 'x']", r'not the same: \d+, "x"'),
    ("equal = ['${grant.fer}', 1]", r"story.toml:\d+: there is no variable \$\{grant.fer\}; known "
     r"are: ref, refs"),
    ("send = 'cat'\nline = ''", r'program "cat" was not started yet'),
    ("spawn = 'cat'\n[[steps]]\nspawn = 'cat'",
     r'program "cat" runs already: give the second one a name'),
    ("spawn = 'sh'\nargs = ['echo what; exit 5']\n[[steps]]\nwait = 'sh'",
     r'program "sh" ended with exit status 5, expected exit status 0\n#   its stdout ends with: what'),
    ("spawn = 'sh'\nargs = ['exit 0']\n[[steps]]\nwait = 'sh'\nsignal = 'SIGTERM'",
     r'"sh" ended with exit status 0, expected SIGTERM'),
    ("spawn = 'sh'\nargs = ['true']\n[[steps]]\nexpect = 'sh'\noutput = 'x'",
     r"sh ended without printing 'x' \(exit status 0\)"),
    ("spawn = 'sh'\nargs = ['sleep 1000']\n[[steps]]\nwait = 'sh'\ntimeout = 0.05",
     r"sh did not end within 0.05 s"),
    ("spawn = 'sh'\nargs = ['true']\n[[steps]]\nwait = 'sh'\noutput = 'hello'",
     r"\"sh\" never printed 'hello'"),
    ("spawn = 'sh'\nargs = ['true']\n[[steps]]\nwait = 'sh'\n[[steps]]\nrunning = 'sh'",
     r'program "sh" has ended with exit status 0'),
    ("spawn = 'cat'\n[[steps]]\nkill = 'cat'\nsignal = 'SIGTERM'\n[[steps]]\nwait = 'cat'",
     r'"cat" ended with SIGTERM, expected exit status 0'),
    ("stats = { mappings = 1 }\neventually = true\ntimeout = 0.05",
     r"mappings is 0, expected 1 \(asked for 0.05 s\)"),
])
def test_what_is_not_so_fails_and_says_where_and_what_was_seen(scenario, step, said):
    fails(scenario(steps(step)), said, r"\n# seed: 1\n# replay: gntsim scenario run story.toml "
          r"--only story --seed 1 --programs ")


def test_a_program_that_dies_unexpectedly_fails_the_scenario(scenario):
    fails(scenario(steps("spawn = 'sh'\nargs = ['echo bye; kill -SEGV $$']",
                         "expect = 'sh'\noutput = 'bye'",
                         "info = 'back'\nresult = { open_files = 0 }",
                         "spawn = 'sh'\nas = 'last'\nargs = ['sleep 0.2']", "wait = 'last'")),
          r'program "sh" ended with SIGSEGV, which nothing here expects\n#   its stdout ends with: bye')


def test_a_killed_program_and_those_of_a_destroyed_domain_are_no_failure(scenario):
    passes(scenario(steps("spawn = 'cat'", "spawn = 'sh'\nargs = ['echo there; exec sleep 1000']",
                          "expect = 'sh'\noutput = 'there'",
                          "destroy = 'back'", "wait = 'sh'\nsignal = 'SIGKILL'",
                          "kill = 'cat'\nsignal = 'SIGTERM'", "wait = 'cat'\nany = true")))


def test_finally_is_executed_after_a_failure_as_well(scenario, place):
    more = "[[finally]]\nspawn = 'sh'\nas = 'last'\nargs = ['echo done >%s/done']\n[[finally]]\nwait = 'last'\n" % place
    fails(scenario(steps("stats = { mappings = 7 }") + more), "mappings is 0")
    assert (place / "done").read_text() == "done\n"
    fails(scenario(steps("audit = true") + "[[finally]]\nstats = { mappings = 5 }\n"),
          r"mappings is 0, expected 5")


def test_loops_variables_and_the_matrix(scenario):
    done = scenario(steps("""for = 'i'
in = { from = 1, to = 3 }
steps = [
  { guest = 'page', domain = 'front', as = 'p' },
  { guest = 'write', domain = 'front', page = '${p}', text = '${k}${i}${who}' },
  { guest = 'read', domain = 'front', page = '${p}', size = 3, as = 'r' },
  { equal = ['${r}', '${want}3${i}${end}'] },
]""") + """
[matrix]
k = ['a', 'b']
[vars]
want = '61'
[variants]
one = { vars = { who = 'x', end = '78' } }
other = { vars = { who = 'y', end = '79' } }
""")
    assert lines(done) == {"story[one,k=a]": True, "story[one,k=b]": False,
                           "story[other,k=a]": True, "story[other,k=b]": False}
    assert 'not the same: "623178", "613178"' in done.stdout


VARIANTS = steps("spawn = 'sh'\nargs = ['exit ${status}']", "wait = 'sh'") + """
[scenario]
description = "What it is about"
tags = ["quick"]
[variants]
right = { vars = { status = 0 } }
buggy = { vars = { status = 7 }, fails = "exit status 7", description = "With the bug" }
"""


def test_a_variant_that_must_fail_passes_if_it_fails_so(scenario):
    done = passes(scenario(VARIANTS))
    assert lines(done) == {"story[right]": True, "story[buggy]": True}
    assert re.search(r"^# fails as it should: story.toml:\d+: program \"sh\" ended with exit "
                     r"status 7", done.stdout, re.M)
    done = scenario(VARIANTS.replace("status = 7 }", "status = 8 }"))
    assert done.returncode == 1 and lines(done)["story[buggy]"] is False
    assert "expected to fail with a message that matches 'exit status 7', and failed otherwise" in done.stdout
    done = scenario(VARIANTS.replace("status = 7 }", "status = 0 }"))
    assert done.returncode == 1 and "and passed" in done.stdout


def test_cases_are_listed_and_chosen(scenario):
    done = scenario(VARIANTS, "--list")
    assert (done.returncode, done.stdout.split("\n")[0].split(None, 1)) == (0, ["story[right]", "What it is about"])
    assert done.stdout.split("\n")[1].split(None, 1) == ["story[buggy]", "With the bug"]
    assert lines(scenario(VARIANTS, "--only", "story[right]")) == {"story[right]": True}
    assert lines(scenario(VARIANTS, "--tag", "quick", "--shard", "2/2")) == {"story[buggy]": True}
    assert scenario(VARIANTS, "--tag", "slow").stdout == "1..0 # SKIP no cases\n"
    done = scenario(VARIANTS, "--only", "story[rihgt]")
    assert (done.returncode, done.stderr) == (2,
                                              "gntsim: no case is called story[rihgt]; --list "
                                              "shows what they are called\n")


def test_every_case_is_in_exactly_one_shard(scenario):
    text = steps("audit = true") + "[matrix]\nk = { from = 0, to = 10, step = 2 }\nj = [1]\n"
    whole = scenario(text, "--list").stdout.split("\n")
    parts = [scenario(text, "--list", "--shard", "%d/4" % i).stdout.split("\n")[:-1]
             for i in range(1, 5)]
    assert sorted(sum(parts, [])) == sorted(whole[:-1]) and len(whole) == 7


def test_profiles_of_the_file_and_of_the_command_line(scenario):
    text = steps("info = 'front'\nresult = { profile = '${profile}' }") + \
        "[scenario]\nprofile = ['pv', 'pvh']\n"
    assert lines(passes(scenario(text))) == {"story[pv]": True, "story[pvh]": True}
    assert lines(passes(scenario(text, "--profile", "legacy"))) == {"story": True}


def test_repetitions_and_jobs_report_in_order(scenario):
    done = passes(scenario(steps("audit = true") + "[matrix]\nk = { from = 0, to = 3 }\n",
                           "--repeat", 2, "--jobs", 3))
    assert done.stdout.splitlines() == ["1..8"] + \
        ["ok %d - story[k=%d] no. %d" % (2 * k + i, k, i) for k in range(4) for i in (1, 2)]


def test_the_replay_command_fails_in_the_same_way(scenario, place):
    text = steps("stats = { mappings = '${k}' }") + "[matrix]\nk = { from = 0, to = 2 }\n"
    done = scenario(text)
    assert done.returncode == 1
    command = shlex.split(re.search(r"^# replay: (.*k=2.*)$", done.stdout, re.M).group(1))
    assert command[0] == "gntsim"
    again = subprocess.run([harness.GNTSIM, *command[1:]], cwd=place, capture_output=True,
                           text=True)
    assert lines(again) == {"story[k=2]": False} and again.returncode == 1
    assert "mappings is 0, expected 2" in again.stdout


def test_a_junit_report_has_a_test_case_for_each_case(scenario, place):
    scenario(VARIANTS.replace(', fails = "exit status 7"', "").replace("exit ${status}", "printf \\\\1; exit ${status}"), "--junit", "report.xml")
    root = ElementTree.parse(place / "report.xml").getroot()
    [suite] = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("story", "2", "1")
    right, buggy = suite.findall("testcase")
    assert (right.get("name"), right.get("classname"), right.find("failure")) == ("story[right]",
                                                                                  "story", None)
    assert "exit status 7" in buggy.find("failure").get("message") and \
        "replay: gntsim" in buggy.find("failure").text
    properties = {one.get("name"): one.get("value") for one in buggy.find("properties")}
    assert properties["seed"] == "1" and properties["profile"] == "pv"
    done = scenario(VARIANTS, "--junit", "no/such/report.xml")
    assert (done.returncode, done.stdout) == (2, "") and "report.xml" in done.stderr


def test_a_progress_line_is_shown_on_a_terminal_only(scenario, place, programs):
    scenario.write(steps("audit = true"))
    master, slave = pty.openpty()
    done = subprocess.run([harness.GNTSIM, "scenario", "run", "story.toml", "--programs", programs],
                          cwd=place, stdout=subprocess.PIPE, stderr=slave, text=True)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert done.stdout == "1..1\nok 1 - story\n"
    assert "[0/1] story" in shown and shown.endswith("\r\x1b[K")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_everything(scenario, place, programs, sig):
    scenario.write(steps("spawn = 'sh'\nargs = ['echo $$ >%s/pid; exec sleep 1000']" % place,
                         "wait = 'sh'\ntimeout = 600"))
    with subprocess.Popen([harness.GNTSIM, "scenario", "run", "--junit", "report.xml", "story.toml",
                           "--programs", programs], cwd=place, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as run:
        harness.eventually(lambda: (place / "pid").exists() and (place / "pid").read_text(),
                           "the program runs")
        run.send_signal(sig)
        out, errors = run.communicate(timeout=harness.PATIENCE)
    assert (run.returncode, out) == (130, "1..1\n"), errors
    assert errors == "gntsim: interrupted\n"


def test_the_clients_of_a_crashed_simulator_get_an_error_and_no_hang(scenario):
    passes(scenario(steps("spawn = 'backend'", "expect = 'backend'\noutput = 'ready'",
                          "crash = true",
                          "send = 'backend'\nline = '1 ${grant}'",
                          "expect = 'backend'\nerrors = 'error: cannot map'",
                          "close = 'backend'", "wait = 'backend'\noutput = 'bye'")))


def test_a_program_maps_what_the_scenario_grants(scenario):
    passes(scenario(steps("guest = 'write'\ndomain = 'front'\npage = '${page}'\nhex = '2a'",
                          "spawn = 'backend'",
                          "send = 'backend'\nline = '1 ${grant}; 1 ${grant}'",
                          "expect = 'backend'\noutput = 'served (?P<value>\\d+)'",
                          "equal = ['${value}', 84]", "stats = { mappings = 0 }\neventually = true",
                          "close = 'backend'", "wait = 'backend'")))


def test_domains_can_be_made_later_and_any_verb_called(scenario):
    passes(scenario(steps("create = 'later'", "create = 7", "create = 7\nerror = 'exists'",
                          "info = 'later'\nresult = { profile = 'pvh' }",
                          "call = 'domain-list'\nas = 'all'",
                          "call = 'no-such-verb'\nerror = 'unknown verb'",
                          "page-out = 'front'\nref = '${grant}'",
                          "page-in = 'front'\nref = '${grant}'",
                          "page-in = 'front'\nref = '${grant}'\nerror = 'not paged out'")
                    + "[domains.later]\nid = 5\nprofile = 'pvh'\ncreate = false\n"))


@pytest.mark.parametrize("text, said", [
    ("#!/bin/sh\necho 'no room here' >&2; exit 1\n", "the machine did not start: no room here"),
    (None, "GNTSIM="),
    ("#!/bin/sh\nshift 2; mkdir $1; echo gntsim: ready: $1/control\n", "no machine answers at ")])
def test_a_machine_that_cannot_be_reached_is_one_clear_line_and_exit_status_2(scenario, place,
                                                                              programs, text, said):
    """`gntsim scenario` makes GNTSIM itself; so the module is run without it."""
    scenario.write(steps("audit = true"))
    if text:
        (place / "other").write_text(text)
        os.chmod(place / "other", 0o755)
    done = subprocess.run([sys.executable, "-B", "-m", "gntsim.scenario", "run", "story.toml",
                           "--programs", programs], cwd=place,
                          env={**os.environ, "PYTHONPATH": str(SOURCE / "scenarios"),
                               "GNTSIM": str(place / "other")}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("gntsim: " + said) and \
        done.stderr.count("\n") == 1
    assert not text or done.stdout.startswith("1..1\nBail out! " + said)


def test_without_python_the_command_says_what_to_install(scenario, place):
    done = scenario.call("check", "x.toml", env={"PATH": str(place)})
    assert done.returncode == 127 and "apt-get install python3" in done.stderr


@pytest.mark.parametrize("way", ["device", "socket"])
def test_a_way_can_be_chosen(scenario, way):
    if way == "device" and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no device files: /dev/fuse is not open to this user (as root: chmod 0666 "
                    "/dev/fuse)")
    if way == "socket" and harness.library_kind() != "dynamic":
        pytest.skip("the libraries have a sanitizer, the sample programs have none")
    text = steps("spawn = 'backend'", "send = 'backend'\nline = '1 ${grant}'",
                 "expect = 'backend'\noutput = 'served'",
                 "close = 'backend'", "wait = 'backend'",
                 "spawn = 'sh'\nargs = ['echo socket=$GNTSIM_SOCKET.']",
                 "wait = 'sh'\noutput = 'socket=(?P<path>.*)\\.$'",
                 "call = 'stats'\nas = 'stats'")
    done = passes(scenario(text + "[[steps]]\nequal = ['${path}', '']\n" if way == "device"
                           else text, "--way", way))
    assert done.stdout == "1..1\nok 1 - story\n"
    only = text + "[scenario]\nways = ['%s']\n" % {"device": "socket", "socket": "device"}[way]
    assert "ok 1 - story # SKIP not meant for --way %s" % way in scenario(only, "--way", way).stdout
