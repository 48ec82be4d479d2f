# SPDX-License-Identifier: MIT
"""tools/build is quiet when all goes well, and ./demo builds no more than it shows."""
import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GNTSIM_BUILD", TOP / "build"))
PROJECT = "project('small', 'c')\n" + "".join("executable('part%d', 'part.c')\n" % number
                                              for number in range(60))


@pytest.fixture
def small(tmp_path):
    """A project of 60 programs that has tools/build."""
    (tmp_path / "tools").mkdir()
    shutil.copy(TOP / "tools" / "build", tmp_path / "tools" / "build")
    (tmp_path / "meson.build").write_text(PROJECT)
    (tmp_path / "part.c").write_text("int main(void)\n{\n    return 0;\n}\n")
    return tmp_path


def build(project, *words, **more):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("TARGETS", "CFLAGS", "LDFLAGS")}
    return subprocess.run([project / "tools" / "build", *words], capture_output=True, text=True,
                          env=environment | more)


def test_a_build_that_succeeds_says_nothing_and_keeps_what_the_tools_said(small):
    done = build(small, "b", TARGETS="part0 part1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "part1" in (small / "b" / "build-log.txt").read_text()
    assert (small / "b" / "part1").exists() and not (small / "b" / "part2").exists()


def test_a_build_that_fails_shows_the_error_and_names_its_log(small):
    (small / "part.c").write_text("int main(void)\n{\n    return missing;\n}\n")
    done = build(small, "b")
    assert done.returncode == 1 and not done.stdout
    assert "missing" in done.stderr and len(done.stderr.splitlines()) <= 41
    assert done.stderr.splitlines()[-1].endswith("b/build-log.txt")


def test_a_build_that_cannot_be_configured_fails_and_is_configured_later(small):
    (small / "meson.build").write_text("project('small', 'c')\nerror('no such luck')\n")
    done = build(small, "b")
    assert done.returncode and "no such luck" in done.stderr
    (small / "meson.build").write_text(PROJECT)
    assert build(small, "b", TARGETS="part0").returncode == 0


def test_on_a_terminal_one_line_shows_how_far_it_is(small):
    master, slave = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NINJA_STATUS"}
    process = subprocess.Popen([small / "tools" / "build", "b"], stderr=slave, stdout=slave,
                               env=environment | {"TARGETS": "part0"})
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 4096):
            said += chunk
    except OSError:         # so a terminal says that nobody has its other side any more
        pass
    os.close(master)
    assert process.wait() == 0
    assert b"[2/2] " in said and b"\n" not in said and said.endswith(b"\r\x1b[K")


def test_the_demo_builds_no_test_and_no_benchmark():
    if not (BUILD / "build.ninja").exists():
        pytest.skip("%s is no build directory" % BUILD)
    done = subprocess.run(["ninja", "-C", BUILD, "-t", "inputs", "demo"], capture_output=True,
                          text=True, check=True)
    inputs = done.stdout.splitlines()
    for part in ("gntsim.p/", "libgnttab/", "scenarios/demo/demo-granter.p/",
                 "scenarios/demo/demo-mapper.p/"):
        assert any(path.startswith(part) for path in inputs), part
    assert not [path for path in inputs if path.startswith(("tests/", "bench/",
                                                            "scenarios/stories/"))]
