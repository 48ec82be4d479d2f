# SPDX-License-Identifier: MIT
"""The command line itself: help, usage errors, doctor."""
import json
import re
import subprocess

import pytest

import harness
from harness import GNTSIM, gntsim

pytestmark = pytest.mark.needs_no_machine

VERBS = ["run", "serve", "exec", "ctl", "scenario", "record", "replay-device", "compare", "trace",
         "top", "report",
         "replay", "names", "explain", "doctor"]
CTL_VERBS = ["domain list", "domain create", "domain destroy", "page-out", "page-in", "dump",
             "stats", "audit", "shutdown"]


def test_help_names_every_verb():
    done = gntsim("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in VERBS:
        assert re.search(r"^\s+%s\s" % verb, done.stdout, re.M), verb


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    done = gntsim(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.lower().startswith("usage: gntsim %s" % verb)


def test_an_unknown_verb_is_told_all_verbs():
    said = gntsim("frobnicate").stderr
    assert said.count("\n") == 1
    for verb in VERBS:
        assert re.search(r"[ ,]%s[,; ]" % verb, said), verb


def test_help_as_json_has_every_verb_and_every_option():
    tables = json.loads(gntsim("--help", "--json").stdout)
    assert [command["name"] for command in tables["commands"]] == VERBS
    for command in tables["commands"]:
        if command["name"] != "scenario":       # which Python explains
            named = {name for usage in command["usages"] for name in usage["options"]}
            shown = re.findall(r"^  (?:-\w, )?--([a-z-]+)",
                               gntsim(command["name"], "--help").stdout, re.M)
            assert sorted(named | {"help"}) == sorted(shown), command["name"]


@pytest.mark.parametrize("option", [option for option in json.loads(
    gntsim("--help", "--json").stdout)["options"] if option["values"]], ids=lambda o: o["name"])
def test_each_value_that_help_as_json_lists_is_understood(option):
    commands = json.loads(gntsim("--help", "--json").stdout)["commands"]
    verb = next(command["name"] for command in commands
                if any(option["name"] in usage["options"] for usage in command["usages"]))
    for value in option["values"].split():
        done = gntsim(verb, "--" + option["name"], value)
        assert (done.returncode, "%s needs " % verb in done.stderr) == (2, True), done.stderr


def test_ctl_explains_its_verbs():
    text = gntsim("ctl", "--help").stdout
    for verb in json.loads(gntsim("--help", "--json").stdout)["verbs"]:
        assert re.search(r"^  %s\s" % verb["words"], text, re.M), verb


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("names",), ("explain",),
                                  ("doctor",)])
