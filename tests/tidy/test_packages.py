# SPDX-License-Identifier: MIT
"""The Debian packages have the project's version, and each installed file is in one of them."""
import fnmatch
import re

from rules import TOP

DEBIAN = TOP / "debian"
VERSION = re.search(r"^  version: '([\d.]+)'", (TOP / "meson.build").read_text(), re.M).group(1)
# As debhelper configures meson.
PLACES = {"LIBDIR": "lib/x86_64-linux-gnu", "MANDIR": "share/man",
          "PYTHON": "lib/python3/dist-packages"}


def patterns():
    """{package: the patterns of its .install file}."""
    return {path.stem: [line.split()[0] for line in path.read_text().splitlines()]
            for path in DEBIAN.glob("*.install")}


def installed():
    for line in (TOP / "tests" / "python" / "installed.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            place, slash, rest = line.partition("/")
            yield "usr/" + PLACES.get(place, place) + slash + rest
    yield "usr/share/doc/gntsim/README.md"
    yield "usr/lib/python3/dist-packages/gntsim/machine.py"


def test_the_changelog_of_debian_begins_with_the_version():
    assert (DEBIAN / "changelog").read_text().startswith("gntsim (%s) " % VERSION)


def test_every_installed_file_is_in_one_package():
    for name in installed():
        found = [package for package, each in patterns().items() for pattern in each
                 if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern + "/*")]
        assert len(found) == 1, "%s: %s" % (name, found)


def test_every_package_of_debian_control_has_its_list():
    control = (DEBIAN / "control").read_text()
    assert set(re.findall(r"^Package: (\S+)$", control, re.M)) == set(patterns())


def test_what_a_build_needs_is_what_the_project_says():
    """But for what dpkg-dev brings, what only the tests need, and the packaging's own."""
    control = (DEBIAN / "control").read_text()
    needs = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.M).group(1)
    named = set(re.findall(r"^ ([\w.+-]+)", needs, re.M)) - {"debhelper-compat", "dh-python"}
    rows = [line.split() for line in (TOP / "tools" / "packages.txt").read_text().splitlines()]
    build = {row[1] for row in rows if row[:1] == ["build"]}
    assert named == build - {"gcc", "libc6-dev", "ninja-build", "fuse3", "libcunit1-dev",
                             "util-linux"}
