# SPDX-License-Identifier: MIT
"""The corpus of cases.py: each wrong program is reported with its kind and its lines, and no right
one is. `tests/checks/count` counts all of them in all their variants."""
import pytest

import corpus
from cases import CASES

SAMPLE = 3          # a third of the cases, another one each day


@pytest.mark.parametrize("flags", corpus.FLAGS)
@pytest.mark.parametrize("way", ["device", "socket"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_program_is_reported_if_it_is_wrong(case, way, flags, tmp_path):
    if way not in case.ways:
        pytest.skip("it opens a device file")
    wrong = corpus.judge(case, way, flags, tmp_path)
    assert not wrong, wrong
