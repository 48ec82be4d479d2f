# SPDX-License-Identifier: MIT
"""Tests `gntsim report`: what its page has, and what a browser shows of it."""
import json
import os
import re
import subprocess

import pytest

import browser
import gntsim
import harness
from test_plugin import LEAKS
from test_scenario_run import steps

in_browser = pytest.mark.skipif(browser.MISSING is not None, reason=str(browser.MISSING))
MAPPED = 3                      # references that the story shares


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    opened = browser.Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


def report(target, *files):
    done = harness.gntsim("report", "-o", target, *files)
    assert (done.returncode, done.stderr) == (0, ""), done
    return target


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A trace, and what the machine itself said of its grants at one of its events."""
    place = tmp_path_factory.mktemp("story")
    path = place / "story.jsonl"
    with gntsim.Machine(clock="virtual", trace=path) as machine:
        front, back = machine.domain(1), machine.domain(2)
        refs = [front.grant(to=back) for _ in range(MAPPED)]
        mappings = [back.map(front, ref) for ref in refs]
        port = front.event_alloc(remote=back)
        back.event_send(back.event_bind(front, port))
        at = machine.call("trace")["next"] - 1
        grants = {(row["domain"], row["ref"], row["to"], row["frame"])
                  for row in machine.dump("entries")}
        handles = {(row["domain"], row["handle"], row["granter"], row["ref"])
                   for row in machine.dump("maptrack")}
        with pytest.raises(gntsim.GrantFailed):
            back.map(front, 99)
        back.unmap(mappings[0])
        front.end(refs[0])
        machine.call("domain-destroy", domain=2)
    return path, {"at": at, "grants": grants, "handles": handles, "refs": refs}


@pytest.fixture(scope="module")
def page(story, tmp_path_factory):
    return report(tmp_path_factory.mktemp("page") / "report.html", story[0])


def events_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def where(events, op, **args):
    """The numbers of the events of this kind."""
    return [one["seq"] for one in events if one["op"] == op and one.get("result") in (None, "okay")
            and all(one["args"].get(key) == value for key, value in args.items())]


def cells(window, caption):
    """The rows of a table, without its last column of buttons."""
    return window.run("""
        const table = [...document.querySelectorAll('#panel table')]
            .find(one => one.caption.textContent.startsWith(arguments[0]));
        return table ? [...table.tBodies[0].rows].map(row =>
            [...row.cells].slice(0, -1).map(cell => cell.textContent)) : [];""", caption)


def type_into(window, name, text, event):
    window.run("""const field = document.getElementById(arguments[0]);
               field.focus(); field.value = arguments[1];
               if (arguments[2] === 'input')
                 field.dispatchEvent(new Event('input'));
               else
                 field.form.requestSubmit();""", name, text, event)


BARS = """const { timeline, recording } = window.gntsimReport;
          return Array.from({ length: recording.nrBars }, (_, i) =>
            ({ ...recording.bar(i), box: timeline.box(i) }));"""


@in_browser
def test_the_bars_of_a_story_are_at_their_places(window, page, story):
    path, known = story
    events = events_of(path)
    window.open(page)
    assert window.errors() == []
    bars = window.run(BARS)
    scale = window.run("return window.gntsimReport.timeline.scale")
    for ref in known["refs"]:
        [grant] = [one for one in bars
                   if one["kind"] == 0 and (one["domain"], one["a"]) == (1, ref)]
        [mapped] = [one for one in bars if one["kind"] == 1 and one["c"] == ref]
        assert [grant["begin"]] == where(events, "grant", ref=ref, to=2)
        assert [mapped["begin"]] == where(events, "map_grant_ref", ref=ref)
        assert mapped["box"]["y"] > grant["box"]["y"]       # another lane
        for bar in (grant, mapped):
            assert bar["box"]["x"] == pytest.approx(10 + bar["begin"] * scale)
    first = known["refs"][0]
    ended = {one["kind"]: one["end"] for one in bars
             if (one["kind"], one["domain"], one["a"]) == (0, 1, first)
             or one["kind"] == 1 and one["c"] == first}
    assert [ended[0]] == where(events, "grant_end", ref=first)
    assert [ended[1]] == where(events, "unmap_grant_ref")[:1]
    destroyed = where(events, "domain_destroy")[0]
    assert {one["end"] for one in bars if one["kind"] == 1 and one["c"] != first} == {destroyed}


COLOUR = """const { timeline } = window.gntsimReport, box = timeline.box(arguments[0]);
            timeline.paint();
            const ratio = window.devicePixelRatio;
            return [...timeline.canvas.getContext('2d').getImageData(
              Math.round((box.x + 1) * ratio), Math.round((box.y + 2) * ratio), 1, 1).data];"""


@in_browser
def test_bars_are_painted_where_they_stand_by_day_and_by_night(window, page):
    window.open(page)
    bars = window.run(BARS)
    mapped = next(one["index"] for one in bars if one["kind"] == 1)
    grant = next(one["index"] for one in bars if one["kind"] == 0)
    by_day = window.run(COLOUR, mapped), window.run(COLOUR, grant)
    assert by_day == ([0xd9, 0x82, 0x2b, 255], [0x3f, 0x7f, 0xd4, 255])
    window.run("document.activeElement.blur()")
    window.press("d")
    assert window.run("return document.documentElement.dataset.theme") == "dark"
    assert window.run(COLOUR, mapped) == [0xf0, 0xa4, 0x5c, 255]
    window.press("d")


@in_browser
def test_a_jump_to_a_moment_shows_the_grant_table_that_the_machine_had_then(window, page, story):
    window.open(page)
    type_into(window, "goto", str(story[1]["at"]), "submit")
    harness.eventually(lambda: '"seq":%d,' % story[1]["at"] in window.run(
        "return document.getElementById('moment').textContent"), "the jump")
    grants = cells(window, "Grant table")
    assert {tuple(map(int, row[:4])) for row in grants} == story[1]["grants"]
    assert {row[5] for row in grants if row[0] == "1" and int(row[1]) in story[1]["refs"]} \
        == {"1 ×"}
    handles = {(int(row[0]), int(row[2]), int(row[3]), int(row[4]))
               for row in cells(window, "Mappings")}
    assert handles == story[1]["handles"]
    assert len(cells(window, "Ports")) >= 2
    window.run("document.activeElement.blur()")
    window.press(["\ue014"])                        # the arrow to the right: one event on
    harness.eventually(lambda: '"seq":%d,' % (story[1]["at"] + 1) in window.run(
        "return document.getElementById('moment').textContent"), "the next event")
    type_into(window, "goto", "abc", "submit")
    assert window.run("return document.getElementById('goto').getAttribute('aria-invalid')") \
        == "true"


@in_browser
def test_the_filter_leaves_what_matches_among_bars_and_events(window, page, story):
    window.open(page)
    ref = story[1]["refs"][1]
    type_into(window, "filter", "kind=mapping ref=%d" % ref, "input")
    harness.eventually(lambda: window.run("return window.gntsimReport.search.text"), "the filter")
    shown = window.run("return [...window.gntsimReport.timeline.shown]")
    assert [(one["kind"], one["c"]) for one, is_shown in zip(window.run(BARS), shown)
            if is_shown] == [(1, ref)]
    window.run("return window.gntsimReport.show('Bars')")
    assert len(cells(window, "Bars")) == 1
    type_into(window, "filter", "op=map_grant_ref failed", "input")
    harness.eventually(lambda: window.run("return window.gntsimReport.search.text") ==
                       "op=map_grant_ref failed", "the filter")
    window.run("return window.gntsimReport.show('Events')")
    rows = window.run("return [...document.querySelectorAll('#panel tbody tr')]"
                      ".map(row => row.textContent)")
    assert len(rows) == 1 and "ref=99" in rows[0] and rows[0].endswith("general_error"), rows
    type_into(window, "filter", "ref=%d" % ref, "input")
    harness.eventually(lambda: window.run(
        "return document.querySelectorAll('#panel tbody tr').length") > 2, "the events of a ref")
    assert window.errors() == []


@in_browser
def test_the_page_asks_nobody_for_anything_and_has_names_for_all_that_can_be_used(window, page):
    window.open(page)
    asked = window.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert asked == []
    nameless = window.run("""
        return [...document.querySelectorAll('button, input, section, table')].filter(one =>
          !(one.textContent.trim() || one.getAttribute('aria-labelledby') || one.labels?.length))
          .map(one => one.outerHTML);""")
    assert nameless == []
    assert window.run("return document.documentElement.lang") == "en"
    window.run("document.activeElement.blur()")
    window.press("3")
    assert window.run("return document.querySelector('[aria-selected=true]').textContent") \
        == "Findings"
    window.press("?")
    assert window.run("return document.getElementById('help').open")
    window.press(["\ue00c"])
    assert not window.run("return document.getElementById('help').open")


FRAME = {"function": "map_ring", "file": "back.c", "line": 31, "module": "back", "offset": 17}
FINDING = {"kind": "slot-leak", "level": "error", "title": "1 grant mapped and never unmapped",
           "command": "</script><b>back", "repair": "call xengnttab_unmap", "times": 1, "text": "",
           "parts": [{"text": "back mapped reference 9 </script>", "event": 0, "stack": [FRAME]}]}


@in_browser
def test_findings_are_shown_with_their_stacks_at_their_events(window, story, tmp_path):
    path, known = story
    made = where(events_of(path), "map_grant_ref", ref=known["refs"][0])[0]
    FINDING["parts"][0]["event"] = made
    (tmp_path / "found.json").write_text(json.dumps({"version": 1, "findings": [FINDING]}))
    page = report(tmp_path / "report.html", path, tmp_path / "found.json")
    window.open(page)
    assert window.errors() == []
    text = window.run("return document.getElementById('panel').textContent")
    for wanted in ("slot-leak", "1 grant mapped and never unmapped", "map_ring", "back.c:31",
                   "back mapped reference 9 </script>", "call xengnttab_unmap"):
        assert wanted in text, text
    assert window.run("return window.gntsimReport.timeline.moment") == made
    assert window.run("return window.gntsimReport.timeline.marks.map(one => one.event)") == [made]
    bar = next(one["index"] for one in window.run(BARS) if one["begin"] == made)
    window.run("return window.gntsimReport.bar(arguments[0])", bar)
    text = window.run("return document.getElementById('panel').textContent")
    assert "Domain 2" in text and "mapped reference" in text and "back.c:31" in text


@in_browser
def test_what_check_found_of_a_program_stands_with_the_bar_that_it_is_about(window, tmp_path):
    (tmp_path / "leaks.c").write_text(LEAKS)
    subprocess.run(["cc", "-w", "-g", "-o", tmp_path / "leaks", tmp_path / "leaks.c",
                    "-lxengnttab"], check=True)
    trace, found = tmp_path / "t.jsonl", tmp_path / "found.json"
    done = harness.gntsim("run", "--domain", "1", "--trace", trace, "--check", "--check-report",
                          found, "--", tmp_path / "leaks")
    assert done.returncode == 99, done
    window.open(report(tmp_path / "report.html", trace, found))
    [bar] = [one for one in window.run(BARS) if one["kind"] == 0 and one["pid"]]
    mapped = next(one for one in window.run(BARS) if one["kind"] == 1)
    window.run("return window.gntsimReport.bar(arguments[0])", mapped["index"])
    text = window.run("return document.getElementById('panel').textContent")
    assert "slot-leak" in text and "leaks.c:10" in text, text
    window.run("return window.gntsimReport.bar(arguments[0])", bar["index"])
    assert "slot-leak" not in window.run("return document.getElementById('panel').textContent")
    assert "leaks (process 1)" in str(window.run(
        "return window.gntsimReport.timeline.lanes.map(one =>"
        " window.gntsimReport.timeline.laneName(one))"))
    assert window.errors() == []


def without_programs(text):
    return re.sub(r"\[programs\]\n(.+\n)*", "", text)


GOOD = without_programs(steps('guest = "end"\ndomain = "front"\nref = "${grant}"'))
BAD = without_programs(steps('stats = { domains = 99 }'))


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A directory of traces: of a case that passes, and of one that does not."""
    place = tmp_path_factory.mktemp("campaign")
    (place / "good.toml").write_text(GOOD)
    (place / "bad.toml").write_text(BAD)
    done = harness.gntsim("scenario", "run", "--trace", place / "traces", place / "good.toml",
                          place / "bad.toml")
    assert done.returncode == 1, done
    return place / "traces"


