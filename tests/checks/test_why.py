# SPDX-License-Identifier: MIT
"""`ctl why` says why a call was refused and who has a grant, a page or a port; `ctl check` says
what programs hold. Both name the lines of the program."""
import contextlib
import json
import re
import subprocess

import pytest

import corpus

# Shares, maps and binds, and prints the numbers; makes calls that are refused; says "ready", and
# ends when its standard input does.
HOLDER = """
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <xenevtchn.h>
#include <xengnttab.h>

int main(void)
{
    xengntshr_handle *shr = xengntshr_open(NULL, 0);
    xengnttab_handle *tab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    uint32_t refs[2], past, other;
    char byte;
    xengnttab_grant_copy_segment_t copy = {
        .flags = GNTCOPY_source_gref, .len = 1, .source.foreign.domid = 1, .dest.virt = &byte,
    };
    char *ended;
    int port;

    xengntshr_share_pages(shr, 1, 2, refs, 0); /* share */
    xengnttab_map_grant_ref(tab, 1, refs[0], PROT_READ); /* map */
    port = xenevtchn_bind_unbound_port(evtchn, 0); /* bind */
    xengntshr_share_pages(shr, 0, 1, &other, 0);
    ended = xengntshr_share_pages(shr, 1, 1, &past, 0);
    xengntshr_unshare(shr, ended, 1); /* end */
    xengnttab_map_grant_ref(tab, 1, refs[0], PROT_READ | PROT_WRITE); /* write */
    xengnttab_map_grant_ref(tab, 1, other, PROT_READ); /* other */
    xengnttab_map_grant_ref(tab, 1, past, PROT_READ); /* past */
    copy.source.foreign.ref = past;
    xengnttab_grant_copy(tab, 1, &copy); /* copy */
    if (copy.status >= 0 || xenevtchn_bind_virq(evtchn, 1) >= 0) /* rule */
        return 1;
    xenevtchn_notify(evtchn, 77); /* notify */
    printf("%u %u %d %u %u\\n", refs[0], refs[1], port, other, past);
    fflush(stdout);
    getchar();
    return 0;
}
"""
RULE = '{"at": "ioctl", "ioctl": "BIND_VIRQ", "do": {"errno": "EPERM"}}'
LINE = {word: number for number, line in enumerate(HOLDER.splitlines(), 1)
        for word in re.findall(r"/\* (\w+) \*/", line)}


@contextlib.contextmanager
def served(directory, way, *options):
    """A machine with a domain 1."""
    with corpus.machine(directory, *options, way=way):
        for domain in "01":
            told(directory / "m", "domain", "create", domain)
        told(directory / "m", "fault", "add", RULE)
        yield


