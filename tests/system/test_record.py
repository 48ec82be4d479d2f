# SPDX-License-Identifier: MIT
"""record, replay-device and compare."""
import json
import os
import re
from pathlib import Path

import pytest

import harness

BUILT = Path(os.environ["GNTSIM_BUILD"])
PROGRAM = BUILT / "tests/system/recorded"
# What these cases of b08_copy print is all that they see in shared pages.
SEEN_IN_PAGES = {"case=gref-to-gref-data", "case=local-crosses-page-data",
                 "case=local-dest-is-own-share-data"}
CORNERS = BUILT / "tests/system/corners"
RECORDED = harness.SOURCE / "tests/conformance/record/programs"
PROBES = BUILT / "tests/conformance"


def run(*words, **more):
    return harness.gntsim(*words, **more)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """What the program did on a simulated machine."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is not open to this user (as root: chmod 0666 /dev/fuse)")
    path = tmp_path_factory.mktemp("record") / "program.record"
    done = run("run", "--", harness.GNTSIM, "record", "--domain", "0", "-o", path, "--", PROGRAM)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "unshare=0" in done.stdout
    return path, done.stdout


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewritten(tmp_path, record, change):
    """The record with one event changed; the line it is on."""
    lines = events(record[0])
    path = tmp_path / "changed.record"
    number = change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path, number


def test_a_program_is_recorded_with_its_threads_and_children(record):
    # Which number the thread gets depends on whether the child came first.
    tasks = {re.sub(r"t\d+$", "t", e["task"]) for e in events(record[0])[1:]}
    assert tasks == {"1", "1t", "1.1"}


def test_a_record_of_the_simulator_compares_equal(record):
    done = run("compare", record[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"\d+ answers compared, 0 different\n", done.stdout)
    assert int(done.stdout.split()[0]) > 40


def test_a_record_replays_without_the_simulator_and_the_program_prints_the_same(record):
    done = run("replay-device", record[0], "--", PROGRAM)
    assert (done.returncode, done.stdout) == (5, record[1]), done.stderr


def test_a_select_is_recorded_as_a_poll_of_its_sets(record):
    """So replay gives its answer, and compare asks the model for it."""
    assert "select=2\nreadable=1\nwritable=1\nother=0\n" in record[1]
    polls = [e for e in events(record[0]) if e.get("call") == "poll"]
    assert [len(p["fds"]) for p in polls[:3]] == [1, 1, 2]
    assert sorted((one["events"], answer) for one, answer in zip(polls[2]["fds"], polls[2]["revents"])) == [(1, 0), (5, 5)]
    assert "timeout" not in polls[2]


def test_an_answer_of_select_that_was_tampered_with_is_found(record, tmp_path):
    def tamper(lines):
        number = [i for i, e in enumerate(lines) if e.get("call") == "poll"][2]
        lines[number]["revents"] = [4 if r else 0 for r in lines[number]["revents"]]
        return number + 1
    path, number = rewritten(tmp_path, record, tamper)
    done = run("compare", path)
    assert done.returncode == 1
    assert f"{path}:{number}: " in done.stdout and "revents: recorded 4, gntsim 5" in done.stdout


def test_an_epoll_is_recorded_as_a_poll_of_what_it_was_asked_for(record):
    assert "epoll=2 sum=176\nepoll=1 sum=99\nepoll-change=0\nepoll=2 sum=176\nepoll-remove=0\nepoll=1 sum=77\n" in record[1]
    waits = [e for e in events(record[0]) if e.get("call") == "poll"][3:]
    assert [[one["events"] for one in w["fds"]] for w in waits] == [[1, 1], [1, 1], [4, 1], [4]]
    assert [[("file" in one) for one in w["fds"]] for w in waits] == [[True, False]] * 3 + [[True]]
    assert [w["revents"] for w in waits] == [[1, 1], [None, 1], [4, 1], [4]], \
        "at an edge it is told once"
    assert [(w["timeout"], w["result"]) for w in waits] == [(10000, 2), (10000, 1), (0, 2), (0, 1)]


def test_an_answer_of_epoll_that_was_tampered_with_is_found(record, tmp_path):
    def tamper(lines):
        number = [i for i, e in enumerate(lines) if e.get("call") == "poll"][5]
        lines[number]["revents"][0] = 0
        return number + 1
    path, number = rewritten(tmp_path, record, tamper)
    done = run("compare", path)
    assert done.returncode == 1
    assert f"{path}:{number}: " in done.stdout and "revents: recorded 0, gntsim 4" in done.stdout


def test_a_program_that_does_something_else_is_stopped_at_the_first_departure(record):
    done = run("replay-device", record[0], "--", PROGRAM, "readonly")
    lines = record[0].read_text().splitlines()
    number = next(i for i, l in enumerate(lines, 1) if '"ALLOC_GREF"' in l)
    assert done.returncode == 1
    assert f"{record[0]}:{number}: the program departs from the record" in done.stderr
    assert "share=" not in done.stdout


def test_of_long_data_only_what_differs_is_shown(record, tmp_path):
    def longer(lines):
        number, copy = next((i, e) for i, e in enumerate(lines) if e.get("request") == "GRANT_COPY"
                            and "data" in e["in"]["segments"][0]["source"])
        copy["in"]["segments"][0]["source"]["data"] += "ab" * 32768
        return number + 1
    path, number = rewritten(tmp_path, record, longer)
    done = run("replay-device", path, "--", PROGRAM)
    assert done.returncode == 1
    assert f'{path}:{number}: the program departs from the record in "in":' in done.stderr
    assert re.search(r"the same up to character \d+ of \d+;", done.stderr), done.stderr
    recorded, now = re.findall(r"^  (?:recorded|now): +(.*)$", done.stderr, re.M)
    assert "abab" in recorded and "abab" not in now and recorded[:30] == now[:30]
    assert len(done.stderr) < 1500, done.stderr


def test_a_program_that_ends_early_is_told(record, tmp_path):
    def one_more(lines):
        lines.append(dict(lines[-1]))
    path, _ = rewritten(tmp_path, record, one_more)
    done = run("replay-device", path, "--", PROGRAM)
    assert done.returncode == 1
    assert f"{path}:{len(events(path))}: the program ended, but the record goes on" in done.stderr


def test_a_program_that_goes_on_is_stopped(record, tmp_path):
    def shorter(lines):
        while not (lines[-1]["call"] == "ioctl" and lines[-1]["request"] == "UNMAP_GRANT_REF"
                   and lines[-1]["task"] == "1"):
            lines.pop()
        lines.pop()
    path, _ = rewritten(tmp_path, record, shorter)
    done = run("replay-device", path, "--", PROGRAM)
    assert done.returncode == 1
    assert "task 1 ends there, but the program goes on" in done.stderr


@pytest.mark.parametrize("request_name, change, what", [
    ("ALLOC_GREF", lambda e: e["out"].update(index=4096), "index: recorded 4096, gntsim 0"),
    ("UNBIND", lambda e: e.update(result=-1, error="EINVAL"), "result: recorded EINVAL, gntsim 0"),
    ("GET_OFFSET_FOR_VADDR", lambda e: e["out"].update(count=7), "count: recorded 7, gntsim"),
    ("GRANT_COPY", lambda e: e["out"]["segments"][3].update(status=-1),
     "status: recorded -1, gntsim -3"),
    ("GRANT_COPY", lambda e: e["in"]["segments"][2]["source"].update(offset=1),
     "result: recorded 0, gntsim EINVAL"),
    ("GRANT_COPY", lambda e: e["in"]["segments"][0]["dest"].update(ref=30000),
     "status: recorded 0, gntsim -3"),
])
def test_an_answer_that_was_tampered_with_is_found_where_it_is(record, tmp_path, request_name,
                                                               change, what):
    def tamper(lines):
        number = next(i for i, e in enumerate(lines[1:], 1) if e.get("request") == request_name
                      and e["result"] == 0)
        change(lines[number])
        return number + 1
    path, number = rewritten(tmp_path, record, tamper)
    done = run("compare", path)
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"{path}:{number}: ") and what in first


def test_an_mmap_that_should_have_failed_is_found(record, tmp_path):
    def tamper(lines):
        number = next(i for i, e in enumerate(lines[1:], 1) if e["call"] == "mmap"
                      and e["result"] == -1)
        lines[number].pop("error")
        lines[number]["result"] = 0
        return number + 1
    path, number = rewritten(tmp_path, record, tamper)
    done = run("compare", path)
    assert done.returncode == 1
    assert f"{path}:{number}: mmap of gntdev: result: recorded 0, gntsim EINVAL" in done.stdout


@pytest.mark.parametrize("text, line, why", [
    ("", 1, "empty"),
    ("{}\n", 1, "no record"),
    ('{"gntsim-record":2}\n', 1, "no record"),
    ('{"gntsim-record":1}\n{"task":"1"\n', 2, ""),
    ('{"gntsim-record":1}\n[]\n', 2, "not an object"),
    ('{"gntsim-record":1}\n{"task":"1","call":"jump"}\n', 2, 'no call "jump"'),
    ('{"gntsim-record":1}\n{"task":"1","call":"close","file":1}\n', 2, 'member "result"'),
    ('{"gntsim-record":1}\n{"task":"1","call":"close","file":"x","result":0}\n', 2,
     'member "file"'),
    ('{"gntsim-record":1}\n{"task":"1","call":"close","file":1,"result":-1,"error":"EWHAT"}\n', 2,
     "error"),
])
@pytest.mark.parametrize("verb", ["compare", "replay-device"])
def test_a_file_that_is_no_record_is_a_usage_error_with_the_line(tmp_path, verb, text, line, why):
    path = tmp_path / "bad.record"
    path.write_text(text)
    done = run(verb, path, *(["true"] if verb == "replay-device" else []))
    assert done.returncode == 2
    assert f"{path}:{line}: " in done.stderr and why in done.stderr


@pytest.mark.parametrize("event", [
    {"call": "mmap", "file": 4000000000, "offset": -1, "length": -1, "prot": -1, "flags": -1,
     "result": 0, "mapping": 999999999},
    {"call": "mmap", "file": 1, "offset": 0, "length": 1 << 62, "prot": 3, "flags": 1, "result": 0,
     "mapping": 1},
    {"call": "ioctl", "file": 1, "request": "MAP_GRANT_REF", "in": {"count": 4294967295},
     "result": 0},
    {"call": "ioctl", "file": 1, "request": "MAP_GRANT_REF",
     "in": {"count": 1, "domids": 5, "refs": "x"}, "result": 0, "out": {}},
    {"call": "ioctl", "file": 1, "request": "nothing", "in": None, "result": 0, "out": 0},
    {"call": "munmap", "mappings": [1], "pieces": [{"mapping": 1, "at": -5, "length": 1 << 60}, 7,
                                                   None], "result": 0},
    {"call": "ioctl", "file": 1, "request": "GRANT_COPY", "in": {"segments": [7, None]},
     "result": 0, "out": 0},
    {"call": "ioctl", "file": 1, "request": "GRANT_COPY",
     "in": {"segments": [{"source": {"data": "00"}, "dest": {"domid": "x", "ref": -1},
                                                                               "len": 1, "flags": 2}]}, "result": 0, "out": {"segments": 5}},
    {"call": "ioctl", "file": 1, "request": "GRANT_COPY",
     "in": {"segments": [{"source": {"data": "ff" * 65535}, "dest": 9, "len": 65535}] * 99},
     "result": -1, "error": "EINVAL"},
    {"call": "open", "device": "evtchn", "flags": 2, "file": 1, "result": 0},
    {"call": "open", "device": "evtchn", "flags": 2, "file": 0, "result": 0},
    {"call": "ioctl", "file": 1, "request": "MAP_GRANT_REF",
     "in": {"count": 1, "domids": [0], "refs": [9]}, "result": 0, "out": []},
    {"call": "dup", "file": 1, "closed": 1 << 60, "result": 0},
    {"call": "mmap", "file": 1, "offset": 0, "length": 4096, "prot": 3, "flags": 1, "result": 0,
     "mapping": 1, "pieces": 3},
    {"call": "exit", "pieces": [{}], "closed": [1, 1, "x", -3, 1 << 60]},
    {"call": "poll", "fds": [7, None, {"file": -1}], "revents": ["x"], "result": 1},
    {"call": "read", "file": 1, "size": 1 << 40, "result": 4, "data": "zz"},
    {"call": "write", "file": 1, "size": 3, "data": "0102", "result": 3},
])
def test_nonsense_in_a_record_is_no_crash(tmp_path, event):
    path = tmp_path / "hostile.record"
    opened = {"task": "1", "call": "open", "device": "gntdev", "flags": 2, "file": 1, "result": 0}
    path.write_text("".join(json.dumps(e) + "\n"
                            for e in [{"gntsim-record": 1, "domain": 0}, opened,
                                      {"task": "1", **event}]))
    done = run("compare", path)
    assert done.returncode in (0, 1), done.stderr
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr


def test_a_record_without_a_domain_asks_for_one(tmp_path):
    path = tmp_path / "no-domain.record"
    path.write_text('{"gntsim-record":1}\n')
    done = run("compare", path)
    assert done.returncode == 2 and "--domain N" in done.stderr
    assert run("compare", "--domain", "1", path).returncode == 0


def test_a_missing_file_and_a_missing_command_are_told(tmp_path):
    assert run("compare", tmp_path / "none").returncode == 1
    assert run("record").returncode == 2
    assert run("replay-device", tmp_path / "none").returncode == 2
    assert run("record", "-o", tmp_path / "x", "--", "/no/such/program").returncode == 127
    assert run("record", "-o", tmp_path / "none/x", "--", "true").returncode == 1


def test_a_program_that_is_killed_ends_as_a_shell_says(tmp_path):
    done = run("record", "-o", tmp_path / "x", "--", "sh", "-c", "kill -9 $$")
    assert done.returncode == 137


@pytest.mark.parametrize("case", ["interrupted", "stopped", "signals-while-mapping", "replaced",
                                  "replaced-by-another", "closed-range", "of-all-files",
                                  "twins", "thread-forks", "read-only", "mapped-over"])
def test_what_a_program_does_around_the_devices_is_recorded_compares_equal_and_replays(tmp_path,
                                                                                       case):
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is not open to this user (as root: chmod 0666 /dev/fuse)")
    path = tmp_path / "x.record"
    done = run("run", "--", harness.GNTSIM, "record", "--domain", "0", "-o", path, "--", CORNERS,
               case)
    assert done.returncode == 0, done.stdout + done.stderr
    compared = run("compare", path)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    replayed = run("replay-device", path, "--", CORNERS, case)
    assert (replayed.returncode, replayed.stdout) == (0, done.stdout), replayed.stderr


@pytest.mark.parametrize("ref", [8, 300, 20000])
def test_a_page_of_another_domain_had_been_granted_with_any_reference(tmp_path, ref):
    path = tmp_path / "x.record"
    path.write_text("".join(json.dumps(e) + "\n" for e in [
        {"gntsim-record": 1, "domain": 0},
        {"task": "1", "call": "open", "device": "gntdev", "flags": 2, "file": 1, "result": 0},
        {"task": "1", "call": "ioctl", "file": 1, "request": "MAP_GRANT_REF",
         "in": {"count": 1, "domids": [3], "refs": [ref]}, "result": 0,
         "out": {"index": 0}},
        {"task": "1", "call": "mmap", "file": 1, "offset": 0, "length": 4096, "prot": 3, "flags": 1,
         "result": 0, "mapping": 1},
        {"task": "1", "call": "ioctl", "file": 1, "request": "GRANT_COPY", "result": 0,
         "in": {"segments": [
            {"flags": 1, "len": 8, "source": {"domid": 4, "ref": ref, "offset": 0},
             "dest": {"data": None}}]},
         "out": {"segments": [{"status": 0, "data": "00" * 8}]}}]))
    done = run("compare", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(p.stem for p in RECORDED.glob("*.record")))
def test_a_record_from_a_real_xen_compares_equal(name):
    done = run("compare", RECORDED / f"{name}.record")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(p.stem for p in RECORDED.glob("*.record")))
def test_a_program_recorded_on_a_real_xen_replays_here(name):
    """Each call gets the recorded answer. What it reads in shared memory, no device answers."""
    done = run("replay-device", RECORDED / f"{name}.record", "--", PROBES / name, "0",
               env={"PATH": os.environ["PATH"]})
    assert "departs" not in done.stderr and done.returncode == 0, done.stderr

    def answers(text):
        kept = "case", "rc", "errno", "ptr", "n", "index", "count", "offset_ok", "prot", "ok", "in", "out", "index_written", "unmap", "status"
        return [[word for word in line.split() if word.split("=")[0] in kept]
                for line in text.splitlines() if line.split()[1] not in SEEN_IN_PAGES]
    recorded = (RECORDED / f"{name}.txt").read_text().replace(f"{name} EXIT=0\n", "")
    assert answers(done.stdout) == answers(recorded)


def test_there_are_records_from_a_real_xen():
    assert len(list(RECORDED.glob("*.record"))) >= 3
