# SPDX-License-Identifier: MIT
"""Tests the pytest plugin and the example project, in a pytest of their own."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

import harness
from conftest import SOURCE

ENV = {"PYTHONPATH": str(SOURCE / "scenarios"), "PYTHONDONTWRITEBYTECODE": "1",
       "GNTSIM": harness.GNTSIM}


@pytest.fixture
def run(place, monkeypatch):
    """run(TEXT, ARGS...) runs pytest on a test file with that text."""
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    (place / "conftest.py").write_text('pytest_plugins = ["gntsim.pytest_plugin"]\n')

    def go(text, *args, again=False):
        if not again:
            (place / "test_it.py").write_text("import os, pytest\nimport gntsim as package\n" +
                                              text)
        return subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider",
                               *map(str, args)], cwd=place, capture_output=True, text=True,
                              timeout=harness.PATIENCE)
    return go


def counts(done):
    return {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)",
                                                   done.stdout.splitlines()[-1])}


def test_each_test_has_a_machine_of_its_own_that_is_gone_afterwards(run, place):
    done = run("""
def test_one(gntsim):
    gntsim.domain(1).spawn(["sleep", "1000"])
    open("one", "w").write(gntsim.dir)
def test_two(gntsim):
    assert gntsim.dir != open("one").read() and not os.path.exists(open("one").read())
    assert gntsim.domains() == []
""")
    assert counts(done) == {"passed": 2}, done.stdout


def test_markers_say_what_the_machine_is_like(run):
    done = run("""
pytestmark = pytest.mark.gntsim(profile="pvh", clock="virtual")
def test_module(gntsim):
    assert gntsim.domain(1).info["profile"] == "pvh" and gntsim.clock.mode == "virtual"
@pytest.mark.gntsim(profile="legacy", seed=42)
def test_own(gntsim):
    assert gntsim.domain(1).info["profile"] == "legacy" and gntsim.clock.mode == "virtual" and gntsim.seed == 42
""")
    assert counts(done) == {"passed": 2}, done.stdout


def test_a_wrong_marker_is_an_error_that_names_the_right_ones(run):
    done = run("@pytest.mark.gntsim(profil='pv')\ndef test_it(gntsim):\n    pass\n")
    assert done.returncode != 0 and \
        "the marker gntsim takes profile=, xen=, seed=, clock=, way=, audit=, check=, not profil" in done.stdout + done.stderr


FAILING = """
@pytest.mark.gntsim(seed=5)
def test_it(gntsim):
    one, two = gntsim.domain(1), gntsim.domain(2)
    two.map(one, one.grant(to=two))
    two.run(["sh", "-c", "echo the last words"])
    assert gntsim.seed == 0
"""


def test_a_failing_test_prints_seed_events_programs_and_the_replay_command(run, place):
    done = run(FAILING)
    assert counts(done) == {"failed": 1}
    assert re.search(r"^-+ gntsim -+\nseed: 5, way: \w+\nlast events:\n(  .*\n)+", done.stdout,
                     re.M), done.stdout
    assert re.search(r"^ +\d+ +[\d.]+ d2 +map_grant_ref .* -> okay$", done.stdout, re.M)
    assert re.search(r"^program sh \(pid \d+\): ended\n +its stdout ends with: the last words$",
                     done.stdout, re.M)
    command = shlex.split(re.search(r"^replay: (.*)$", done.stdout, re.M).group(1))
    assert command[:3] == ["python3", "-m", "pytest"]
    again = run("", *command[3:], again=True)
    assert counts(again) == {"failed": 1} and "seed: 5" in again.stdout


def test_the_seed_of_the_command_line_is_stronger(run):
    assert "seed: 9, way: " in run(FAILING, "--gntsim-seed", 9).stdout


def test_the_replay_command_loads_the_plugin_if_the_command_line_did(run, place):
    (place / "conftest.py").unlink()
    done = run(FAILING, "-p", "gntsim.pytest_plugin")
    assert re.search(r"^replay: python3 -m pytest -p gntsim.pytest_plugin test_it.py::test_it "
                     r"--gntsim-seed 5$", done.stdout, re.M), done.stdout


BROKEN_AUDIT = """
import gntsim.machine
@pytest.fixture(autouse=True)
def broken(monkeypatch):
    monkeypatch.setattr(gntsim.machine.Machine, "violations", lambda self: ["frame 7 has one reference too many"])
