# SPDX-License-Identifier: MIT
"""How --check is switched on, and what it writes: words, reports, suppressions, exit statuses."""
import json
import subprocess

import pytest

import corpus

LEAKY = """
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xengnttab.h>

static void *leak(xengnttab_handle *tab, uint32_t ref)
{
    return xengnttab_map_grant_ref(tab, 0, ref, PROT_READ); /* reported */
}

int main(int argc, char **argv)
{
    xengntshr_handle *shr = xengntshr_open(NULL, 0);
    xengnttab_handle *tab = xengnttab_open(NULL, 0);
    uint32_t refs[3];

    xengntshr_share_pages(shr, 0, 3, refs, 1);
    for (int i = 0; i < 3; i++)
        if (!leak(tab, refs[i]))
            return 9;
    return argc > 1 ? atoi(argv[1]) : 0;
}
"""
KINDS = {"slot-leak", "share-leak"}
LINE, = corpus.marked(LEAKY)
SCHEMA = corpus.SOURCE / "tests" / "checks" / "sarif.schema.json"


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """A program that leaves mappings and shared pages behind."""
    return corpus.build(LEAKY, tmp_path_factory.mktemp("leaky"))


def run(leaky, *options, cwd=None, words=()):
    return corpus.gntsim("run", "--way", "socket", *options, "--", str(leaky), *words, cwd=cwd)


# ---- Words

@pytest.mark.parametrize("option,kinds,status", [
    ("--check", KINDS, 99),
    ("--check=usual", KINDS, 99),
    ("--check=leaks", KINDS, 99),
    ("--check=slot-leak", {"slot-leak"}, 99),
    ("--check=late-unmap,double-unmap", set(), 0),
    ("--check=no-share-leak", {"slot-leak"}, 99),
    ("--check=no-leaks", set(), 0),
    ("--check=leaks,no-slot-leak", {"share-leak"}, 99),
    ("--check=no-leaks,share-leak", {"share-leak"}, 99),
])
def test_words_choose_the_kinds(leaky, option, kinds, status):
    done = run(leaky, option)
    assert set(corpus.findings(done.stderr)) == kinds, done.stderr
    assert done.returncode == status


def test_a_warning_is_reported_and_is_no_failure(leaky):
    done = run(leaky, "--check=leaks=warning")
    assert done.returncode == 0
    assert done.stderr.count("==gntsim== WARNING ") == 2 and "ERROR" not in done.stderr
    assert run(leaky, "--check=slot-leak=warning").returncode == 99     # the other is an error


@pytest.mark.parametrize("words", ["slot-leek", "slot-leak=fatal", "leaks,", "no-nothing", ",",
                                   "no-leaks=error"])
def test_a_word_that_means_nothing_is_a_usage_error(leaky, words):
    done = run(leaky, "--check=" + words)
    assert done.returncode == 2 and "word of --check" in done.stderr


# ---- Reports

def sarif(path):
    """The only run of the document, which is as SARIF demands."""
    document = json.loads(path.read_text())
    schema = json.loads(SCHEMA.read_text())
    try:
        import jsonschema
    except ImportError:
        pass            # what follows still looks at all that matters
    else:
        jsonschema.validators.validator_for(schema)(schema).validate(document)
    assert document["version"] == "2.1.0"
    result, = document["runs"]
    return result


def test_the_sarif_report_names_file_and_line_from_where_gntsim_was_started(leaky, tmp_path):
    done = run(leaky, "--check", "--check-report", str(tmp_path / "r.sarif"), cwd=leaky.parent)
    assert done.returncode == 99
    report = sarif(tmp_path / "r.sarif")
    assert report["originalUriBaseIds"] == {"SRCROOT": {"uri": "file://%s/" % leaky.parent}}
    results = {result["ruleId"]: result for result in report["results"]}
    assert set(results) == KINDS
    place = results["slot-leak"]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "program.c", "uriBaseId": "SRCROOT"},
                     "region": {"startLine": LINE}}
    rules = report["tool"]["driver"]["rules"]
    for result in results.values():
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == "error" and result["message"]["text"].endswith(".")
    frames = results["slot-leak"]["stacks"][0]["frames"]
    assert [frame["location"]["logicalLocations"][0]["name"] for frame in frames] == \
        ["xengnttab_map_grant_ref", "leak", "main"]


