# SPDX-License-Identifier: MIT
"""What `meson install` puts in place works there, wherever that is."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from conftest import SOURCE
from test_scenario_run import steps

BUILD = os.environ.get("GNTSIM_BUILD") or str(SOURCE / "build")


def install(root, *options):
    if not os.path.isdir(os.path.join(BUILD, "meson-private")):
        pytest.skip("not a build directory, a copy of what was built: %s" % BUILD)
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", *options, "--destdir", root],
                   check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What a user of the program needs."""
    root = tmp_path_factory.mktemp("installed")
    install(root, "--tags", "runtime,python-runtime")
    return root


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    root = tmp_path_factory.mktemp("everything") / "root"
    install(root)
    shutil.copytree(os.path.join(BUILD, "meson-logs"), root.with_name("meson-logs"))
    return root


def options_of_the_build():
    text = subprocess.run(["meson", "introspect", "--buildoptions", BUILD], check=True,
                          capture_output=True, text=True).stdout
    return {option["name"]: option["value"] for option in json.loads(text)}


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


@pytest.fixture
def lonely(place):
    """The program without its package, and an environment in which Python has none, either."""
    (place / "gntsim").write_bytes(Path(harness.GNTSIM).read_bytes())
    os.chmod(place / "gntsim", 0o755)
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "GNTSIM")}
    (place / "python3").write_text("#!/bin/sh\nexec /usr/bin/python3 -S \"$@\"\n")
    os.chmod(place / "python3", 0o755)
    return place / "gntsim", dict(env, PATH="%s:%s" % (place, env["PATH"]))


def test_a_program_without_its_package_says_that_it_is_missing(lonely):
    program, env = lonely
    done = subprocess.run([program, "scenario", "check", "x.toml"], env=env,
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("gntsim: the Python package gntsim "
                                                           "is neither at /"), done.stderr
    assert done.stderr.count("\n") == 1 and "pip" in done.stderr


def test_a_program_without_its_package_runs_that_which_python_finds(lonely, place):
    program, env = lonely
    (place / "story.toml").write_text(steps("audit = true"))
    done = subprocess.run([program, "scenario", "check", "story.toml"], cwd=place,
                          env=dict(env, PYTHONPATH=str(SOURCE / "scenarios"),
                                   GNTSIM_PROGRAMS="/bin"),
                          capture_output=True, text=True)
    assert "story.toml" in done.stdout + done.stderr and "Python package" not in done.stderr
    done = subprocess.run([program, "scenario", "--help"], capture_output=True, text=True,
                          env=dict(env, PYTHONPATH=str(SOURCE / "scenarios")))
    assert done.returncode == 0 and done.stdout.startswith("usage: gntsim scenario"), done


def names_below(root):
    """Each file that is installed, as tests/python/installed.txt calls it."""
    options = options_of_the_build()
    prefix = root / options["prefix"].strip("/")
    python = one(root, "pytest_plugin.py").parent.parent.relative_to(prefix)
    for path in root.rglob("*"):
        if not path.is_dir():
            name = str(path.relative_to(prefix))
            for place, word in ((python, "PYTHON"), (options["libdir"], "LIBDIR"),
                                (options["mandir"], "MANDIR")):
                name = re.sub("^%s/" % re.escape(str(place)), word + "/", name)
            yield re.sub(r"-[\d.]+\.dist-info/", "-VERSION.dist-info/", name)


def wanted_below_doc():
    yield from ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
    for pages in ("docs/**/*.md", "docs/performance.*", "docs/ci/*", "docs/examples/**/*",
                  "scenarios/stories/**/*.*"):
        for path in SOURCE.glob(pages):
            if path.is_file() and path.name != "meson.build":
                yield str(path.relative_to(SOURCE))


def test_all_that_a_user_needs_is_installed_and_nothing_else(everything):
    listed = (SOURCE / "tests" / "python" / "installed.txt").read_text().splitlines()
    wanted = {line for line in listed if line and not line.startswith("#")}
    wanted |= {"share/doc/gntsim/" + name for name in wanted_below_doc()}
    wanted |= {"PYTHON/" + str(path.relative_to(SOURCE / "scenarios"))
               for path in (SOURCE / "scenarios" / "gntsim").rglob("*.py")}
    there = set(names_below(everything))
    assert there - wanted == set(), "not in tests/python/installed.txt"
    assert wanted - there == set(), "not installed"


def test_every_link_of_an_installed_document_leads_somewhere(everything):
    documents = list(one(everything, "CHANGELOG.md").parent.rglob("*.md"))
    assert len(documents) > 20
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (document.parent / target).exists(), "%s: %s" % (document.name, target)


def test_uninstall_leaves_nothing(everything, tmp_path):
    """It reads where the last install of a build put things: that list is kept apart here."""
    copy = tmp_path / "root"
    shutil.copytree(everything, copy, symlinks=True)
    (tmp_path / "meson-logs").mkdir()
    log = (everything.with_name("meson-logs") / "install-log.txt").read_text()
    (tmp_path / "meson-logs" / "install-log.txt").write_text(log.replace(str(everything),
                                                                         str(copy)))
    assert any(copy.rglob("gntsim"))
    subprocess.run(["meson", "--internal", "uninstall"], cwd=tmp_path, check=True,
                   stdout=subprocess.DEVNULL)
    assert not copy.exists()