"""


def test_an_audit_that_is_not_clean_fails_the_test_unless_it_is_marked(run):
    done = run(BROKEN_AUDIT + "def test_it(gntsim):\n    pass\n")
    assert counts(done) == {"failed": 1} and "the audit found 1 violation:" in done.stdout and \
        "frame 7" in done.stdout
    assert counts(run(BROKEN_AUDIT + "@pytest.mark.gntsim(audit=False)\ndef "
                      "test_it(gntsim):\n    pass\n")) == {"passed": 1}


MAPS_NOTHING = """
import ctypes
library = ctypes.CDLL("libxengnttab.so.1")
library.xengnttab_open.restype = library.xengnttab_map_grant_ref.restype = ctypes.c_void_p
handle = ctypes.c_void_p(library.xengnttab_open(None, 0))
assert not library.xengnttab_map_grant_ref(handle, 1, 99, 3)
library.xengnttab_close(handle)
"""
LEAKS = """
#include <sys/mman.h>
#include <xengnttab.h>
int main(int argc, char **argv)
{
    xengntshr_handle *shr = xengntshr_open(0, 0);
    xengnttab_handle *tab = xengnttab_open(0, 0);
    unsigned ref;
    void *mine = xengntshr_share_pages(shr, 1, 1, &ref, 1);
    void *theirs = xengnttab_map_grant_ref(tab, 1, ref, PROT_READ); /* line 10 */
    if (argc > 1)
        xengnttab_unmap(tab, theirs, 1);
    return xengntshr_unshare(shr, mine, 1);
}
"""


@pytest.mark.parametrize("way", ["device", "socket"])
def test_a_leak_fails_a_test_unless_it_says_otherwise(run, place, way):
    (place / "leaks.c").write_text(LEAKS)
    subprocess.run(["cc", "-w", "-g", "-o", place / "leaks", place / "leaks.c", "-lxengnttab"],
                   check=True)
    text = """
def test_wrong(gntsim):
    gntsim.domain(1).run([%r])
@pytest.mark.gntsim(check=False)
def test_unchecked(gntsim):
    gntsim.domain(1).run([%r])
@pytest.mark.gntsim(check="leaks=warning")
def test_warned(gntsim):
    gntsim.domain(1).run([%r])
    assert [one["level"] for one in gntsim.found()] == ["warning"]
@pytest.mark.gntsim(check="slot-leak")
def test_right(gntsim):
    gntsim.domain(1).run([%r, "unmap"])
    assert gntsim.findings() == [] and gntsim.held() == []
    assert gntsim.why(1, 0)[0].startswith("domain 1 grants page")
    assert gntsim.why(1, port=900) == ["port 900 of domain 1 is free"]
    assert gntsim.why(1) == ["no call was refused"]
""" % ((str(place / "leaks"),) * 4)
    assert counts(run(text, "--gntsim-way", way, "--gntsim-no-check", "-k", "wrong")) == \
        {"passed": 1}
    done = run(text, "--gntsim-way", way, again=True)
    assert counts(done) == {"passed": 3, "failed": 1}, done.stdout
    assert "==gntsim== ERROR slot-leak" in done.stdout and "leaks.c:10" in done.stdout
    run(text, "--gntsim-way", way, "--gntsim-trace", "kept", "-k", "wrong or right", again=True)
    [found] = (place / "kept").glob("*.findings.json")
    assert [one["kind"] for one in json.loads(found.read_text())] == ["slot-leak"]
    done = harness.gntsim("report", "-o", "-", place / "kept")
    assert done.returncode == 0 and '"slot-leak"' in done.stdout, done.stderr


def test_a_fault_that_never_fired_fails_the_test_unless_it_is_optional(run):
    text = "def test_it(gntsim):\n    gntsim.fault(at='copy', do={'status': 'bad_gntref'}, name='nothing'%s)\n"
    done = run(text % "")
    assert counts(done) == {"failed": 1} and \
        "the fault rule nothing never fired, 0 passed it" in done.stdout
    assert counts(run(text % ", optional=True")) == {"passed": 1}


def test_every_failing_test_names_the_rules_that_never_fired(run):
    done = run("""
def test_it(gntsim):
    gone = gntsim.fault(at='copy', do={'status': 'bad_gntref'}, name='gone')
    gntsim.fault(at='map_grant_ref', do={'status': 'bad_page'}, name='met')
    one, two = gntsim.domain(1), gntsim.domain(2)
    with pytest.raises(package.GrantFailed):
        two.map(one, one.grant(to=two))
    gone.remove()
    assert False
