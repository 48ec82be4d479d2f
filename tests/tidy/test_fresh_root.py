# SPDX-License-Identifier: MIT
"""tools/fresh-root runs what it says, and leaves nothing of it. A small root of this machine's own
programs stands in for a suite's."""
import importlib.machinery
import importlib.util
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
COMMAND = TOP / "tools" / "fresh-root"
PROGRAMS = ("sh", "env", "setpriv", "cat", "mkdir", "umount", "rmdir", "sleep", "id", "ls", "stat")
needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("git"),
                                reason="only root, with git, makes fresh roots")
takes_long = pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL"),
                                reason="clones the project again and again: with ./test --all")


@pytest.fixture
def cache(tmp_path):
    """A cache that has the root of a suite called small."""
    root = tmp_path / "small"
    for name in ("bin", "dev", "etc/apt/apt.conf.d", "etc/dpkg/dpkg.cfg.d", "proc", "sys", "srv",
                 "tmp", "var/cache/apt/archives"):
        (root / name).mkdir(parents=True)
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text("root:x:0:0::/:/bin/sh\n" if name == "passwd"
                                         else "root:x:0:\n")
    for name in PROGRAMS:
        program = os.path.realpath(shutil.which(name))
        shutil.copy(program, root / "bin" / name)
        for library in re.findall(r"(/\S+)", subprocess.run(["ldd", program], capture_output=True,
                                                            text=True).stdout):
            (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library[1:])
    cache = tmp_path / "cache"
    cache.mkdir()
    subprocess.run(["tar", "-C", root, "-cf", cache / "small.tar", "."], check=True)
    yield cache
    assert not list(cache.glob("run.*"))
    assert str(cache) not in Path("/proc/self/mountinfo").read_text()
    assert str(cache).encode() not in b"".join(command_lines())


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            pass


def fresh_root(cache, script, *options):
    done = subprocess.run([COMMAND, "--cache", cache, *options, "--command", script, "small"],
                          capture_output=True, text=True)
    return done.returncode, [line for line in done.stdout.splitlines()
                             if not line.startswith("fresh-root: ")], done.stderr


@needs_root
@pytest.mark.parametrize("manner", [[], ["--chroot"]], ids=["container", "chroot"])
def test_the_clone_is_alone_in_a_root_that_has_devices_of_its_own(cache, manner):
    script = "ls ..; ls demo test; stat -c %a,%t,%T /dev/fuse; cat /proc/1/comm; ls -d /dev/pts/ptmx; id -u; ls -A /tmp"
    assert fresh_root(cache, script, *manner) == (0,
                                                  ["gntsim", "demo", "test", "666,a,e5", "sh",
                                                   "/dev/pts/ptmx", "0"], "")


@needs_root
def test_its_command_ends_with_its_own_status_and_leaves_no_process(cache):
    assert fresh_root(cache, "sleep 1000 & echo started; exit 7") == (7, ["started"], "")


@needs_root
@takes_long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(cache, number):
    with subprocess.Popen([COMMAND, "--cache", cache, "--command", "echo ready; sleep 1000",
                           "small"], stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait() == 128 + number


@needs_root
@takes_long
def test_what_a_killed_run_left_goes_with_the_next_one(cache):
    with subprocess.Popen([COMMAND, "--cache", cache, "--command", "echo ready; sleep 1000",
                           "small"], stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        process.kill()
        process.stdout.read()       # until nobody of the root has it any more
    assert list(cache.glob("run.*"))
    assert fresh_root(cache, "true")[0] == 0


@needs_root
@pytest.mark.skipif(not shutil.which("debootstrap"), reason="debootstrap is not installed")
def test_a_suite_that_cannot_be_made_is_an_error_and_leaves_nothing(cache):
    done = subprocess.run([COMMAND, "--cache", cache, "--mirror", "file:///nowhere", "none-such"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "debootstrap" in done.stderr


@pytest.mark.parametrize("page", ["", "| trixie | 13.1 | root | container | 2020-01-01 | abc | 6 | "
                                  "gcc 14 | 2.41 | 4.20 | ./test | 1 passed |\n"
                                      "| bookworm | 12.1 | root | container | 2020-01-01 | abc | 6 "
                                      "| gcc 12 | 2.36 | 4.17 | ./test | 2 passed |\n"])
def test_a_result_takes_the_place_of_the_last_one_of_its_kind(tmp_path, page):
    loader = importlib.machinery.SourceFileLoader("fresh_root", str(COMMAND))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fresh_root", loader))
    loader.exec_module(module)
    path = tmp_path / "page.md"
    head = "# Seen\n\n| %s |\n%s|\n" % (" | ".join(module.ROW), "|---" * len(module.ROW))
    path.write_text(head + page)
    row = dict(zip(module.ROW, ("trixie", "13.8", "root", "container", "2026-01-01", "def", "7",
                                "gcc 14.2", "2.41", "4.20.4", "./test", "3 passed")))
    module.write_row(row, path)
    module.write_row(row | {"compiler": "clang 19"}, path)
    rows = path.read_text().removeprefix(head).splitlines()
    assert [line.split(" | ")[11] for line in rows] == (["2 passed |"] if page else []) + \
        ["3 passed |"] * 2
    assert [line.split(" | ")[7] for line in rows][-2:] == ["clang 19", "gcc 14.2"]
