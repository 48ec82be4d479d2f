# SPDX-License-Identifier: MIT
"""The page of each kind of finding: its wrong program is reported with the line that the page
marks, and its right one is not."""
import re

import pytest

import corpus

PAGES = sorted(corpus.PAGES.glob("*.md"))


def programs(page):
    """The wrong program and the right one."""
    blocks = re.findall(r"^```c\n(.*?)^```", page.read_text(), re.M | re.S)
    assert len(blocks) == 2, page
    return blocks


def ways(page):
    return ["device"] if "/dev/xen" in programs(page)[0] else ["device", "socket"]


CASES = [(page.stem, way) for page in PAGES for way in ways(page)]


def test_each_kind_has_its_page():
    lines = corpus.gntsim("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines] and \
        {line.split()[0] for line in lines} == {page.stem for page in PAGES}


def test_explain_says_what_a_kind_means():
    done = corpus.gntsim("explain", "slot-leak")
    assert not done.returncode and "xengnttab_unmap" in done.stdout
    assert corpus.gntsim("explain", "slot-leek").returncode == 2


@pytest.mark.parametrize("kind,way", CASES)
def test_the_wrong_program_of_the_page_is_reported(kind, way, tmp_path):
    wrong = programs(corpus.PAGES / (kind + ".md"))[0]
    corpus.found(wrong, way, tmp_path, kind)


@pytest.mark.parametrize("kind,way", CASES)
def test_the_right_program_of_the_page_is_not_reported(kind, way, tmp_path):
    corpus.clean(programs(corpus.PAGES / (kind + ".md"))[1], way, tmp_path)
