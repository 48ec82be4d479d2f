# SPDX-License-Identifier: MIT
"""A block device of two processes in two domains: the right back end is not reported, and each
wrong one is, with the line."""
import subprocess
import time

import pytest

import corpus

SOURCE = corpus.SOURCE / "tests" / "checks" / "block.c"
WAYS = ["device", "socket", "auto"]
WRONG = {1: ("slot-leak", "mapped"), 2: ("late-unmap", "late"), 3: ("status-unread", "copied")}


def eventually(condition, what):
    end = time.monotonic() + corpus.PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def play(program, directory, way):
    """The findings as text, and the machine's exit status."""
    meeting = directory / "meeting"
    start = [corpus.GNTSIM, "exec", "--dir", directory / "m", "--domain"]
    with corpus.machine(directory, "--check", way=way) as said:
        front = subprocess.Popen([*start, "1", "--", program, "front", meeting, "1", "0"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        eventually(meeting.exists, "the front end is there")
        back = subprocess.run([*start, "0", "--", program, "back", meeting], check=False,
                              stderr=subprocess.DEVNULL, timeout=corpus.PATIENCE)
        assert front.communicate(timeout=corpus.PATIENCE)[0].endswith("bad\n")
        assert (back.returncode, front.returncode) == (0, 0)
    return said


def build(wrong, directory):
    return corpus.build(SOURCE.read_text(), directory, ("-O2", "-g", "-DWRONG=%d" % wrong))


@pytest.mark.parametrize("way", WAYS)
def test_the_right_block_back_end_is_not_reported(way, tmp_path):
    assert play(build(0, tmp_path), tmp_path, way) == ["", 0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_block_back_end_is_reported_with_its_line(wrong, way, tmp_path):
    kind, mark = WRONG[wrong]
    text, status = play(build(wrong, tmp_path), tmp_path, way)
    line, = [number for number, line in enumerate(SOURCE.read_text().splitlines(), 1)
             if "/* %s */" % mark in line]
    assert set(corpus.findings(text)) == {kind}, text
    assert "program.c:%d\n" % line in text, text
    assert status == 99