def test_an_answer_that_cannot_be_written_is_an_error(args):
    with open("/dev/full", "w") as full:
        done = subprocess.run([GNTSIM, *args], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr == \
        "gntsim: cannot write the results: No space left on device\n"


@pytest.mark.parametrize("option, words", [("--fault",
                                            "cannot read fault rules from /nonexistent/x"),
                                           ("--trace", "cannot write the trace to /nonexistent/x")])
def test_a_machine_that_cannot_begin_says_why_in_one_line_and_nothing_is_run(option, words):
    done = gntsim("run", "--way", "socket", option, "/nonexistent/x", "--", "echo", "I ran")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("gntsim: %s: .*\n" % words, done.stderr)


def test_version_is_the_projects():
    version = re.search(r"version: '([^']+)'",
                        (harness.SOURCE / "meson.build").read_text()).group(1) \
        if (harness.SOURCE / "meson.build").exists() else r"\d+\.\d+\.\d+"
    assert re.fullmatch(r"gntsim %s\n" % version, gntsim("--version").stdout)


@pytest.mark.parametrize("args,words", [
    ((), "Usage"),
    (("frobnicate",), "frobnicate"),
    (("--frobnicate",), "--frobnicate"),
    (("run",), "command"),
    (("run", "--"), "command"),
    (("run", "--frobnicate", "--", "true"), "--frobnicate"),
    (("run", "--domain", "--", "true"), "--domain|'--'"),
    (("run", "--domain", "x", "--", "true"), "'x'"),
    (("run", "--domain", "-1", "--", "true"), "'-1'"),
    (("run", "--domain", "32752", "--", "true"), "'32752'"),
    (("run", "--domain", "1 ", "--", "true"), "'1 '"),
    (("run", "--profile", "xyz", "--", "true"), "xyz.*pv.*pvh.*legacy"),
    (("run", "--profile"), "--profile"),
    (("serve",), "--dir"),
    (("serve", "--dir"), "--dir"),
    (("serve", "--dir", "/tmp", "more"), "more"),
    (("exec", "--", "true"), "--dir"),
    (("exec", "--dir", "/nonexistent", "--domain", "1"), "command"),
    (("ctl", "stats"), "--dir"),
    (("ctl", "--dir", "/nonexistent"), "domain list"),
    (("ctl", "--dir", "/nonexistent", "frobnicate"), "frobnicate"),
    (("ctl", "--dir", "/nonexistent", "domain"), "domain"),
    (("ctl", "--dir", "/nonexistent", "domain", "create"), "domain create"),
    (("ctl", "--dir", "/nonexistent", "domain", "create", "x"), "'x'"),
    (("ctl", "--dir", "/nonexistent", "page-out", "1"), "page-out"),
    (("ctl", "--dir", "/nonexistent", "page-out", "1", "many"), "'many'"),
    (("ctl", "--dir", "/nonexistent", "stats", "more"), "more"),
    (("ctl", "--dir", "/nonexistent", "stats", "--frobnicate"), "--frobnicate"),
    (("doctor", "--frobnicate"), "--frobnicate"),
])
def test_a_usage_error_is_status_2_with_a_helpful_line_on_stderr(args, words):
    done = gntsim(*args)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert re.search(words, done.stderr), done.stderr
    assert done.stderr.startswith("gntsim: ") or done.stderr.startswith("Usage")


def test_ctl_without_a_verb_lists_them_all():
    text = gntsim("ctl", "--dir", "/nonexistent").stderr
    for verb in CTL_VERBS:
        assert verb in text, verb


def test_doctor_says_what_the_host_allows_and_which_way_is_used():
    done = gntsim("doctor")
    usable = json.loads(gntsim("doctor", "--json").stdout)
    assert done.returncode == (0 if all(check["ok"] for check in usable["checks"]) else 1)
    assert usable["usable"] == (usable["way"] in ("device", "socket")) and usable["why"]
    names = [check["check"] for check in usable["checks"]]
    assert {"fuse", "namespaces", "seccomp", "tracing", "socket"} <= set(names)
    for name in names:
        assert name in done.stdout
    assert re.search(r"^way\s", done.stdout, re.M)
    for check in usable["checks"]:
        assert check["ok"] or "because" in check or check["remedy"], "what is missing has a remedy"


def test_doctor_names_the_remedy_when_dev_fuse_is_closed():
    """In a user namespace of our own, with something else bound over /dev/fuse."""
    script = "touch $TMPDIR/closed && chmod 0 $TMPDIR/closed && mount --bind $TMPDIR/closed /dev/fuse && exec setpriv --bounding-set=-all " \
             "--inh-caps=-all %s doctor" % GNTSIM
    done = subprocess.run(["unshare", "--user", "--map-current-user", "--mount", "--keep-caps",
                           "sh", "-c", script],
                          capture_output=True, text=True)
    subprocess.run(["sh", "-c", "rm -f $TMPDIR/closed"], check=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no user namespaces here: " + done.stderr.strip())
    assert done.returncode == 1, done
    assert re.search(r"MISSING\s+fuse", done.stdout), done.stdout
    assert re.search(r"^-\s+mounts\s+not without fuse$", done.stdout, re.M), done.stdout


def test_doctor_names_the_file_that_is_missing():
    """In a namespace of our own, whose /dev is empty but for what the shell needs."""
    script = "mount -t tmpfs empty /dev && exec %s doctor" % GNTSIM
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
                          capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no user namespaces here: " + done.stderr.strip())
    assert re.search(r"^MISSING\s+fuse\s+/dev/fuse: No such file or directory$", done.stdout, re.M)
    assert re.search(r"^-\s+mounts\s+not without fuse\n(?!\s+remedy)", done.stdout, re.M)
