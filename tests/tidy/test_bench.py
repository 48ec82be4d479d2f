# SPDX-License-Identifier: MIT
"""bench/run --compare builds another revision and measures with both in turn; --write-page makes a
page of figures."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))

import compare  # noqa: E402
import page  # noqa: E402

PROJECT = """project('small', 'c')
executable('gntsim', 'gntsim.c')
subdir('tests')
"""


def git(project, *words):
    return subprocess.run(["git", "-C", project, "-c", "user.name=t", "-c", "user.email=t@t.t",
                           *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def write(project, status):
    (project / "gntsim.c").write_text("int main(void)\n{\n    return %d;\n}\n" % status)


@pytest.fixture
def project(tmp_path):
    """A repository whose program returns 1 in the first commit, 2 in the second, 3 as it is."""
    if not shutil.which("git"):
        pytest.skip("git is not installed, so there is no other revision")
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "meson.build").write_text(PROJECT)
    (project / "tests" / "meson.build").write_text("executable('long', '../gntsim.c')\n")
    git(tmp_path, "init", "-q", "project")
    for status in (1, 2):
        write(project, status)
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "status %d" % status)
    write(project, 3)
    return project


def status(build):
    return subprocess.run([build / "gntsim"]).returncode


def test_a_revision_is_built_as_it_was_committed_and_without_its_tests(project, tmp_path):
    before = compare.built(project, "HEAD~1", tmp_path / "there")
    assert status(before) == 1
    assert status(compare.built(project, "HEAD", tmp_path / "there")) == 2
    assert not (before / "tests" / "long").exists()
    assert git(project, "status", "--porcelain") == "M gntsim.c"


def test_a_revision_is_built_once(project, tmp_path):
    build = compare.built(project, "HEAD", tmp_path / "there")
    made = (build / "gntsim").stat().st_mtime_ns
    assert compare.built(project, git(project, "rev-parse", "HEAD"), tmp_path / "there") == build
    assert (build / "gntsim").stat().st_mtime_ns == made


def test_a_build_that_did_not_end_is_begun_anew(project, tmp_path):
    left = tmp_path / "there" / git(project, "rev-parse", "HEAD") / "build"
    left.mkdir(parents=True)
    (left / "gntsim").write_text("half of it")
    assert status(compare.built(project, "HEAD", tmp_path / "there")) == 2


def test_what_is_no_revision_is_said(project, tmp_path):
    with pytest.raises(SystemExit) as ended:
        compare.built(project, "nonsense", tmp_path / "there")
    assert "nonsense" in str(ended.value)


def parts(log, name, figures):
    """One part, whose only row measures these figures in turn; None: it cannot."""
    left = list(figures)

    def part():
        log.append(name)
        figure = left.pop(0)
        if figure is None:
            sys.exit("cannot")
        return [{"what": "a map ", "measured": "%.1f us" % figure}]
    return [("turn", part)]


def test_both_are_measured_in_turn_and_each_is_first_every_other_time():
    log = []
    [row] = compare.alternate(parts(log, "ours", [10, 20, 30]), parts(log, "theirs", [10, 10, 10]),
                              3)
    assert log == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert row == {"part": "turn", "what": "a map", "unit": "us", "this": 20, "other": 10,
                   "ratio": 2, "least": 1, "most": 3}


def test_the_ratio_is_that_of_neighbours():
    """What the machine does meanwhile slows down both."""
    [row] = compare.alternate(parts([], "ours", [10, 100, 1000]),
                              parts([], "theirs", [20, 200, 2000]), 3)
    assert row["ratio"] == row["least"] == row["most"] == 0.5


def test_what_one_of_them_cannot_measure_is_left_out(capsys):
    assert not list(compare.alternate(parts([], "ours", [1]), parts([], "theirs", [None]), 1))
    assert "cannot" in capsys.readouterr().err


def test_rows_are_shown_with_both_figures_and_the_ratio(capsys):
    compare.show(compare.alternate(parts([], "ours", [10]), parts([], "theirs", [20]), 1), "v1")
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["what", "this", "v1", "ratio", "from", "..", "to"]
    assert row.split() == "a map 10.0 us 20.0 us 0.50 0.50 .. 0.50".split()


def test_the_page_and_its_picture_are_made_of_the_figures(tmp_path):
    shutil.copytree(TOP / "docs", tmp_path / "docs")
    page.show(tmp_path, json.loads((TOP / "docs" / "performance.json").read_text()))
    for name in ("performance.md", "performance.svg"):
        assert (tmp_path / "docs" / name).read_text() == (TOP / "docs" / name).read_text(), \
            "docs/%s: bench/run --write-page makes it" % name
