# SPDX-License-Identifier: MIT
"""Tests of the backend: what it answers, and that no fault ends it."""
import pytest


def test_it_adds_up_what_the_frontend_wrote(front):
    assert front.ask(front.grants(1, 2, 3)) == "sum 6"


@pytest.mark.parametrize("index", range(4))
def test_one_bad_reference_is_an_error_and_nothing_stays_mapped(gntsim, front, index):
    refs = front.grants(1, 2, 3, 4)
    gntsim.fault(at="map_grant_ref", index=index, do={"status": "bad_gntref"})
    assert front.ask(refs) == "error: cannot map"
    gntsim.eventually(lambda: gntsim.stats()["mappings"] == 0)
    assert front.ask(refs) == "sum 10"


def test_a_page_that_comes_back_from_disk_is_waited_for(gntsim, front):
    [ref] = front.grants(7)
    front.domain.page_out(ref)
    gntsim.clock.auto(False)
    front.backend.send("1 %d" % ref)
    gntsim.eventually(lambda: gntsim.trace(op="map_grant_ref", result="eagain"), "the first try")
    front.domain.page_in(ref)
    gntsim.clock.auto(True)
    assert front.backend.readline() == "sum 7"


def test_a_page_that_never_comes_back_is_an_error_after_half_a_minute_of_the_guests_time(gntsim, front):
    [ref] = front.grants(7)
    front.domain.page_out(ref)
    before = gntsim.clock.now
    assert front.ask([ref]) == "error: cannot map"
    assert gntsim.clock.now - before > 32e9


@pytest.mark.gntsim(profile="pvh")
def test_a_frontend_cannot_take_back_a_page_that_the_backend_still_has(gntsim, front):
    [ref] = front.grants(1)
    hold = gntsim.fault(at="ioctl", ioctl="UNMAP_GRANT_REF", do={"pause": True})
    assert front.ask([ref]) == "sum 1"
    hold.wait_paused()
    assert front.domain.end(ref) is False
    hold.resume()
    gntsim.eventually(lambda: front.domain.end(ref))


def test_it_survives_its_frontend(gntsim, front):
    refs = front.grants(1)
    front.domain.destroy()
    assert front.ask(refs) == "error: cannot map"
