# SPDX-License-Identifier: MIT
"""Our store against Debian's real xenstored: the same random requests, the same answers."""
import os
import re

import pytest

import differ

REQUESTS = differ.ALL if os.environ.get("GNTSIM_TEST_ALL") else differ.USUAL

pytestmark = pytest.mark.skipif(differ.missing() is not None, reason=str(differ.missing()))


def test_random_requests_get_the_same_answers_and_events_from_our_store_and_a_real_one():
    status, said = differ.play(1, REQUESTS)
    assert status == 0, said
    assert int(re.search(r"(\d+) requests, no difference", said).group(1)) >= REQUESTS


def test_a_daemon_that_answers_otherwise_is_found_and_the_sequence_is_cut_down(tmp_path):
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\nexec %s --path-max=20 \"$@\"\n" % differ.XENSTORED)
    other.chmod(0o755)
    status, said = differ.play(1, REQUESTS, other)
    steps = re.findall(r"^ +\d+  (.*)", said, re.M)
    assert status == 1, said
    # One request shows it.
    assert len(steps) == 1 and re.search(r"xenstored +\[ERROR EINVAL\|\]", said), said


def test_a_daemon_that_does_not_start_is_said(tmp_path):
    status, said = differ.play(1, 100, "/bin/false")
    assert status == 2 and "/bin/false ended at once" in said