def test_a_file_elsewhere_has_an_absolute_uri_and_the_same_fingerprint(leaky, tmp_path):
    prints = []
    for name, where in (("a.sarif", leaky.parent), ("b.sarif", "/")):
        run(leaky, "--check", "--check-report", str(tmp_path / name), cwd=where)
        result, = [one for one in sarif(tmp_path / name)["results"]
                   if one["ruleId"] == "slot-leak"]
        prints.append(result["partialFingerprints"])
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == str(leaky.parent / "program.c")[1:]       # from /
    assert prints[0] == prints[1]


def test_a_report_without_findings_is_one(tmp_path):
    path = tmp_path / "empty.sarif.json"
    assert run("/bin/true", "--check", "--check-report", str(path)).returncode == 0
    assert sarif(path)["results"] == []


def test_the_json_report_has_the_stacks_and_how_often(leaky, tmp_path):
    path = tmp_path / "report.json"
    run(leaky, "--check", "--check-report", str(path))
    report = json.loads(path.read_text())
    assert (report["version"], report["suppressions"]) == (1, [])
    found = {one["kind"]: one for one in report["findings"]}
    assert set(found) == KINDS
    assert found["slot-leak"]["title"] == "3 grants mapped and never unmapped"
    assert [frame.get("line") for frame in found["slot-leak"]["parts"][0]["stack"]][1] == LINE
    assert found["slot-leak"]["command"] == "program"


def test_the_text_report_is_what_was_said(leaky, tmp_path):
    path = tmp_path / "report"
    done = run(leaky, "--check", "--check-report", str(path))
    assert path.read_text() == done.stderr[done.stderr.index("==gntsim=="):]


def test_the_format_can_be_said(leaky, tmp_path):
    path = tmp_path / "report.txt"
    run(leaky, "--check", "--check-report", str(path), "--check-format", "json")
    assert len(json.loads(path.read_text())["findings"]) == 2
    done = run(leaky, "--check", "--check-report", str(path), "--check-format", "xml")
    assert done.returncode == 2 and "text, json or sarif" in done.stderr


def test_a_report_that_cannot_be_written_is_said_before_the_command_runs(leaky, tmp_path):
    done = run(leaky, "--check", "--check-report", str(tmp_path / "none" / "r.json"))
    assert done.returncode == 2 and "cannot write the report" in done.stderr
    assert "==gntsim==" not in done.stderr
    assert run(leaky, "--check-report", "r.json").returncode == 2


def test_a_report_that_no_disk_takes_is_an_error(leaky):
    done = run(leaky, "--check=no-leaks", "--check-report", "/dev/full",
               "--check-format", "json")
    assert done.returncode == 1 and "No space left" in done.stderr


# ---- Suppressions

@pytest.mark.parametrize("pattern", ["leak", "l*k", "program.c", "program", "*/program.c", "*"])
def test_a_suppression_matches_function_file_module_or_command(leaky, tmp_path, pattern):
    rules, report = tmp_path / "known", tmp_path / "report.json"
    rules.write_text("# known since May\n\n  slot-leak:%s   # by design\n" % pattern)
    done = run(leaky, "--check", "--check-suppress", str(rules), "--check-report", str(report))
    assert set(corpus.findings(done.stderr)) == {"share-leak"}, done.stderr
    assert "no finding needed" not in done.stderr
    rule, = json.loads(report.read_text())["suppressions"]
    assert rule == {"kind": "slot-leak", "pattern": pattern, "line": 3, "used": 1}


def test_what_is_suppressed_is_no_failure_and_is_marked_in_the_report(leaky, tmp_path):
    (tmp_path / "known").write_text("*:main\n")
    done = run(leaky, "--check", "--check-suppress", str(tmp_path / "known"),
               "--check-report", str(tmp_path / "r.sarif"))
    assert (done.returncode, "==gntsim==" in done.stderr) == (0, False)
    results = sarif(tmp_path / "r.sarif")["results"]
    assert [result["suppressions"] for result in results] == [[{"kind": "external"}]] * 2


def test_an_unused_suppression_is_named(leaky, tmp_path):
    (tmp_path / "known").write_text("slot-leak:leak\nlate-unmap:foo*\n")
    done = run(leaky, "--check", "--check-suppress", str(tmp_path / "known"))
    assert "known:2: no finding needed the suppression late-unmap:foo*" in done.stderr
    assert "known:1" not in done.stderr


