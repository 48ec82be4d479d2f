# SPDX-License-Identifier: MIT
"""What `meson install` puts in place works there, wherever that is."""
import os
import subprocess
import sys

import pytest

import harness
from conftest import SOURCE
from test_scenario_run import steps

BUILD = os.environ.get("GNTSIM_BUILD") or str(SOURCE / "build")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not os.path.isdir(os.path.join(BUILD, "meson-private")):
        pytest.skip("not a build directory, a copy of what was built: %s" % BUILD)
    root = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--tags",
                    "runtime,python-runtime", "--destdir", root], check=True,
                   stdout=subprocess.DEVNULL)
    return root


def one(root, name):
    [found] = [path for path in root.rglob(name)]
    return found


def test_an_installed_program_finds_its_package_even_if_all_was_moved(installed, place):
    (place / "story.toml").write_text(steps("audit = true"))
    (place / "programs").mkdir()
    (place / "programs" / "backend").symlink_to("/bin/true")
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "GNTSIM")}
    done = subprocess.run([one(installed, "bin") / "gntsim", "scenario", "run", "--programs",
                           "programs", "story.toml"], cwd=place, env=env,
                          capture_output=True, text=True, timeout=harness.PATIENCE)
    assert (done.returncode, done.stdout) == (0, "1..1\nok 1 - story\n"), done.stdout + done.stderr


def test_the_installed_package_has_every_module_and_its_types(installed):
    package = one(installed, "pytest_plugin.py").parent
    source = SOURCE / "scenarios" / "gntsim"
    wanted = {path.relative_to(source)
              for path in source.rglob("*.py")} | {(source / "py.typed").relative_to(source)}
    assert wanted == {path.relative_to(package)
                      for path in package.rglob("*") if path.suffix in (".py", ".typed")}
    # There Python looks for it, were the root of the installation that of the system.
    assert "/" + str(package.parent.relative_to(installed)) in [os.path.realpath(path)
                                                                for path in sys.path] + sys.path


def test_a_program_without_its_package_says_that_it_is_missing(installed, place):
    (place / "gntsim").write_bytes((one(installed, "bin") / "gntsim").read_bytes())
    os.chmod(place / "gntsim", 0o755)
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "GNTSIM")}
    done = subprocess.run([place / "gntsim", "scenario", "check", "x.toml"], env=env,
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("gntsim: the Python package gntsim "
                                                           "is not at "), done.stderr
    assert done.stderr.count("\n") == 1
