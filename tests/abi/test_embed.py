# SPDX-License-Identifier: MIT
"""Builds against the installed libraries as another project would, and runs the examples of
docs/."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GNTSIM_BUILD", TOP / "build"))
CC = os.environ.get("GNTSIM_CC", "cc").split()
# What the libraries themselves were built with: sanitizers, coverage.
CFLAGS = os.environ.get("GNTSIM_CFLAGS", "").split()
EXAMPLE = TOP / "docs" / "examples" / "embed.c"
REMOTE = TOP / "docs" / "examples" / "remote.c"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An installation in a directory of its own, and the environment in which pkg-config sees nothing else of ours."""
    root = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--tags", "devel", "--destdir", root],
                   check=True, stdout=subprocess.DEVNULL)
    found = sorted(root.rglob("gntsim-*.pc"))
    assert [path.name for path in found] == ["gntsim-hv-remote.pc", "gntsim-hv.pc", "gntsim-kernel.pc",
                                               "gntsim-store.pc"]
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=str(found[0].parent), PKG_CONFIG_SYSROOT_DIR=str(root))
    environment.pop("PKG_CONFIG_PATH", None)
    return environment


def pkg_config(package, environment):
    return subprocess.run(["pkg-config", "--static", "--cflags", "--libs", package], check=True, env=environment,
                          capture_output=True, text=True).stdout.split()


def build_and_run(source, program, package, environment):
    subprocess.run([*CC, "-std=gnu11", "-Wall", "-Werror", *CFLAGS, "-o", program, source, *pkg_config(package, environment)],
                   check=True)
    subprocess.run([program], check=True)


def test_the_example_runs_against_an_installed_copy(installed, tmp_path):
    build_and_run(EXAMPLE, tmp_path / "embed", "gntsim-hv", installed)


def test_a_program_with_a_kernel_builds_against_an_installed_copy(installed, tmp_path):
    source = tmp_path / "kernel.c"
    source.write_text("""
        #include <stdio.h>
        #include <gntsim/gnttab.h>
        #include <gntsim/kernel.h>
        int main(void)
        {
            return kernel_profile_find("pv") != &kernel_profile_pv || kernel_profile_find("none") != NULL;
        }
        """)
    build_and_run(source, tmp_path / "kernel", "gntsim-kernel", installed)


def test_a_kernel_of_its_own_builds_against_an_installed_copy(installed, tmp_path):
    """Whether it works with a machine is tests/system's: here it finds none, and says so."""
    others = subprocess.run(["pkg-config", "--variable", "pc_path", "pkg-config"], check=True, capture_output=True, text=True).stdout.strip()
    environment = dict(installed, PKG_CONFIG_LIBDIR=installed["PKG_CONFIG_LIBDIR"] + ":" + others)     # json-c's
    program = tmp_path / "remote"
    subprocess.run([*CC, "-std=gnu11", "-Wall", "-Werror", *CFLAGS, "-o", program, REMOTE, *pkg_config("gntsim-hv-remote", environment)],
                   check=True)
    done = subprocess.run([program, tmp_path], capture_output=True, text=True, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    assert done.returncode == 1
    assert done.stderr == "no machine answers at %s/control: No such file or directory\n" % tmp_path


MESON_CONSUMER = """
project('consumer', 'c', default_options: ['c_std=gnu11'])
gntsim = subproject('gntsim', default_options: ['program=disabled', 'tests=disabled'])
executable('embed', 'embed.c', dependencies: dependency('gntsim-hv'))
executable('remote', 'remote.c', dependencies: dependency('gntsim-hv-remote'))
"""


@pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL"),
                    reason="builds the models once more: runs with ./test --all")
