# SPDX-License-Identifier: MIT
"""The project as a newcomer meets it: the demo, the bench, and documents that are true."""
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, SOURCE, gntsim

BUILD = os.environ.get("GNTSIM_BUILD") or str(SOURCE / "build")
DOCUMENTS = sorted([SOURCE / "README.md", SOURCE / "CHANGELOG.md", *(SOURCE / "docs").glob("*.md")])


def shown_by_the_readme():
    """The lines that the README says ./demo prints, as patterns: [...] is left out, ids differ."""
    [block] = re.findall(r"^```text\n(1\..*?)^```", (SOURCE / "README.md").read_text(), re.M | re.S)
    lines = [line.split("[...]")[0].strip() for line in block.splitlines()]
    lines = [re.sub(r"\d+", r"\\d+", re.escape(line)) for line in lines if line]
    assert len(lines) > 20
    return lines


def test_the_demo_shows_every_step_and_succeeds():
    done = subprocess.run([sys.executable, SOURCE / "scenarios" / "demo" / "demo.py", BUILD],
                          capture_output=True, text=True, timeout=harness.PATIENCE * 2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for said in ("four pages", "shuffled", "paged out", "killed", "audit: clean", "Done"):
        assert said in done.stdout, said
    tries = int(re.search(r"tried\s+(\d+)\s+times", done.stdout).group(1))
    assert tries >= 5
    for line in shown_by_the_readme():
        assert re.search(r"^\s*%s" % line, done.stdout, re.M), "the README shows: " + line


def test_an_interrupted_demo_leaves_nothing():
    demo = subprocess.Popen([sys.executable, SOURCE / "scenarios" / "demo" / "demo.py", BUILD],
                            stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, process_group=0)
    for line in demo.stdout:
        if line.startswith("3."):
            break
    os.killpg(demo.pid, signal.SIGINT)
    demo.stdout.read()
    demo.stdout.close()
    assert demo.wait(harness.PATIENCE) != 0


def test_the_bench_runs_and_prints_its_ratios():
    if not harness.can_unmount():
        pytest.skip("fusermount3 cannot unmount without /etc/mtab (as root: ln -s "
                    "/proc/self/mounts /etc/mtab)")
    done = subprocess.run([SOURCE / "bench" / "run", "--build", BUILD, "--quick", "--json"],
                          capture_output=True, text=True, timeout=harness.PATIENCE * 4)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)["rows"]
    # A limit is a row that has no target, after the one it is for.
    targets = [row["target"] for row in rows if not row["what"].strip().startswith("limit: ")]
    limits = [row["what"].strip().split(":")[1].split(",")[0]
              for row in rows if row["what"].strip().startswith("limit: ")
              and row["target"] is None]
    assert set(limits) >= {" five null answers", " the same hand-overs",
                           " a write to a null FUSE file does"}
    plain = os.path.exists(BUILD + "/bench/hv-bench")     # not in a build with sanitizers
    expected = [2.5, 1.4, None, 1.4, 1.25, 3.0, None, 1.5, None, 5.0, 3.0, 0.8, 3.0, 0.95, 15]
    assert targets[:len(expected)] == expected
    # What a consumer feels comes last.
    expected = [1.5, 4.0, 1.5, *([2.5, 4.0, 0.5, 0.5, 0.5, 0.5] if plain else []), 30]
    assert targets[-len(expected):] == expected
    if plain:
        assert [row["what"] for row in rows if row["target"] == 20] == \
            ["map + unmap of one reference"]
    assert all(row["result"] > 0 or row["unit"] == "ms more" for row in rows)


def number(version):
    return [int(part) for part in version.split(".")]


@pytest.mark.needs_no_machine
def test_the_version_stands_in_meson_build_and_everything_follows_it():
    """While something is unreleased it is the version to come, else that of the last release."""
    project = (SOURCE / "meson.build").read_text()
    version = re.search(r"^  version: '([\d.]+)',$", project, re.M).group(1)
    assert gntsim("--version").stdout == "gntsim %s\n" % version
    headings = re.findall(r"^## (.*)$", (SOURCE / "CHANGELOG.md").read_text(), re.M)
    unreleased = headings[0] == "Unreleased"
    released = re.fullmatch(r"([\d.]+) - \d{4}-\d\d-\d\d", headings[1 if unreleased else 0])
    assert released, headings
    if unreleased:
        assert number(version) > number(released.group(1))
    else:
        assert version == released.group(1)