def test_the_results_of_scenarios_stand_beside_their_traces(campaign):
    cases = json.loads((campaign / "results.json").read_text())["cases"]
    assert [(one["name"], one["outcome"]) for one in cases] == [("good", "passed"),
                                                               ("bad", "failed")]
    assert all((campaign / one["trace"]).exists() and one["name"] in one["replay"]
               for one in cases)
    assert "bad.toml" in cases[1]["message"]


@in_browser
def test_a_campaign_is_a_grid_of_outcomes_that_begins_with_what_failed(window, campaign, tmp_path):
    window.open(report(tmp_path / "report.html", campaign))
    assert window.run("return [...document.querySelectorAll('#grid button')]"
                      ".map(one => one.className)") == ["passed", "failed"]
    text = window.run("return document.getElementById('campaign').textContent")
    assert "1 passed, 1 failed" in text and "bad: failed" in text
    assert "gntsim scenario run" in text and "--only bad" in text
    window.run("document.querySelector('#grid button').click()")
    harness.eventually(lambda: "good: passed" in window.run(
        "return document.getElementById('case').textContent"), "the other case")
    assert window.errors() == []


@pytest.mark.parametrize("text, says", [
    (None, "cannot read"), ("", "there is no event"), ("[]\n", "1: no event of a trace"),
    ('{"seq":0,"time":0,"domain":null,"pid":null,"op":"machine","args":{}}\n{"op":3}\n', ":2: "),
    ('{"seq":4,"time":0,"domain":null,"pid":null,"op":"x","args":{}}\n' * 2, "is not above"),
    ('{"seq":0,"time":0,"domain":1,"pid":null,"op":"grant","args":{"ref":"a"}}\n', ":1: "),
    ('{"seq":0,"time":0,"domain":99999,"pid":null,"op":"x","args":{}}\n', ":1: "),
])
def test_what_is_no_trace_is_refused_with_status_2(tmp_path, text, says):
    path = tmp_path / "trace.jsonl"
    if text is not None:
        path.write_text(text)
    done = harness.gntsim("report", "-o", tmp_path / "report.html", path)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done
    assert not (tmp_path / "report.html").exists()


