# SPDX-License-Identifier: MIT
"""tools/test-summary counts what really ran, and never takes silence for success."""
import json
import subprocess
from pathlib import Path

import pytest

SUMMARY = Path(__file__).resolve().parents[2] / "tools" / "test-summary"
CUNIT = "Run Summary:    Type  Total    Ran Passed Failed Inactive\n              suites      2      2    n/a      0        0\n" \
        "               tests     %d     %d     %d      %d        0\n             asserts     99     99     99      0      n/a\n"


def summary(*files):
    done = subprocess.run([SUMMARY, *("phase=%s" % path for path in files)], capture_output=True,
                          text=True)
    return done.returncode, done.stdout.splitlines()[-1], done.stdout


@pytest.fixture
def log(tmp_path):
    def write(*entries):
        path = tmp_path / "testlog.json"
        path.write_text("".join(json.dumps({"name": name, "result": result, "stdout": out}) + "\n"
                                for name, result, out in entries))
        return path
    return write


def test_lines_of_tap_count_one_by_one(log):
    path = log(("a", "OK", "1..3\nok 1 - x\nok 2 - y # SKIP no fuse\nok 3\n"), ("b", "OK", ""))
    status, last, text = summary(path)
    assert (status, last) == (0, "3 passed, 0 failed, 1 skipped")
    assert "no fuse" in text


def test_a_failed_line_fails_the_whole(log):
    status, last, text = summary(log(("a", "FAIL", "1..2\nok 1 - x\nnot ok 2 - the wheel turns\n")))
    assert (status, last) == (1, "1 passed, 1 failed, 0 skipped")
    assert "the wheel turns" in text


def test_tests_that_were_announced_and_did_not_run_have_failed(log):
    assert summary(log(("a", "TIMEOUT", "1..4\nok 1 - x\n")))[:2] == (1, "1 passed, 3 failed, 0 skipped")


def test_the_tests_of_a_CUnit_program_count_one_by_one(log):
    assert summary(log(("a", "OK", CUNIT % (7, 7, 7, 0))))[:2] == (0,
                                                                   "7 passed, 0 failed, 0 skipped")
    assert summary(log(("a", "FAIL", CUNIT % (7, 7, 5, 2))))[:2] == (1, "5 passed, 2 failed, 0 skipped")


@pytest.mark.parametrize("result", ["FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"])
def test_a_test_without_lines_counts_as_one(log, result):
    assert summary(log(("a", result, "")))[:2] == (1, "0 passed, 1 failed, 0 skipped")
    assert summary(log(("a", result, "1..1\nok 1 - all well\n")))[0] == 1, \
        "its exit status counts, too"


def test_a_skipped_test_is_named_with_its_reason(log):
    status, last, text = summary(log(("a", "SKIP", "gcc too old\n"), ("b", "OK", "")))
    assert (status, last) == (0, "1 passed, 0 failed, 1 skipped")
    assert "gcc too old" in text


def test_skips_with_the_same_reason_are_told_once(log):
    path = log(("a", "OK", "1..4\nok 1 - x # SKIP no fuse\nok 2 - y # SKIP no fuse\nok 3 - z # "
                "SKIP no net\nok 4 - w\n"))
    status, last, text = summary(path)
    assert (status, last) == (0, "1 passed, 0 failed, 3 skipped")
    assert text.count("no fuse") == 1 and "and 1 more" in text and text.count("no net") == 1


def test_a_file_that_skips_as_a_whole_is_named_with_its_reason(log):
    status, last, text = summary(log(("a", "SKIP", "1..0 # SKIP no fuse here\n"), ("b", "OK", "")))
    assert (status, last) == (0, "1 passed, 0 failed, 1 skipped")
    assert "no fuse here" in text


def test_results_that_are_missing_have_failed(tmp_path, log):
    assert summary(tmp_path / "nothing.json")[0] == 1
    assert summary(log())[0] == 1
    (tmp_path / "empty.tap").write_text("")
    assert summary(tmp_path / "empty.tap")[0] == 1


def test_nothing_but_skips_is_no_success(log):
    assert summary(log(("a", "SKIP", "no reason")))[0] == 1


def twice(first, second):
    done = subprocess.run([SUMMARY, "phase=%s=%s" % (first, second)], capture_output=True,
                          text=True)
    return done.returncode, done.stdout.splitlines()[-1], done.stdout


FIRST = ("s / a", "FAIL", "1..2\nok 1 - x\nnot ok 2 - the wheel turns\n")


def test_what_passes_at_a_second_look_is_named_and_fails_nothing(log, tmp_path):
    first = log(FIRST, ("s / b", "OK", "")).rename(tmp_path / "first.json")
    second = log(("s / a", "OK", "1..2\nok 1 - x\nok 2 - the wheel turns\n"))
    status, last, text = twice(first, second)
    assert (status, last) == (0, "3 passed, 0 failed, 0 skipped")
    assert "UNSTEADY [phase] s / a: the wheel turns" in text


def test_what_fails_at_a_second_look_too_has_failed(log, tmp_path):
    first = log(FIRST).rename(tmp_path / "first.json")
    assert twice(first, log(FIRST))[:2] == (1, "1 passed, 1 failed, 0 skipped")
    second = log(("s / a", "TIMEOUT", "1..2\nok 1 - x\n"))
    assert twice(first, second)[0] == 1, "nor does one that hangs help"


def test_without_a_second_look_nothing_changes(log, tmp_path):
    assert twice(log(FIRST), tmp_path / "nothing.json")[:2] == (1, "1 passed, 1 failed, 0 skipped")


def test_the_names_of_what_failed_are_a_line_each(log):
    path = log(FIRST, ("s / b", "OK", ""), ("s / c d", "TIMEOUT", "1..1\n"))
    done = subprocess.run([SUMMARY, "--failed", path], capture_output=True, text=True)
    assert done.stdout == "a\nc d\n"