@pytest.mark.needs_no_machine
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document):
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), "%s: %s" % (document.name, target)


@pytest.mark.needs_no_machine
def test_the_reference_knows_every_verb_and_option():
    """As do the manual pages, which are made from the same tables."""
    reference = (SOURCE / "docs" / "reference.md").read_text()
    tables = json.loads(gntsim("--help", "--json").stdout)
    words = {command["name"] for command in tables["commands"]}
    words |= {"--" + option["name"] for option in tables["options"]}
    assert len(words) > 20
    for word in words:
        assert word in reference, word


def commands_of(document):
    """The lines of ```sh blocks whose command is gntsim, with their continuations."""
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] in ("gntsim", "build/gntsim"):
                yield words


@pytest.mark.needs_no_machine
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_gntsim_command_in_a_document_is_understood(document):
    """Each is tried where there is no machine: it may fail for that, never as a usage error."""
    for words in commands_of(document):
        if words[1] in ("run", "serve", "doctor", "names", "scenario") or "--help" in words:
            continue            # these would do something: the tutorial's test below does
        words = [w for w in words[1:] if w not in ("&", "|")]
        words = ["/nonexistent" if words[i - 1] == "--dir" else w for i, w in enumerate(words)]
        words = [{"REF": "8", "N": "1", "DIR": "/nonexistent", "$REF": "8"}.get(w, w)
                 for w in words]
        done = gntsim(*words)
        assert done.returncode == 1, "%s: %s" % (words, done.stderr)
        assert "gntsim serve" in done.stderr


QEMU = Path("/usr/libexec/xen-qemu-system-i386")
needs_qemu = pytest.mark.skipif(not (os.environ.get("GNTSIM_TEST_ALL") and QEMU.exists()),
                                reason="only in ./test --all, with Debian's qemu-system-xen")


@pytest.mark.parametrize("tutorial", ["tutorial", "tutorial-domains", "howto-scenarios",
                                      pytest.param("howto-backend", marks=needs_qemu)])
def test_a_tutorial_works_as_it_is_written(tmp_path, tutorial):
    """Runs every ```sh block in one shell; a block with a file's name is written there when its
    turn comes."""
    text = (SOURCE / "docs" / (tutorial + ".md")).read_text()
    script = ["set -e", "export PATH=%s PYTHONPATH=%s PYTHONDONTWRITEBYTECODE=1 GNTSIM_DOC=%s"
              % tuple(map(shlex.quote, (
        "%s:%s:%s" % (os.path.dirname(GNTSIM), os.path.dirname(sys.executable), os.environ["PATH"]),
        os.path.dirname(GNTSIM) + "/scenarios", str(SOURCE / "docs"))))]
    for number, (kind, name, body) in enumerate(re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```", text,
                                                           re.M | re.S)):
        if name:
            (tmp_path / ("block.%d" % number)).write_text(body)
            script.append("cp block.%d %s" % (number, shlex.quote(name)))
        elif kind == "sh":
            script.append(body)
    assert len(script) > 3
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True,
                          text=True,
                          # a whole page, with compilers, several runs of pytest and sweeps
                          timeout=harness.PATIENCE * 5)
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in re.findall(r"^```text\n(.*?)^```", text, re.M | re.S):
        for line in expected.splitlines():
            pattern = re.escape(line.strip()).replace(r"\.\.\.", ".*")
            assert re.search(r"^\s*%s\s*$" % pattern, done.stdout + done.stderr, re.M), \
                "%r is not in:\n%s" % (line, done.stdout)


def test_a_test_that_waits_for_ever_fails():
    source, target = os.pipe()
    with pytest.raises(TimeoutError), harness.ends_within(0.05):
        os.read(source, 1)
    os.close(source)
    os.close(target)
