# SPDX-License-Identifier: MIT
"""Compares what this run has shown with docs/device-conformance.md. It is the last test."""
import pytest

import page
import ways
from conftest import OUTCOMES


def test_every_requirement_has_a_test_and_every_difference_a_requirement(request):
    tested = {id for item in request.session.items if item.get_closest_marker("requirement")
              for id in item.get_closest_marker("requirement").args}
    if len(request.session.items) < len(ways.requirements()):
        pytest.skip("a part of the tests was selected")
    assert tested == set(ways.requirements())
    assert {id for id, _ in ways.differences()} <= tested
    assert {way for _, way in ways.differences()} <= set(ways.WAYS)


def test_the_page_is_current(request):
    outcomes = request.config.stash[OUTCOMES]
    if {id for id, _ in outcomes} != set(ways.requirements()):
        pytest.skip("a part of the tests was selected")
    if ways.left_out():
        pytest.skip("not all ways are tested with a sanitizer")
    text = page.page(outcomes)
    if request.config.getoption("write_page"):
        page.PAGE.write_text(text)
    assert page.PAGE.read_text() == text, "run tests/conformance/requirements with --write-page"