def test_other_files_that_are_none_are_refused_too(tmp_path):
    (tmp_path / "found.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    for name, says in (("found.json", "no findings"), ("empty", "neither traces")):
        done = harness.gntsim("report", tmp_path / name, "-o", tmp_path / "x")
        assert done.returncode == 2 and says in done.stderr, done
    assert harness.gntsim("report").returncode == 2
    done = harness.gntsim("report", "-o", tmp_path / "no" / "x", tmp_path / "found.json")
    assert done.returncode == 2


def test_the_page_is_one_file_whose_text_no_program_can_leave(story, tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text(story[0].read_text() + '{"seq":100000,"time":0,"domain":null,"pid":7,'
                    '"op":"process","args":{"name":"</script><script>alert(1)//"}}\n')
    text = harness.gntsim("report", "-o", "-", path).stdout
    assert text.startswith("<!DOCTYPE html>") and text.count("</script>") == 2
    assert not re.findall(r"(?:src|href)=\"(?!data:,|#)", text) and "@" not in re.sub(
        r"@media|@[\w.-]+\.\w+", "", text.split('<script type="application/json"')[0])
    assert "fetch(" not in text and "import(" not in text


def test_what_cannot_be_written_is_said_and_leaves_no_half_a_page(story, tmp_path):
    done = harness.gntsim("report", "-o", tmp_path / "no" / "report.html", story[0])
    assert done.returncode == 1 and "cannot write" in done.stderr, done
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.GNTSIM, "report", "-o", "-", story[0]], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done


def test_a_trace_of_format_1_has_its_grants_from_their_first_mapping_on(story):
    from gntsim.report.bars import GRANT, SEEN_LATE, Bars
    bars, nr = Bars(), 0
    for event in events_of(story[0]):
        if not event["op"].startswith("grant"):
            bars.event(nr, event)
            nr += 1
    late = [one for one in bars.bars if one.kind == GRANT]
    assert [one.numbers[0] for one in late] == story[1]["refs"]
    assert {one.numbers[2] for one in late} == {SEEN_LATE}


MILLION = 1_000_000


@in_browser
@pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL"),
                    reason="makes a page of 1,000,000 events: runs with ./test --all")
def test_a_million_events_open_in_5_seconds_and_stay_under_60_megabytes(window, story, tmp_path):
    events = events_of(story[0])
    turn = [one for one in events if one["op"] not in ("machine", "domain_create",
                                                       "domain_destroy")]
    path = tmp_path / "many.jsonl"
    with open(path, "w") as file:
        for n in range(MILLION):
            event = dict(turn[n % len(turn)], seq=n, time=n * 977)
            event["args"] = {key: value + n // len(turn) if key == "handle" else value
                             for key, value in event["args"].items()}
            file.write(json.dumps(event, separators=(",", ":")) + "\n")
    page = report(tmp_path / "report.html", path)
    assert page.stat().st_size < 60e6
    took = min(window.open(page) for _ in range(3))         # others may use the processors, too
    assert window.run("return window.gntsimReport.recording.events") == MILLION
    assert took < 5