""")
    assert "rule gone: 0 passed it, it never fired" in done.stdout, done.stdout
    assert "rule met: 1 passed it, it fired 1 times" in done.stdout, done.stdout


def test_a_failure_ends_in_the_test_and_shows_no_line_of_the_plugin(run):
    done = run("""
def test_waits(gntsim):
    gntsim.eventually(lambda: False, "the moon", 0.01)
def test_rule(gntsim):
    gntsim.fault(at='copy', do={'status': 'bad_gntref'}, name='nothing')
""")
    assert counts(done) == {"failed": 2}
    assert "the moon did not come true" in done.stdout
    assert "the fault rule nothing never fired" in done.stdout
    assert "pytest_plugin.py" not in done.stdout and "machine.py" not in done.stdout, done.stdout
    again = run("", "--full-trace", "-k", "waits", again=True)
    assert "machine.py" in again.stdout, again.stdout


def test_last_events_name_flags_and_say_why_a_call_was_refused(run, place):
    (place / "map.py").write_text(MAPS_NOTHING)
    done = run("""
def test_it(gntsim):
    gntsim.domain(1)
    gntsim.domain(2).run(["python3", %r])
    assert False
""" % str(place / "map.py"), "--gntsim-way", "socket")
    assert "flags=host_map|" in done.stdout and "host_addr=0x" in done.stdout, done.stdout
    assert re.search(r"^the latest refusal: .*element 0 got general_error: ", done.stdout, re.M), \
        done.stdout


def test_a_crashed_machine_is_no_further_trouble(run):
    assert counts(run("def test_it(gntsim):\n    gntsim.crash()\n    with "
                      "pytest.raises(package.Gone):\n        gntsim.stats()\n")) == {"passed": 1}


def test_traces_are_kept_where_the_option_says(run, place):
    run("@pytest.mark.parametrize('x', ['a/b', 'c'])\ndef test_it(gntsim, x):\n    "
        "gntsim.domain(1)\n", "--gntsim-trace", "kept/here")
    files = sorted((place / "kept" / "here").iterdir())
    assert [file.name for file in files] == ["test_it.py_test_it_a_b_.jsonl",
                                             "test_it.py_test_it_c_.jsonl"]
    events = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert "domain_create" in [event["op"] for event in events]


def test_several_workers_do_not_disturb_each_other(run):
    pytest.importorskip("xdist")
    done = run("@pytest.mark.parametrize('n', range(8))\ndef test_it(gntsim, n):\n    one = "
               "gntsim.domain(1)\n    assert one.grant(to=2) == one.grant(to=2) - 1\n", "-n", 3)
    assert counts(done) == {"passed": 8}, done.stdout


def test_the_example_project_works_as_its_workflow_says(place, monkeypatch):
    """The commands of its GitHub Actions file, from the build on."""
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    source = SOURCE / "docs" / "examples" / "pytest-project"
    shutil.copytree(source, place / "project")
    workflow = (source / ".github" / "workflows" / "test.yml").read_text()
    commands = re.findall(r"- name: (Build|Tests|Every way to go wrong)\n +run: (.*)", workflow)
    assert [name for name, _ in commands] == ["Build", "Tests", "Every way to go wrong"]
    path = "%s:%s:%s" % (os.path.dirname(harness.GNTSIM), os.path.dirname(sys.executable),
                         os.environ["PATH"])
    has_xdist = subprocess.run([sys.executable, "-c", "import xdist"],
                               stderr=subprocess.DEVNULL).returncode == 0
    for _, command in commands:
        command = command.replace("${{ matrix.shard }}", "1").replace("1/2", "1/1")
        if not has_xdist:
            command = command.replace("-n auto", "")
        done = subprocess.run(["sh", "-c", command], cwd=place / "project",
                              env={**os.environ, "PATH": path}, capture_output=True, text=True,
                              timeout=harness.PATIENCE * 2)
        assert done.returncode == 0, command + "\n" + done.stdout + done.stderr
    assert "# backend: " in done.stdout and ", 0 failed" in done.stdout
    assert len(list((place / "project" / "traces").iterdir())) == 9
    assert (place / "project" / "pytest.xml").exists() and \
        (place / "project" / "sweep.xml").exists()


def test_the_package_has_sound_types():
    pytest.importorskip("mypy", reason="mypy is not there (as root: apt-get install mypy)")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull,
                           "-p", "gntsim"], cwd=SOURCE / "scenarios",
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
