# SPDX-License-Identifier: MIT
"""A mistake in a scenario file gets one line with file, line and key, and exit status 2."""
import re
import subprocess
import tomllib
from itertools import islice
from pathlib import Path
from random import Random

import pytest

import gntsim.scenario.schema as schema
import gntsim.scenario.uses as uses
import gntsim.scenario.values as values
import harness
from conftest import SOURCE
from gntsim.scenario.cases import Mistake, Options, Scenario, cases, check_programs, load, substitute
from gntsim.scenario.places import Places
from test_scenario_run import PAGE


GOOD = """\
[domains]
front = { id = 1 }

[programs]
cat = { command = ["cat"], domain = "front" }

[[steps]]
spawn = "cat"

"""


def at(text, path, line):
    assert Places(text).line(path) == line, Places(text).lines


def test_every_key_has_its_line():
    text = '''# a comment
a = 1
[t]   # [no.table]
b = "x = 1 # no comment"
"quoted key" = 2
c.d = 3
e = [ 1,
      { f = 4 },   # ]
      "]" ]
m = """
g = 5
\\""" still """
l = \'\'\'it's
\'\'\'
[[steps]]
spawn = 1
[[steps]]
spawn = 2
args = [ { h = { i = 1, j = [2, 3] } } ]
[steps.deep]
k = 1979-05-27 07:32:00
n = { }
[last]
o = 1'''
    tomllib.loads(text)
    for path, line in ((("a",), 2), (("t",), 3), (("t", "b"), 4), (("t", "quoted key"), 5),
                       (("t", "c", "d"), 6), (("t", "e"), 7),
                       (("t", "e", 1), 8), (("t", "e", 1, "f"), 8), (("t", "e", 2), 9),
                       (("t", "m"), 10), (("t", "l"), 13),
                       (("steps", 0), 15), (("steps", 0, "spawn"), 16), (("steps", 1, "spawn"), 18),
                       (("steps", 1, "args", 0, "h", "j", 1), 19), (("steps", 1, "deep"), 20),
                       (("steps", 1, "deep", "k"), 21),
                       (("last", "o"), 24), (("t", "nothing"), 3), (("steps", 1, "args", 7), 19)):
        at(text, path, line)


def test_the_lines_of_real_files_are_found():
    for file in (SOURCE / "scenarios").glob("**/*.toml"):
        text = file.read_text()
        lines = text.splitlines()
        for path, line in Places(text).lines.items():
            if isinstance(path[-1], str):
                assert path[-1] in lines[line - 1], (file, path)


def test_a_good_file_is_said_to_be_good(scenario):
    done = scenario.check(GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "story.toml: good, 1 cases\n", "")


