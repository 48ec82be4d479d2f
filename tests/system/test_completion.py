# SPDX-License-Identifier: MIT
"""Completions and manual pages, which are made from the program's own tables."""
import json
import os
import re
import shutil
import subprocess

import pytest

from harness import GNTSIM, SOURCE, gntsim

pytestmark = pytest.mark.needs_no_machine
TABLES = json.loads(gntsim("--help", "--json").stdout)
SCENARIO_OPTIONS = re.findall(r"^  (--[a-z-]+)", gntsim("scenario", "run", "--help").stdout, re.M)
VERBS = [command["name"] for command in TABLES["commands"]]
CONTROL = {verb["words"].split()[0] for verb in TABLES["verbs"]}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "tables.json"
    path.write_text(json.dumps(TABLES))
    return path


@pytest.fixture(scope="module")
def made(tables):
    def make(shell):
        if not shutil.which(shell):
            pytest.skip("there is no %s here" % shell)
        done = subprocess.run(["/usr/bin/python3", "-B", SOURCE / "tools" / "completion", shell,
                               tables], check=True, capture_output=True, text=True)
        path = tables.with_name("completion." + shell)
        path.write_text(done.stdout)
        return path
    return make


def run(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120, **more)
    assert not done.stderr, done.stderr
    return done.stdout


def bash(file, *words):
    """What is offered for the last word."""
    return run("bash", "--norc", "-c", r"""
        source "$0"
        compopt() { :; }        # works while a completion is going on, only
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _gntsim && printf '%s\n' "${COMPREPLY[@]}"
    """, file, "gntsim", *words).split()


# Stands for what offers words in zsh: prints them.
ZSH = r"""
compdef() { :; }
_describe() { print -l -- ${${(P)2}%%:*} }
_arguments() { print -l -- "$@" }
source $1
shift
words=("$@") CURRENT=$#
_gntsim 2>&1
"""


def zsh(file, *words):
    file.with_suffix(".function").write_text(
        "_gntsim() {\n%s\n}\n" % file.read_text())
    text = run("zsh", "-f", "-c", ZSH, "zsh", file.with_suffix(".function"), "gntsim", *words)
    return re.findall(r"^'?(-*[a-z_-]+)", text, re.M)


def fish(file, *words):
    line = " ".join(["gntsim", *words])
    home = dict(os.environ, HOME=str(file.parent), XDG_CONFIG_HOME=str(file.parent),
                XDG_DATA_HOME=str(file.parent))
    text = run("fish", "--no-config", "-c",
               "source %s; complete -C '%s'" % (file, line), env=home)
    return [entry.split("\t")[0] for entry in text.splitlines()]


def offered(shell, file, *words):
    return {"bash": bash, "zsh": zsh, "fish": fish}[shell](file, *words)


shells = pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])


@shells
def test_every_verb_is_offered(made, shell):
    assert set(VERBS) <= set(offered(shell, made(shell), ""))


@shells
def test_every_option_of_a_verb_is_offered(made, shell):
    for command in TABLES["commands"]:
        wanted = {"--" + name for usage in command["usages"] for name in usage["options"]}
        there = set(offered(shell, made(shell), command["name"], "--"))
        assert wanted <= there, command["name"]


@shells
def test_the_options_of_scenario_run_are_offered(made, shell):
    assert len(SCENARIO_OPTIONS) > 10
    assert {"run", "check"} <= set(offered(shell, made(shell), "scenario", ""))
    assert set(SCENARIO_OPTIONS) <= set(offered(shell, made(shell), "scenario", "run", "--"))


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_values_are_offered(made, shell):
    file = made(shell)
    assert offered(shell, file, "run", "--profile", "p") == ["pv", "pvh"]
    assert set(offered(shell, file, "run", "--clock", "")) == {"auto", "real", "virtual"}
    assert offered(shell, file, "scenario", "run", "--sweep", "k") == ["kill"]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_control_verbs_are_offered_word_by_word(made, shell):
    file = made(shell)
    assert CONTROL == set(offered(shell, file, "ctl", "--dir", "/x", ""))
    assert offered(shell, file, "ctl", "--dir", "/x", "domain", "cr") == ["create"]
    assert set(offered(shell, file, "ctl", "clock", "auto", "")) == {"on", "off"}


def test_control_verbs_are_offered_by_zsh(made):
    """There _arguments takes the options away before it asks for verbs."""
    file = made("zsh")
    text = file.read_text().replace('_gntsim "$@"\n', "")
    file.with_suffix(".parts").write_text(text)
    script = ZSH.replace("_gntsim 2>&1", "_gntsim_control 2>&1")
    for words, wanted in (("", CONTROL), ("domain ", {"create", "destroy", "list", "suspend"}),
                          ("clock auto ", {"on", "off"})):
        out = run("zsh", "-f", "-c", script, "zsh", file.with_suffix(".parts"), *words.split(" "))
        assert set(out.split()) == wanted


@shells
def test_a_shell_has_nothing_against_the_file(made, shell):
    run(shell, "-n", made(shell))


@pytest.mark.parametrize("template", sorted((SOURCE / "docs" / "manual").glob("*.in")),
                         ids=lambda path: path.name.removesuffix(".1.in"))
def test_a_manual_page_names_every_option(tables, tmp_path, template):
    text = run("/usr/bin/python3", "-B", SOURCE / "tools" / "manual-page", tables, template)
    plain = text.replace("\\-", "-").replace("Fl -", "--")
    verb = template.name.removesuffix(".1.in").partition("-")[2]
    for command in TABLES["commands"]:
        if verb == command["name"]:
            for name in {name for usage in command["usages"] for name in usage["options"]}:
                assert re.search(r"^\.It .*--%s\b" % name, plain, re.M), name
        elif not verb:
            assert ".It Xr gntsim-%s 1\n" % command["name"] in plain
    if verb == "ctl":
        for one in TABLES["verbs"]:
            assert ".It Cm " + one["words"] in plain
    if shutil.which("mandoc"):
        (tmp_path / "page.1").write_text(text)
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", tmp_path / "page.1"],
                              capture_output=True, text=True)
        assert done.stdout + done.stderr == ""


def test_each_verb_has_a_manual_page():
    assert {path.name for path in (SOURCE / "docs" / "manual").glob("*")} == \
        {"gntsim.1.in", *("gntsim-%s.1.in" % verb for verb in VERBS)}
    assert os.access(GNTSIM, os.X_OK)
