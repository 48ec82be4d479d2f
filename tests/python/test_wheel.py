# SPDX-License-Identifier: MIT
"""The Python package as pip installs it, in a fresh environment."""
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import harness
from conftest import SOURCE

pytestmark = pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL"),
                                reason="makes environments of pip: runs with ./test --all")

VERSION = re.search(r"^  version: '([\d.]+)'", (SOURCE / "meson.build").read_text(), re.M).group(1)
MODULES = {str(path.relative_to(SOURCE / "scenarios"))
           for path in (SOURCE / "scenarios" / "gntsim").rglob("*.py")} | {"gntsim/py.typed"}
# Nothing of this tree, and nothing from a network: setuptools is the host's.
PIP = ("-m", "pip", "--no-input", "--disable-pip-version-check", "--no-cache-dir")
OFFLINE = ("--no-index", "--no-build-isolation", "--no-deps")


def environment():
    return {key: value for key, value in os.environ.items()
            if key not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE") and not key.startswith("PIP_")}


def run(*words, **more):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True,
                          env=dict(environment(), GNTSIM=harness.GNTSIM), **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy: what pip makes beside its source must not stay in the tree."""
    top = tmp_path_factory.mktemp("source")
    shutil.copy(SOURCE / "meson.build", top)
    shutil.copytree(SOURCE / "scenarios", top / "scenarios",
                    ignore=shutil.ignore_patterns("__pycache__", "stories", "demo", "build",
                                                  "*.egg-info"))
    return top / "scenarios"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of a fresh environment, which has setuptools and pytest of the host."""
    needs = "import ensurepip, setuptools, wheel, pytest"
    if subprocess.run(["/usr/bin/python3", "-c", needs], capture_output=True).returncode:
        pytest.skip("this host's Python lacks one of venv, setuptools, wheel")
    place = tmp_path_factory.mktemp("venv") / "venv"
    run("/usr/bin/python3", "-m", "venv", "--system-site-packages", place)
    return place / "bin" / "python3"


@pytest.fixture(scope="module")
def installed(python, source):
    run(python, *PIP, "install", *OFFLINE, source)
    return python


def test_pip_installs_the_version_of_the_project(installed):
    shown = run(installed, *PIP, "show", "--files", "gntsim")
    assert "\nVersion: %s\n" % VERSION in shown
    assert "Requires: \n" in shown, "it needs nothing else"
    at = run(installed, "-c", "import gntsim; print(gntsim.__file__)")
    assert Path(at.strip()).parent.parent.parent.parent.parent == Path(installed).parents[1]


def test_pytest_finds_the_plugin_by_itself(installed, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "def test_a_machine(gntsim):\n    assert gntsim.domain(1).grant(to=2) >= 8\n")
    assert "1 passed" in run(installed, "-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path)


@pytest.mark.parametrize("how", ["argument", "conftest"])
def test_a_project_that_loads_the_plugin_itself_still_can(installed, tmp_path, how):
    (tmp_path / "test_it.py").write_text("def test_a_machine(gntsim):\n    gntsim.audit()\n")
    words = ["-p", "gntsim.pytest_plugin"] if how == "argument" else []
    if how == "conftest":
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["gntsim.pytest_plugin"]\n')
    assert "1 passed" in run(installed, "-m", "pytest", "-p", "no:cacheprovider", *words,
                             cwd=tmp_path)


def names(wheel):
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_a_wheel_has_every_module_and_fits_every_machine(python, source, tmp_path):
    run(python, *PIP, "wheel", *OFFLINE, "-w", tmp_path, source)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name == "gntsim-%s-py3-none-any.whl" % VERSION
    assert names(wheel) == MODULES


def test_an_archive_of_the_package_alone_keeps_its_version(python, source, tmp_path):
    run(python, "-c", "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])",
        tmp_path, cwd=source)
    [archive] = tmp_path.glob("*.tar.gz")
    run(python, *PIP, "wheel", *OFFLINE, "-w", tmp_path, archive)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.startswith("gntsim-%s-" % VERSION) and names(wheel) == MODULES