MISTAKES = {
    "not TOML": ("[[steps]\nspawn = 1", r"story.toml:1: not TOML: Expected"),
    "not TOML at the end": ("[[steps]]\nspawn = 'x", r"story.toml:\d+: not TOML"),
    "a key twice": (GOOD + "[[steps]]\nspawn = 'cat'\nspawn = 'cat'\n",
                    r"story.toml:12: not TOML: Cannot overwrite"),
    "nothing": ("", r"story.toml:1: \"steps\" is missing"),
    "unknown table": (GOOD + "[domain]\n", r"story.toml:10: domain: unknown key; did you mean "
                      r"\"domains\"\?"),
    "unknown key": (GOOD + "[scenario]\nsed = 1\n",
                    r"story.toml:11: scenario.sed: unknown key; did you mean \"seed\"\?"),
    "unknown step": (GOOD + "[[steps]]\nspwan = 'cat'\n",
                     r"story.toml:11: steps.spwan: unknown step; did you mean \"spawn\"\?"),
    "unknown key of a step": (GOOD + "[[steps]]\nsend = 'cat'\nline = ''\nlin = 'x'\n",
                              r"story.toml:13: steps.lin: unknown key; did you mean \"line\"\?"),
    "empty step": (GOOD + "[[steps]]\ntimeout = 3\n", r"story.toml:10: steps: an empty step"),
    "missing key of a step": (GOOD + "[[steps]]\nsend = 'cat'\n",
                              r"story.toml:10: steps: a step \"send\" needs \"line\""),
    "wrong type": (GOOD + "[scenario]\nseed = 'x'\n",
                   r"story.toml:11: scenario.seed: must be a number, 0 or more, not 'x'"),
    "true is no number": (GOOD + "[scenario]\nseed = true\n",
                          r"story.toml:11: scenario.seed: must be a number, 0 or more, not true"),
    "a table that is none": (GOOD + "[scenario]\n[vars]\nx = 1\n[matrix]\nk = 3\n",
                             r"story.toml:14: matrix.k: must be a list, or { from = …, to = … "
                             r"}, not 3"),
    "wrong type within a list": (GOOD + "[[steps]]\nspawn = 'cat'\nargs = ['a', [1]]\n",
                                 r"story.toml:12: steps.args: must be a text, not \[1\]"),
    "domain id": ("domains.a.id = 40000\nsteps = []",
                  r"story.toml:1: domains.a.id: must be a domain's number, 0 to 32751, not 40000"),
    "no domain id": ("[domains.a]\nprofile = 'pv'\n[[steps]]\naudit = true",
                     r"story.toml:1: domains.a: \"id\" is missing"),
    "two domains of one number": (GOOD + "[domains.back]\nid = 1\n",
                                  r"story.toml:11: domains.back.id: domains \"front\" and \"back\" "
                                  r"have the same"),
    "unknown program": (GOOD + "[[steps]]\nspawn = 'dog'\n",
                        r"story.toml:11: steps.spawn: there is no program \"dog\"; known are: cat"),
    "unknown program to wait for": (GOOD + "[[finally]]\nwait = 'cot'\n",
                                    r"story.toml:11: finally.wait: there is no program \"cot\"; "
                                    r"did you mean \"cat\"\?"),
    "unknown domain": (GOOD + "[[steps]]\ndestroy = 'back'\n",
                       r"story.toml:11: steps.destroy: there is no domain \"back\""),
    "unknown domain of a program": ("[programs]\np = { command = ['cat'], domain = 'x' "
                                    "}\n[[steps]]\nspawn = 'p'\n",
                                    r"story.toml:2: programs.p.domain: there is no domain \"x\"; "
                                    r"there are none at all"),
    "unknown domain of a rule": (GOOD + "[[faults]]\nat = 'mmap'\npeer = 'x'\ndo = { errno = "
                                 "'EIO' }\n", r"story.toml:12: faults.peer: there is no domain"),
    "unknown rule": (GOOD + "[[steps]]\nfired = 'x'\n",
                     r"story.toml:11: steps.fired: there is no rule \"x\""),
    "a rule without a place": (GOOD + "[[faults]]\ndo = { errno = 'EIO' }\n",
                               r"story.toml:10: faults: \"at\" is missing"),
    "a rule that does two things": (GOOD + "[[faults]]\nat = 'mmap'\ndo = { errno = 'EIO', kill = "
                                    "true }\n", r"story.toml:12: faults.do: must be a table "
                                    r"with one key"),
    "a rule that does nothing known": (GOOD + "[[faults]]\nat = 'mmap'\ndo = { erno = 'EIO' }\n",
                                       r"story.toml:12: faults.do.erno: unknown key; did you mean "
                                       r"\"errno\""),
    "a delay that is no time": (GOOD + "[[faults]]\nat = 'mmap'\ndo = { delay = '5' }\n",
                                r"story.toml:12: faults.do.delay: '5' is no time"),
    "probability": (GOOD + "[[faults]]\nat = 'mmap'\nprobability = 2\ndo = { errno = 'EIO' }\n",
                    r"story.toml:12: faults.probability: must be a number from 0 to 1"),
    "regular expression": (GOOD + "[[steps]]\nexpect = 'cat'\noutput = '('\n",
                           r"story.toml:12: steps.output: is no regular expression"),
    "expect nothing": (GOOD + "[[steps]]\nexpect = 'cat'\n",
                       r"story.toml:10: steps: a step \"expect\" needs one of \"output\", "
                       r"\"errors\""),
    "two ends": (GOOD + "[[steps]]\nwait = 'cat'\nexit = 0\nsignal = 'SIGKILL'\n",
                 r"steps.signal: a step \"wait\" may have one of only"),
    "signal": (GOOD + "[[steps]]\nkill = 'cat'\nsignal = 'KILL'\n",
               r"story.toml:12: steps.signal: must be a signal's name"),
    "amount": (GOOD + "[[steps]]\nstats = { mappings = { least = 1 } }\n",
               r"story.toml:11: steps.stats.mappings.least: unknown key"),
    "unknown act": (GOOD + "[[steps]]\nguest = 'paeg'\ndomain = 1\n",
                    r"story.toml:11: steps.guest: must be one of \"page\""),
    "key of another act": (GOOD + "[[steps]]\nguest = 'page'\ndomain = 1\nref = 2\n",
                           r"story.toml:13: steps.ref: unknown key"),
    "missing key of an act": (GOOD + "[[steps]]\nguest = 'end'\ndomain = 1\n",
                              r"story.toml:10: steps: a step \"guest\" needs \"ref\""),
    "write what": (GOOD + "[[steps]]\nguest = 'write'\ndomain = 1\npage = 1\n",
                   r"needs one of \"hex\", \"text\""),
    "within a loop": (GOOD + "[[steps]]\nfor = 'k'\nin = [1]\nsteps = [\n  { send = 'cat', line = "
                      "'' },\n  { sned = 'cat' },\n]\n",
                      r"story.toml:15: steps.steps.sned: unknown step"),
    "a loop over nothing": (GOOD + "[[steps]]\nfor = 'k'\nin = { from = 1 }\nsteps = []\n",
                            r"story.toml:12: steps.in: \"to\" is missing"),
    "missing program in PATH": ("programs.p.command = ['no-such-thing']\n[[steps]]\nspawn = 'p'\n",
                                r"story.toml:1: programs.p.command: there is no program "
                                r"no-such-thing in .* or in PATH: build it, or say with "
                                r"--programs"),
    "missing program with a path": ("programs.p.command = ['./no-such']\n[[steps]]\nspawn = 'p'\n",
                                    r"there is no program /.*/./no-such: build it"),
    "missing program of a variant": ("programs.p.command = ['${name}']\n[variants]\na.vars.name = "
                                     "'cat'\nb.vars.name = "
                                     "'no-such-thing'\n[[steps]]\nspawn = 'p'\n",
                                     r"story.toml:1: programs.p.command: there is no program "
                                     r"no-such-thing"),
    "sweep": (GOOD + "[sweep]\nends = ['dog']\n",
              r"story.toml:11: sweep.ends: there is no program \"dog\""),
    "unknown profile": (GOOD + "[scenario]\nprofile = 'xen'\n",
                        r"story.toml:11: scenario.profile: must be one of \"pv\", \"pvh\", "
                        r"\"legacy\", not 'xen'"),
    "endless time": (GOOD + "[scenario]\ntimeout = inf\n",
                     r"story.toml:11: scenario.timeout: must be a number of seconds, not inf"),
    "unknown point": (GOOD + "[[faults]]\nat = 'map_grant_reff'\ndo = { kill = true }\n",
                      r"story.toml:11: faults.at: there is no 'map_grant_reff'; did you mean "
                      r"\"map_grant_ref\""),
    "unknown point of a step": (GOOD + "[[steps]]\nfault = { at = 'opne', do = { kill = true } }\n",
                                r"story.toml:11: steps.fault.at: there is no 'opne'; did you mean "
                                r"\"open\""),
    "unknown point of a sweep": (GOOD + "[sweep]\nat = ['opne']\n",
                                 r"story.toml:11: sweep.at: there is no 'opne'; did you mean "
                                 r"\"open\""),
    "unknown device": (GOOD + "[[faults]]\nat = 'mmap'\ndevice = 'gntdef'\ndo = { kill = true }\n",
                       r"story.toml:12: faults.device: there is no 'gntdef'"),
    "unknown ioctl": (GOOD + "[[faults]]\nat = 'ioctl'\nioctl = 'MAP'\ndo = { kill = true }\n",
                      r"story.toml:12: faults.ioctl: there is no 'MAP'"),
    "unknown status": (GOOD + "[[faults]]\nat = 'copy'\ndo = { status = 'again' }\n",
                       r"story.toml:12: faults.do.status: there is no 'again'; did you mean "
                       r"\"eagain\""),
    "unknown errno": (GOOD + "[[faults]]\nat = 'mmap'\ndo = { errno = 'ENOMEN' }\n",
                      r"story.toml:12: faults.do.errno: must be an errno such as"),
    "a status where there is none": (GOOD + "[[faults]]\nat = 'mmap'\ndo = { status = 'eagain' }\n",
                                     r"story.toml:12: faults.do.status: only an operation with "
                                     r"a status"),
    "unknown limit": (GOOD + "[[steps]]\nlimit = 1\nwhat = 'frames'\nvalue = 1\n",
                      r"story.toml:12: steps.what: must be one of \"grant_frames\""),
    "unknown adversary": (GOOD + "[[steps]]\nadversary = 'start'\ndomain = 1\nkind = 'evil'\n",
                          r"story.toml:13: steps.kind: must be one of \"rewrite-entries\""),
    "unknown key of an adversary": (GOOD + "[[steps]]\nadversary = 'start'\ndomain = 1\nkind = "
                                    "'guess'\nfirts = 1\n",
                                    r"story.toml:14: steps.firts: unknown key; did you mean "
                                    r"\"first\""),
    "unknown counter": (GOOD + "[[steps]]\nstats = { maps = 1 }\n",
                        r"story.toml:11: steps.stats.maps: unknown key"),
    "unknown column": (GOOD + "[[steps]]\ndump = 'ports'\nwhere = { prot = 1 }\n",
                       r"story.toml:12: steps.where.prot: ports have no column of this name; did "
                       r"you mean \"port\""),
    "odd hexadecimal": (GOOD + "[[steps]]\nguest = 'write'\ndomain = 1\npage = 1\nhex = 'abc'\n",
                        r"story.toml:14: steps.hex: must be pairs of hexadecimal digits"),
    "exit status": (GOOD + "[[steps]]\nwait = 'cat'\nexit = 256\n",
                    r"story.toml:12: steps.exit: must be an exit status, 0 to 255, not 256"),
    "exit statuses": (GOOD + "[[steps]]\nwait = 'cat'\nexit = [0, -1]\n",
                      r"story.toml:12: steps.exit: must be an exit status, 0 to 255, not -1"),
    "NUL in an argument": (GOOD + "[[steps]]\nspawn = 'cat'\nargs = [\"a\\u0000b\"]\n",
                           r"story.toml:12: steps.args: must be a text without NUL"),
    "unknown variable": (GOOD + "[[steps]]\nguest = 'page'\ndomain = 1\nas = "
                         "'grant'\n[[steps]]\nspawn = 'cat'\nargs = ['x', '${gratn.ref}']\n",
                         r"story.toml:16: steps.args: there is no variable \${gratn}; did you mean "
                         r"\"grant\""),
    "unknown variable in a loop": (GOOD + "[[steps]]\nfor = 'k'\nin = [1]\nsteps = [ { send = "
                                   "'cat', line = '${k} ${l}' } ]\n",
                                   r"story.toml:13: steps.steps.line: there is no variable \${l}"),
    "a name": (GOOD + "[variants]\n'a b' = {}\n", r"story.toml:11: variants.a b: must be a name"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_names_its_place(name, place, monkeypatch):
    text, message = MISTAKES[name]
    monkeypatch.chdir(place)
    (place / "story.toml").write_text(text)
    with pytest.raises(Mistake) as mistake:
        options = Options(programs=["/usr/bin"])
        for case in cases(load("story.toml"), options):
            check_programs(case, options)
    assert re.match(".*" + message, str(mistake.value)), mistake.value
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("name", ["not TOML", "unknown key of a step", "wrong type",
                                  "missing program in PATH"])
def test_a_mistake_is_one_line_of_the_command_and_exit_status_2(scenario, name, verb):
    text, message = MISTAKES[name]
    done = scenario.check(text) if verb == "check" else scenario(text)
    assert re.match("gntsim: .*" + message, done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
    assert (done.returncode, done.stdout) == (2, "")


def test_a_missing_file_and_a_file_that_is_no_text_are_said_to_be_that(scenario, place):
    done = scenario.call("check", "nothing.toml")
    assert (done.returncode, done.stderr) == (2,
                                              "gntsim: nothing.toml: cannot be read: No such file "
                                              "or directory\n")
    (place / "bytes.toml").write_bytes(b"# 1\n\xff\xfe")
    done = scenario.call("run", "bytes.toml")
    assert done.returncode == 2 and done.stderr.startswith("gntsim: bytes.toml:2: not UTF-8 text")
    (place / "deep.toml").write_text("a = " + "[" * 100000)
    done = scenario.call("run", "deep.toml")
    assert done.returncode == 2 and done.stderr.startswith("gntsim: deep.toml:") and \
        done.stderr.count("\n") == 1


def test_variables_from_everywhere_are_known(place):
    (place / "story.toml").write_text(GOOD + """
[vars]
a = 1
[matrix]
b = [1]
[variants.one.vars]
c = 2
[[steps]]
guest = "page"
domain = 1
as = "d"
[[steps]]
expect = "cat"
output = '(?P<e>x) ${a}'
[[steps]]
for = "f"
in = [1]
steps = [ { send = "cat", line = "${a} ${b} ${c} ${d.page} ${e} ${f} ${seed} ${profile} ${dir} ${here} $${none}" } ]
""")
    load(str(place / "story.toml"))


@pytest.mark.parametrize("steps, says", [
    ("[[steps]]\nlimit = 1\nwhat = '${a}'\nvalue = 4\n", "there is no limit 'x'"),
    ("[[steps]]\nexpect = 'cat'\noutput = 'x'\ntimeout = '${a}'\n",
     "a step \"expect\" cannot be done"),
    ("[[steps]]\nkill = 'cat'\nsignal = '${a}'\n", "a step \"kill\" cannot be done"),
    ("[[steps]]\nspawn = 'cat'\nas = 'other'\nargs = ['${nul}']\n", "embedded null byte"),
    ("[[steps]]\nexpect = 'cat'\noutput = '${open}'\n", "a step \"expect\" cannot be done"),
    ("[[faults]]\nat = 'mmap'\ndo = { delay = '${a}' }\n[[steps]]\nclock = 'next'\n",
     "cannot be done with these values: 'x' is no time")])
def test_a_variable_that_holds_the_wrong_thing_fails_the_case_and_says_where(scenario, steps, says):
    done = scenario(GOOD + '[vars]\na = "x"\nnul = "a\\u0000b"\nopen = "("\n' + steps)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert re.search(r"# story.toml:\d+: .*" + re.escape(says), done.stdout), done.stdout


def test_what_cannot_be_written_is_said_before_anything_is_played(scenario, place):
    for option in ("--junit", "--trace"):
        done = scenario(GOOD, option, "/dev/null/x")
        assert (done.returncode, done.stdout) == (2, "") and \
            re.match("gntsim: cannot write /dev/null/x: .*\n$", done.stderr), done.stderr
    done = subprocess.run([harness.GNTSIM, "scenario", "run", "story.toml"], cwd=place,
                          stdout=open("/dev/full", "w"), stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1,
                                              "gntsim: cannot write the results: No space left on "
                                              "device\n")


def test_mistakes_in_several_files_are_all_said(scenario):
    for name in ("one.toml", "two.toml"):
        scenario.write("[x]", name)
    done = scenario.call("check", "one.toml", "two.toml")
    assert done.returncode == 2 and re.match("gntsim: one.toml:1: .*\ngntsim: two.toml:1: .*\n$",
                                             done.stderr)


@pytest.mark.parametrize("args, says", [
    ((), "VERB"), (("play",), "invalid choice"), (("run",), "FILE"),
    (("run", "--jobs", "0", "x"), "'0' is no number"),
    (("run", "--seed", "-1", "x"), "seed"), (("run", "--shard", "3/2", "x"), "I/N"),
    (("run", "--sweep", "all", "x"), "invalid choice"),
    (("run", "--sweep-point", "{}", "x"), "no point of a sweep"),
    (("run", "--sweep-point", "{", "x"), "no point of a sweep"),
    (("run", "--frobnicate", "x"), "--frobnicate")])
def test_a_wrong_option_is_a_usage_error(scenario, args, says):
    done = scenario.call(args[0], *args[1:]) if args else scenario.call("")
    assert done.returncode == 2 and done.stdout == ""
    assert says in done.stderr or not args
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("gntsim: ")


def test_help_names_every_option(scenario):
    done = scenario.call("run", "--help")
    assert done.returncode == 0
    page = (SOURCE / "docs" / "scenario-format.md").read_text()
    options = set(re.findall(r"--[a-z-]+", done.stdout)) - {"--help"}
    assert len(options) == 17
    for option in options:
        assert option in page, option


def test_the_page_of_the_format_knows_every_key():
    page = (SOURCE / "docs" / "scenario-format.md").read_text()
    keys = {*schema.FILE, *schema.SCENARIO, *schema.VARIANT, *schema.DOMAIN, *schema.PROGRAM,
            *schema.RULE, *schema.ACTIONS, *schema.STEPS, *schema.ACTS, *schema.STORE_ACTS,
            *schema.SWEEP, *schema.LIMIT, *schema.COMMON, *schema.ANSWER}
    for _, more, _ in schema.STEPS.values():
        keys |= set(more)
    for act, _ in (*schema.ACTS.values(), *schema.STORE_ACTS.values()):
        keys |= set(act)
    words = set(re.findall(r"[\w-]+", page))
    assert not {key for key in keys if key not in words}
    for key in keys:
        assert re.search(r"`[^`]*\b%s\b[^`]*`" % re.escape(key), page), key


@pytest.mark.parametrize("text, value", [
    ("${a}", 1), ("x${a}y${b.c}", "x1y2"), ("${b}", 2), ("${list.1}", 6), ("$${a}", "${a}"),
    (["${a}", {"k": "${a}"}], [1, {"k": 1}]),
    ("$a {a} $", "$a {a} $"), ("${grant}", 8), ("${grant.refs}", [8, 9]), ("${grant.refs.1}", 9),
    ("${plain}", {"x": 1, "y": 2})])
def test_variables_are_replaced(text, value):
    variables = {"a": 1, "b": {"c": 2}, "list": [5, 6], "grant": {"ref": 8, "refs": [8, 9]},
                 "plain": {"x": 1, "y": 2}}
    assert substitute(text, variables) == value


def test_an_unknown_variable_is_named():
    with pytest.raises(KeyError, match=r"there is no variable \$\{a.x\}; known are: b"):
        substitute("${a.x.y}", {"a": {"b": 1}})


def mutate(random, value):
    """The value with one thing in it replaced, removed or added."""
    odd = [None, True, -1, 3, 1.5, "", "x", "${x}", "${", [], [1], {}, {"a": 1}, "front",
           float("inf"), [[]], "5 ms", 10 ** 30]
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        copy = dict(value)
        if random.random() < 0.15:
            del copy[key]
        elif random.random() < 0.15:
            copy[random.choice(["x", "id", "at", "do", "as", "in", "steps", "spawn", "domain",
                                "ref"])] = random.choice(odd)
        else:
            copy[key] = mutate(random, value[key])
        return copy
    if isinstance(value, list) and value and random.random() < 0.9:
        i = random.randrange(len(value))
        return value[:i] + [mutate(random, value[i])] + value[i + 1:]
    return random.choice(odd)


EVERYTHING = PAGE.replace('["backend"]', '["cat"]') + """
[scenario]
profile = ["pv"]
clock = "virtual"
ways = ["device"]
tags = ["x"]
timeout = 3
[vars]
a = 1
[matrix]
k = [1, 2]
n = { from = 1, to = 3, step = 2 }
[variants.one]
vars = { b = 2 }
fails = "x"
[[faults]]
name = "r"
at = "mmap"
domain = "front"
do = { delay = "5 ms" }
[[steps]]
spawn = "cat"
args = ["a", 1]
[[steps]]
expect = "cat"
output = "x"
[[steps]]
wait = "cat"
exit = [0, 1]
[[steps]]
fired = "r"
times = { min = 1 }
[[steps]]
stats = { mappings = 0 }
[[steps]]
trace = [ { op = "mmap", args = { index = 1 } } ]
[[steps]]
for = "i"
in = { from = 1, to = 2 }
steps = [ { send = "cat", line = "x" }, { equal = [1, 1] } ]
[[finally]]
clock = "1 s"
[sweep]
exit = [0]
limit = { domain = "front", what = "gntdev", from = 3 }
"""


def test_no_file_however_odd_is_more_than_a_mistake():
    """Mutations of a file that has everything: each is good, or a Mistake with a place."""
    random = Random(6)
    whole = tomllib.loads(EVERYTHING)
    check = Scenario(Path("story.toml"), whole, Places(EVERYTHING))
    uses.check_file(whole)
    mistakes = 0
    for _ in range(6000):
        data = whole
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            data = mutate(random, data)
        try:
            uses.check_file(data)
            scenario = Scenario(check.path, data, check.places)
            for case in islice(cases(scenario, Options()), 20):
                check_programs(case, Options(programs=["/usr/bin"]))
        except values.Wrong as wrong:
            mistakes += 1
            assert "\n" not in str(check.mistake(wrong))
        except Mistake:
            mistakes += 1
    assert mistakes > 3000


def test_no_bytes_are_more_than_a_mistake(place):
    random = Random(7)
    text = EVERYTHING.encode()
    for _ in range(400):
        data = bytearray(text)
        for _ in range(random.choice((1, 2, 8))):
            i = random.randrange(len(data))
            data[i:i + random.choice((0, 1, 1, 5))] = random.choice((b"", b'"', b"[", b"]]", b"{", b"}", b"=", b"\n", b"#", b"'''", b"\\", b"\xff", b"1"))
        (place / "x.toml").write_bytes(data)
        try:
            load(str(place / "x.toml"))
        except Mistake as mistake:
            assert "\n" not in str(mistake)
