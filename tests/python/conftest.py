# SPDX-License-Identifier: MIT
"""Fixtures for the tests of the Python package. After each test the same must hold as in
tests/system."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
sys.path[:0] = [str(SOURCE / "scenarios"), str(SOURCE / "tests" / "system"), str(HERE)]

import harness  # noqa: E402
import gntsim  # noqa: E402

os.environ["GNTSIM"] = harness.GNTSIM
LIBRARIES = ["-lxengnttab", "-lxenevtchn", "-lxentoollog", "-lxentoolcore"]


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_device_files: programs of the test use /dev/xen")
    harness.begin()


def pytest_collection_modifyitems(items):
    """Machines can be served everywhere; device files cannot."""
    if os.access("/dev/fuse", os.R_OK | os.W_OK) and os.environ.get("GNTSIM_WAY") != "socket":
        return
    for item in items:
        if "needs_device_files" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no device files: /dev/fuse is not open to "
                                             "this user (as root: chmod 0666 /dev/fuse)"))


@pytest.fixture
def place():
    """A directory with a short name."""
    with tempfile.TemporaryDirectory(prefix="t.") as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def leaves_nothing(place, monkeypatch):
    """Every test leaves no process, no mount and no file behind."""
    temporary = place / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with harness.nothing_stays():
        yield
    left = [name for name in os.listdir(temporary) if not name.startswith("pytest-of-")]
    assert not left, "files are left in TMPDIR: %s" % left


@pytest.fixture(scope="session")
def programs():
    """The directory of the sample programs of this directory, built as ordinary guest programs."""
    with tempfile.TemporaryDirectory(prefix="programs.") as directory:
        os.chmod(directory, 0o755)
        for source in HERE.glob("*.c"):
            subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-Wall",
                            "-Wextra", "-Werror", "-O1", "-g", "-o",
                            os.path.join(directory, source.stem), source, *LIBRARIES], check=True)
        yield directory


@pytest.fixture
def machine():
    with gntsim.Machine() as made:
        yield made


@pytest.fixture
def scenario(place, programs):
    """scenario(TEXT, ARGS...) runs `gntsim scenario run` on a file with that text; .check(TEXT)
    checks it."""
    class Scenario:
        def write(self, text, name="story.toml"):
            (place / name).write_text(text)
            return name

        def call(self, verb, *args, **more):
            return harness.gntsim("scenario", verb, *args, cwd=place, **more)

        def __call__(self, text, *args, **more):
            return self.call("run", self.write(text), "--programs", programs, *args, **more)

        def check(self, text):
            return self.call("check", self.write(text), "--programs", programs)

    return Scenario()
