# SPDX-License-Identifier: MIT
"""tools/release lets nothing out that is not committed, named and compatible."""
import datetime
import os
import re
import shutil
import subprocess

import pytest

from conftest import SOURCE

pytestmark = pytest.mark.skipif(not shutil.which("git") or not (SOURCE / ".git").exists(),
                                reason="this is no clone of git's")
whole = pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL") or not shutil.which("abidiff"),
                           reason="builds the project twice: runs with ./test --all, and needs "
                           "abigail-tools")


def git(where, *words):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=where,
                   check=True, capture_output=True)


@pytest.fixture(scope="module")
def one_clone(tmp_path_factory):
    where = tmp_path_factory.mktemp("release")
    git(where, "-c", "safe.directory=*", "clone", "-q", str(SOURCE), "clone")
    return where / "clone"


@pytest.fixture
def clone(one_clone):
    """What is committed here, without a tag."""
    git(one_clone, "reset", "-q", "--hard", "origin/HEAD")
    git(one_clone, "clean", "-fdq")
    tags = subprocess.run(["git", "tag"], cwd=one_clone, check=True, capture_output=True, text=True)
    for tag in tags.stdout.split():
        git(one_clone, "tag", "-d", tag)
    return one_clone


def release(clone, *options):
    done = subprocess.run([clone / "tools" / "release", *options], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def call_it(clone, heading):
    page = clone / "CHANGELOG.md"
    page.write_text(re.sub(r"^## .*", "## " + heading, page.read_text(), count=1, flags=re.M))
    git(clone, "commit", "-qam", "changelog", "--allow-empty")


def version():
    return re.search(r"version: '(.*?)'", (SOURCE / "meson.build").read_text())[1]


def today():
    return "%s - %s" % (version(), datetime.date.today())


def test_what_is_not_committed_is_not_released(clone):
    (clone / "new").write_text("x")
    status, says = release(clone)
    assert status == 1 and "not committed" in says


def test_a_release_needs_its_version_and_day_in_the_changelog(clone):
    call_it(clone, "Unreleased")
    status, says = release(clone)
    assert status == 1 and "call it \"%s\"" % today() in says


def test_a_version_is_released_once(clone):
    call_it(clone, today())
    git(clone, "tag", "v" + version())
    status, says = release(clone)
    assert status == 1 and "raise the version" in says


@whole
def test_a_release_is_an_archive_that_can_be_built(clone, place):
    call_it(clone, today())
    status, says = release(clone, "--against", "HEAD")
    assert status == 0, says
    [archive] = (clone / "build-release").glob("*.tar.xz")
    assert archive.name == "gntsim-%s.tar.xz" % version()
    subprocess.run(["tar", "-C", place, "-xf", archive], check=True)
    subprocess.run([place / ("gntsim-" + version()) / "tools" / "install", "--prefix",
                    place / "prefix"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([place / "prefix" / "bin" / "gntsim", "run", "--", "true"], check=True)


@whole
def test_a_library_that_lost_a_function_is_not_released(clone):
    """The version script no longer exports it."""
    call_it(clone, today())
    before = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, text=True,
                            capture_output=True).stdout.strip()
    script = clone / "libgnttab" / "libxengnttab.map"
    script.write_text(script.read_text().replace("xengnttab_unmap;\n", ""))
    git(clone, "commit", "-qam", "lose one")
    status, says = release(clone, "--against", before)
    assert status == 1 and "xengnttab_unmap" in says and "not compatible" in says