def test_many_unused_suppressions_are_one_line(leaky, tmp_path):
    (tmp_path / "known").write_text("late-unmap:foo\n" * 5)
    done = run(leaky, "--check", "--check-suppress", str(tmp_path / "known"))
    line, = [line for line in done.stderr.splitlines() if "no finding needed" in line]
    assert line.endswith("known:1: no finding needed the suppression late-unmap:foo, and 4 more")


def test_a_format_without_a_report_is_a_usage_error(leaky):
    done = run(leaky, "--check", "--check-format", "json")
    assert done.returncode == 2 and "--check-report" in done.stderr


@pytest.mark.parametrize("text,place", [
    ("slot-leak:a\n  slot-leek:b\n", "2:3"), ("slot-leak\n", "1:1"), ("\n\nslot-leak:\n", "3:11"),
    ("slot-leak:a[b\n", "1:12"), ("slot-leak:a\0b\n", "1:12"), (":x\n", "1:1"),
])
def test_a_broken_suppression_is_named_by_line_and_column(leaky, tmp_path, text, place):
    path = tmp_path / "known"
    path.write_text(text)
    done = run(leaky, "--check", "--check-suppress", str(path))
    assert done.returncode == 2
    assert "gntsim: %s:%s: " % (path, place) in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


def test_a_long_list_of_suppressions_is_read_in_time(leaky, tmp_path):
    # Appending from the list's beginning took three minutes.
    known = tmp_path / "known"
    known.write_text("slot-leak:nowhere\n" * 300000 + "port-leak\n")
    done = run(leaky, "--check", "--check-suppress", str(known))
    assert "known:300001:" in done.stderr and done.returncode == 2


def test_suppressions_that_cannot_be_read_are_a_usage_error(leaky, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        done = run(leaky, "--check", "--check-suppress", str(path))
        assert done.returncode == 2 and "cannot read suppressions" in done.stderr


# ---- exec, and asking

@pytest.mark.parametrize("way", ["device", "socket", "auto"])
def test_exec_tells_by_its_status_what_was_found_of_its_command_alone(leaky, tmp_path, way):
    def execute(*words):
        done = corpus.gntsim("exec", "--dir", str(tmp_path / "m"), *words)
        assert "==gntsim==" not in done.stderr
        return done.returncode, "finding" in done.stderr
    with corpus.machine(tmp_path, "--check", way=way) as said:
        assert execute("--", str(leaky)) == (0, False)      # it is the command
        assert execute("--check", "--", str(leaky)) == (99, True)
        assert execute("--check", "--", "true") == (0, False)
        assert execute("--check", "--check-exit", "7", "--",
                       "sh", "-c", "%s; true" % leaky) == (7, True)
        assert execute("--check=late-unmap", "--", str(leaky)) == (0, False)
        assert execute("--check=leaks=warning", "--", str(leaky)) == (0, True)
        assert execute("--check", "--", str(leaky), "3") == (3, False)
        assert execute("--check", "--", "sh", "-c", "kill -9 $$") == (137, False)
    assert set(corpus.findings(said[0])) == KINDS and said[1] == 99


def test_exec_cannot_check_on_a_machine_that_does_not(tmp_path):
    with corpus.machine(tmp_path) as said:
        done = corpus.gntsim("exec", "--check", "--dir", str(tmp_path / "m"), "--", "true")
        assert done.returncode == 1 and "start it with --check" in done.stderr
    assert said == ["", 0]


def test_ctl_shows_findings_as_text_and_as_json(leaky, tmp_path):
    def ask(*words):
        return corpus.gntsim("ctl", "--dir", str(tmp_path / "m"), *words, "findings")
    with corpus.machine(tmp_path, "--check", way="socket"):
        assert (ask().returncode, ask().stdout, ask("--json").stdout) == (0, "", "[]\n")
        done = corpus.gntsim("exec", "--dir", str(tmp_path / "m"), "--", str(leaky))
        assert done.returncode == 0, done.stderr
        assert set(corpus.findings(ask().stdout)) == KINDS
        assert {one["kind"] for one in json.loads(ask("--json").stdout)} == KINDS
