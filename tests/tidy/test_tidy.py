# SPDX-License-Identifier: MIT
"""The rules of the tree that a program can check and that have no exceptions."""
import os
import re
import subprocess

import pytest

from rules import BUILD, TOP, relative, source, tree

PARTS = ["sim-hv", "sim-kernel", "machine", "fuse-dev", "sock-dev", "hv-remote", "cli", "libgnttab",
         "util", "guests", "checks", "control", "replay", "sim-store", "store-dev"]


def names(paths):
    return [relative(path) for path in paths]


def test_every_source_file_begins_with_its_licence():
    bare = [path for path in source(".c", ".h", ".py", ".1", ".7", ".map") +
            [p for p in tree() if p.name == "meson.build"]
            if not any("SPDX-License-Identifier: MIT" in line
                       for line in path.read_text().splitlines()[:2])]
    assert not bare, names(bare)


def test_scripts_begin_with_their_licence_and_can_be_executed():
    for path in tree():
        if path.suffix in ("", ".sh") and path.read_bytes()[:2] == b"#!":
            assert "SPDX-License-Identifier: MIT" in path.read_text().splitlines()[1], path
            assert os.access(path, os.X_OK), path


def test_no_file_names_a_place_of_somebodys_machine():
    pattern = re.compile(r"/(home/\w|root/|work/|tmp/b-)")
    found = [path for path in tree() if path.suffix not in (".png",)
             and pattern.search(path.read_text(errors="replace"))]
    assert not found, names(found)


def test_no_record_is_kept_twice():
    seen = {}
    for path in (TOP / "tests" / "conformance").rglob("*"):
        if path.is_file() and path.suffix in (".txt", ".record"):
            seen.setdefault(path.read_bytes(), []).append(relative(path))
    assert not [same for same in seen.values() if len(same) > 1]


STORIES = TOP / "scenarios" / "stories"


def test_every_story_is_played_by_the_tests_and_told_in_the_catalogue():
    stories = {path.stem for path in STORIES.glob("*.toml")}
    played = set(re.findall(r"^  '([\w-]+)',$", (STORIES / "meson.build").read_text(), re.M))
    catalogue = (TOP / "docs" / "scenarios.md").read_text()
    told = set(re.findall(r"\(\.\./scenarios/stories/([\w-]+)\.toml\)", catalogue))
    assert stories == played == told


PACKAGE = TOP / "scenarios" / "gntsim"


@pytest.mark.parametrize("part", ["", "report", "report/page", "scenario"])
def test_every_file_of_the_python_package_is_built_and_installed(part):
    listed = re.search(r"^  '%s': \[(.*?)\]" % part, (PACKAGE / "meson.build").read_text(),
                       re.M | re.S)[1]
    there = {path.name for path in (PACKAGE / part).glob("*")
             if path.suffix in (".py", ".js", ".css", ".html")}
    assert there == set(re.findall(r"'([\w.]+\.(?:py|js|css|html))'", listed))


def test_every_sample_program_is_in_a_story():
    used = " ".join(path.read_text() for path in STORIES.glob("*.toml"))
    unused = [path.name for path in STORIES.glob("*.c")
              if '"%s"' % path.stem not in used and not path.stem.endswith("-main")]
    assert not unused, unused


@pytest.mark.parametrize("archive", ["sim-hv/libgntsim-hv.a", "sim-kernel/libgntsim-kernel.a",
                                     "sim-store/libgntsim-store.a",
                                     "hv-remote/libgntsim-hv-remote.a"])
def test_the_models_have_no_writable_globals(archive):
    path = BUILD / archive
    if not path.exists():
        pytest.skip("%s is not built" % archive)
    lines = subprocess.run(["nm", path], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    symbols = [line.split()[-1] for line in lines if re.match(r"^[0-9a-f]+ [bBdDC] ", line)]
    # What compilers and sanitizers add is theirs; .data.rel.ro holds constants with addresses in
    # them.
    own = [name for name in symbols if not re.match(r"__|\.L|_?\d|asan|ubsan|\*?\.L|gcov|bar\.",
                                                    name)]
    constant = subprocess.run(["objdump", "-t", path], capture_output=True, text=True,
                              check=True).stdout
    own = [name for name in own if not re.search(r"\.data\.rel\.ro\S*\s+[0-9a-f]+ (\.hidden )?%s$"
                                                 % re.escape(name), constant, re.M)]
    assert not own, own


def test_the_architecture_page_has_the_first_sentence_of_every_file():
    made = subprocess.run([TOP / "docs" / "update-architecture", "--print"], check=True,
                          capture_output=True, text=True).stdout
    assert made == (TOP / "docs" / "architecture.md").read_text(), "run docs/update-architecture"


def test_the_page_of_the_python_package_says_what_its_docstrings_say():
    made = subprocess.run([TOP / "docs" / "update-python-api", "--print"], check=True,
                          capture_output=True, text=True).stdout
    assert made == (TOP / "docs" / "python-api.md").read_text(), "run docs/update-python-api"


def test_every_folder_of_the_product_has_its_table_of_files():
    page = (TOP / "docs" / "architecture.md").read_text()
    for path in source(".c"):
        folder = path.relative_to(TOP).parts[0]
        if folder not in ("bench", "docs", "scenarios", "tests"):
            assert "\n### %s\n" % folder in page, "docs/update-architecture has no " + folder


def test_files_are_as_the_editorconfig_says():
    """Their bytes, that is: how editors treat each kind of file stands in .editorconfig."""
    exact = ("tests/fuzz/", "tests/conformance/hypercall/record/")
    for path in tree():
        content = path.read_bytes()
        if relative(path).startswith(exact) and path.suffix not in (".c", ".h", ".py", ".build"):
            continue
        name = relative(path)
        assert not content or content.endswith(b"\n"), name + " lacks its last newline"
        assert b"\r" not in content, name + " has a carriage return"
        assert not re.search(rb"[ \t]\n", content), name + " has space at the end of a line"
        assert b"\t" not in content or path.name in ("Makefile", "rules") or \
            path.suffix == ".map", \
            name + " has a tab"


def test_the_workflow_runs_both_commands_of_the_readme():
    workflow = (TOP / ".github" / "workflows" / "ci.yml").read_text()
    assert "debian: ['12', '13']" in workflow
    for command in re.findall(r"^    (\./\w+) ", (TOP / "README.md").read_text(), re.M):
        assert "run: %s\n" % command in workflow, command


def test_every_package_is_listed_once():
    rows = [line.split() for line in (TOP / "tools" / "packages.txt").read_text().splitlines()
            if line and line[0] != "#"]
    assert all(len(row) == 2 for row in rows)
    names = [row[1] for row in rows]
    assert len(names) == len(set(names))


def test_header_guards_are_named_after_the_area():
    for path in source(".h"):
        if path.parts[len(TOP.parts)] in PARTS:
            guard = re.search(r"^#ifndef (\w+)\n#define \1$", path.read_text(), re.M)
            assert guard and guard.group(1).endswith("_H"), path.relative_to(TOP)
