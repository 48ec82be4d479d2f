# SPDX-License-Identifier: MIT
"""Tests `gntsim report` with files that are broken, that lie, or that are the wrong ones."""
import json
import os
import subprocess

import pytest

import gntsim
import harness

@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """The events of a small trace."""
    path = tmp_path_factory.mktemp("odd") / "trace.jsonl"
    with gntsim.Machine(clock="virtual", trace=path) as machine:
        front, back = machine.domain(1), machine.domain(2)
        back.map(front, front.grant(to=back))
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path, events, more=""):
    path.write_text("".join(json.dumps(one) + "\n" for one in events) + more)
    return path


def is_refused(*args):
    """With status 2 and one line, which it returns."""
    done = harness.gntsim("report", *args)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    return done.stderr


@pytest.mark.parametrize("op, where, value", [
    ("grant", "flags", None), ("grant", "ref", "a"), ("grant", "frame", 10 ** 400),
    ("map_grant_ref", "handle", "a"), ("map_grant_ref", "peer", None)])
def test_what_is_no_number_is_refused_at_its_line(events, tmp_path, op, where, value):
    changed = [dict(one, args={**one["args"], where: value}) if one["op"] == op else one
               for one in events]
    number = next(i for i, one in enumerate(events, 1) if one["op"] == op)
    said = is_refused("-o", tmp_path / "x", written(tmp_path / "t.jsonl", changed))
    assert ":%d: no event of a trace" % number in said
    assert os.listdir(tmp_path) == ["t.jsonl"]


def test_json_of_any_depth_is_refused(events, tmp_path):
    deep = "[" * 100000
    assert "no event of a trace" in is_refused(
        "-o", tmp_path / "x", written(tmp_path / "t.jsonl", events, deep + "\n"))
    (tmp_path / "found.json").write_text(deep)
    trace = written(tmp_path / "t.jsonl", events)
    assert "no JSON" in is_refused("-o", tmp_path / "x", trace, tmp_path / "found.json")


@pytest.mark.parametrize("results", [
    {"cases": [1]}, {"cases": [{"name": "a", "findings": 3}]},
    {"cases": [{"findings": [{"kind": "leak", "parts": "a"}]}]}])
def test_results_of_another_shape_are_refused(tmp_path, results):
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert "no results of gntsim scenario run" in is_refused(tmp_path, "-o", tmp_path / "x")


def test_names_that_are_no_text_or_look_like_marks_are_shown(events, tmp_path):
    for name in (b"@DATA@.jsonl", b"@STYLE@.jsonl", b"\xff.jsonl"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "w") as file:
            file.write("".join(json.dumps(one) + "\n" for one in events))
        done = subprocess.run([harness.GNTSIM, "report", "-o", "-", path], capture_output=True,
                              timeout=harness.PATIENCE)
        page = done.stdout.decode()
        assert (done.returncode, done.stderr) == (0, b""), done
        data = page.partition('<script type="application/json" id="data">')[2].partition("<")[0]
        assert list(json.loads(data)["traces"]) == ["0"] and page.count("</style>") == 1


def test_as_many_processes_as_a_trace_has_are_in_the_page(events, tmp_path):
    first = events[-1]["seq"] + 1
    many = [{"seq": first + i, "time": 0, "domain": 1, "pid": i + 1, "op": "open", "result": 0,
             "args": {"file": i, "device": "gntdev"}} for i in range(65537)]
    done = harness.gntsim("report", "-o", tmp_path / "x",
                          written(tmp_path / "t.jsonl", events + many))
    assert (done.returncode, done.stderr) == (0, ""), done


def test_a_page_never_takes_the_place_of_what_it_is_made_of(events, tmp_path):
    trace = written(tmp_path / "t.jsonl", events)
    (tmp_path / "found.json").write_text("[]")
    before = trace.read_text()
    assert "name another one" in is_refused(trace, "-o", trace)
    assert "name another one" in is_refused(tmp_path, "-o", tmp_path / "t.jsonl")
    assert "name another one" in is_refused(trace, tmp_path / "found.json", "-o",
                                            tmp_path / "found.json")
    assert trace.read_text() == before


def test_a_closed_output_is_said_in_one_line(events, tmp_path):
    trace = written(tmp_path / "t.jsonl", events)
    done = subprocess.run(["sh", "-c", 'exec "$0" report -o - "$1" >&-', harness.GNTSIM, trace],
                          capture_output=True, text=True, timeout=harness.PATIENCE)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done