def test_the_models_can_be_a_subproject_of_meson(tmp_path):
    """Of the models only: neither FUSE nor seccomp is asked for."""
    (tmp_path / "subprojects").mkdir()
    (tmp_path / "subprojects" / "gntsim").symlink_to(TOP)
    (tmp_path / "meson.build").write_text(MESON_CONSUMER)
    for example in (EXAMPLE, REMOTE):
        (tmp_path / example.name).write_text(example.read_text())
    environment = dict(os.environ, CC=" ".join(CC))
    done = subprocess.run(["meson", "setup", tmp_path / "build", tmp_path], env=environment,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fuse3" not in done.stdout and "seccomp" not in done.stdout
    subprocess.run(["ninja", "-C", tmp_path / "build", "embed", "remote"], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run([tmp_path / "build" / "embed"], check=True)
    done = subprocess.run([tmp_path / "build" / "remote", tmp_path], capture_output=True, text=True)
    assert done.stderr.startswith("no machine answers at ")


CMAKE_CONSUMER = """
cmake_minimum_required(VERSION 3.18)
project(consumer C)
set(CMAKE_C_STANDARD 11)
find_package(gntsim %s REQUIRED)
add_executable(embed "%s")
target_link_libraries(embed gntsim::hv)
add_executable(remote "%s")
target_link_libraries(remote gntsim::hv-remote)
"""


def cmake(tmp_path, installed, version):
    [config] = Path(installed["PKG_CONFIG_SYSROOT_DIR"]).rglob("gntsim-config.cmake")
    (tmp_path / "CMakeLists.txt").write_text(CMAKE_CONSUMER % (version, EXAMPLE, REMOTE))
    return subprocess.run(["cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build",
                           "-Dgntsim_DIR=%s" % config.parent,
                           "-DCMAKE_C_FLAGS=" + " ".join(CFLAGS)],
                          env=dict(os.environ, CC=" ".join(CC)), capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("cmake"), reason="there is no cmake here")
def test_cmake_finds_the_models_of_an_installed_copy(installed, tmp_path):
    done = cmake(tmp_path, installed, "0.1")
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run(["ninja", "-C", tmp_path / "build"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([tmp_path / "build" / "embed"], check=True)
    done = subprocess.run([tmp_path / "build" / "remote", tmp_path], capture_output=True, text=True,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    assert done.stderr.startswith("no machine answers at ")


@pytest.mark.skipif(not shutil.which("cmake"), reason="there is no cmake here")
def test_cmake_is_told_that_a_version_is_too_old(installed, tmp_path):
    done = cmake(tmp_path, installed, "99")
    assert done.returncode and "99" in done.stderr, done.stderr


@pytest.mark.parametrize("header", ["hv.h", "xen.h", "kernel.h", "gnttab.h", "hv_remote.h",
                                    "store.h"])
def test_each_installed_header_compiles_alone(installed, tmp_path, header):
    source = tmp_path / "alone.c"
    source.write_text("#include <gntsim/%s>\nint nothing;\n" % header)
    subprocess.run([*CC, "-std=gnu11", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Werror", "-c", "-o", tmp_path / "alone.o", source,
                    *[flag for flag in pkg_config("gntsim-kernel", installed) if flag.startswith("-I")]], check=True)


def test_no_installed_file_names_this_build(installed):
    for path in Path(installed["PKG_CONFIG_LIBDIR"]).glob("gntsim-*.pc"):
        assert str(BUILD) not in path.read_text() and str(TOP) not in path.read_text(), path.name


def test_the_guide_quotes_the_example_as_it_is():
    guide = (TOP / "docs" / "embedding.md").read_text()
    for example in (EXAMPLE, REMOTE):
        assert "```c\n" + example.read_text() + "```" in guide


def test_the_example_is_short_enough_to_be_read():
    for example in (EXAMPLE, REMOTE):
        assert len(example.read_text().splitlines()) <= 50


def test_the_guide_names_only_functions_that_exist():
    headers = "".join(path.read_text() for part in ("sim-hv", "sim-kernel", "hv-remote") for path in (TOP / part / "include").rglob("*.h"))
    named = set(re.findall(r"`((?:hv|kernel)_\w+)", (TOP / "docs" / "embedding.md").read_text()))
    assert len(named) > 10
    unknown = sorted(name for name in named if not re.search(r"\b%s\b" % name, headers))
    assert not unknown, unknown


def test_what_is_modelled_is_what_the_rows_say():
    """docs/modelled.md is generated: docs/update-modelled writes it again."""
    written = (TOP / "docs" / "modelled.md").read_text()
    generated = subprocess.run([sys.executable, TOP / "docs" / "update-modelled", "--print"], check=True, capture_output=True,
                               text=True).stdout
    assert written == generated, "run docs/update-modelled and commit docs/modelled.md"