@pytest.fixture(scope="module", params=["device", "socket"])
def held(request, tmp_path_factory):
    """A machine on which the holder waits, and the holder's numbers."""
    place = tmp_path_factory.mktemp("why")
    program, way = corpus.build(HOLDER, place), request.param
    with served(place, way, "--check"), \
            subprocess.Popen([corpus.GNTSIM, "exec", "--dir", place / "m", "--domain", "1", "--",
                              program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True) as holder:
        yield place / "m", [int(word) for word in holder.stdout.readline().split()]


def ctl(directory, *words):
    return corpus.gntsim("ctl", "--dir", str(directory), *words)


def told(directory, *words):
    done = ctl(directory, *words)
    assert not done.returncode, done.stderr
    return done.stdout


def at(word):
    return "program.c:%d\n" % LINE[word]


def test_a_refused_call_is_told_with_its_cause_and_its_line(held):
    directory, (ref, _, _, other, past) = held
    text = told(directory, "why")
    assert "domain 1 grants reference %d read-only, and it is to be written" % ref in text, text
    assert "domain 1 grants reference %d to domain 0, and not to domain 1" % other in text
    assert re.search(r"domain 1 grants nothing with reference %d: program\[\d+\] shared it, and "
                     r"ended that" % past, text), text
    assert "GRANT_COPY of gntdev returned 0 with a failed segment" in text
    assert re.search(r"BIND_VIRQ of evtchn failed with EPERM.*?fault rule 1 decided it", text, re.S)
    assert all(at(word) in text for word in ("write", "other", "past", "copy", "rule", "notify"))
    assert "NOTIFY of evtchn failed with ENOTCONN" in text and "has not bound that port" in text
    assert told(directory, "why", "1") == text
    assert told(directory, "why", "0") == "no call was refused\n"


def test_the_newest_refused_call_comes_first(held):
    found = json.loads(told(held[0], "--json", "why"))
    assert [re.search(r": (\w+) of ", one["text"]).group(1) for one in found] == \
        ["NOTIFY", "BIND_VIRQ", "GRANT_COPY"] + ["mmap"] * 3
    lines = [frame["line"] for frame in found[0]["parts"][0]["stack"] if frame.get("line")]
    assert LINE["notify"] in lines


def test_a_reference_is_told_with_who_shared_and_who_mapped_it(held):
    directory, (ref, free, *_) = held
    text = told(directory, "why", "1", str(ref))
    assert "to domain 1 with reference %d, read-only\n" % ref in text
    assert "domain 1 has it mapped, with " in text
    assert at("share") in text and at("map") in text and "xengnttab_unmap lets it go" in text
    text = told(directory, "why", "1", str(free))
    assert "no domain has it mapped" in text and at("share") in text and at("map") not in text


def test_a_reference_that_has_ended_is_told_with_its_end(held):
    directory, numbers = held
    text = told(directory, "why", "1", str(numbers[4]))
    assert "domain 1 grants nothing with reference" in text and "it has ended" in text
    assert at("past") in text and "its mmap failed" in text


def test_a_page_is_told_by_its_references(held):
    directory, (ref, *_) = held
    page, = re.findall(r"page (0x\w+) to domain 1 with reference %d," % ref,
                       told(directory, "why", "1", str(ref)))
    assert told(directory, "why", "1", "page", page) == told(directory, "why", "1", str(ref))
    assert told(directory, "why", "1", "page", "4000000") == \
        "domain 1 grants page 0x3d0900 to no domain\n"


def test_a_port_is_told_with_its_peer_and_its_line(held):
    directory, (_, _, port, *_) = held
    text = told(directory, "why", "1", "port", str(port))
    assert "port %d of domain 1 waits for domain 0 to bind to it" % port in text
    assert at("bind") in text and "xenevtchn_unbind lets it go" in text
    assert told(directory, "why", "1", "port", "900") == "port 900 of domain 1 is free\n"


def test_check_tells_what_programs_hold(held):
    text = told(held[0], "check")
    assert at("share") in text and at("map") in text and at("bind") in text
    assert at("past") not in text and at("end") not in text


@pytest.mark.parametrize("words,message", [
    (("why", "7"), "there is no domain 7"),
    (("why", "1", "4000000"), "has no reference 4000000"),
    (("why", "1", "port"), "its number is missing"),
    (("why", "1", "leek", "3"), "use grant, page or port"),
    (("why", "1", "1", "1"), "unexpected argument"),
])
def test_a_question_that_means_nothing_is_an_error(held, words, message):
    done = ctl(held[0], *words)
    assert done.returncode and message in done.stderr, done.stderr


def test_without_checks_the_tables_still_answer(tmp_path):
    with served(tmp_path, "socket"):
        assert "domain 1 grants page " in told(tmp_path / "m", "why", "1", "0")
        assert told(tmp_path / "m", "why", "0", "port", "900") == "port 900 of domain 0 is free\n"
        assert "keeps no refused calls" in ctl(tmp_path / "m", "why").stderr
        assert "checks nothing" in ctl(tmp_path / "m", "check").stderr
