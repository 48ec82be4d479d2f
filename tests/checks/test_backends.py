# SPDX-License-Identifier: MIT
"""Block back ends in the manners of several authors: each bug is found in the first run, with its
kind and line, and the right ones are not reported."""
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import corpus

FOLDER = corpus.SOURCE / "tests" / "checks" / "backends"
WHOLE = os.environ.get("GNTSIM_TEST_ALL")
VARIANTS_ARE_CASES = True     # it divides its cases among them itself
WAYS = ["device", "socket", "auto"]
FLAGS = {"O2": ("-O2", "-g"), "O0": ("-O0", "-g"), "fp": ("-O2", "-g", "-fno-omit-frame-pointer"),
         "stripped": ("-O2", "-s")}
# The program, its bug, what the front end does and how often, what is reported and the mark of its
# line; and the signal that ends the back end, if it does not end by itself.
RIGHT = [("ringloop", 0, "bad", 6, None), ("ringloop", 0, "fresh", 6, signal.SIGKILL),
         ("threads", 0, "multi", 6, None), ("copier", 0, "multi", 6, None),
         ("copier", 0, "multi", 3, signal.SIGTERM),
         ("persist", 0, "pool", 12, None), ("persist", 0, "pool", 12, signal.SIGTERM),
         ("indirect", 0, "indirect", 6, None), ("forkw", 0, "fresh", 6, None)]
WRONG = [("ringloop", 1, "multi", 6, None, "slot-leak", "MAP"),
         ("ringloop", 2, "fresh", 6, None, "slot-leak", "MAP"),
         ("ringloop", 2, "fresh", 6, signal.SIGKILL, "slot-leak", "MAP"),
         ("ringloop", 3, "fresh", 2, None, "slot-leak", "RING"),
         ("ringloop", 4, "fresh", 2, signal.SIGTERM, "slot-leak", "RING"),
         ("ringloop", 5, "fresh", 4, None, "late-unmap", "LATE"),
         ("threads", 1, "fresh", 6, None, "late-unmap", "CALL"),
         ("threads", 2, "multi", 6, None, "bad-unmap", "UNMAP"),
         ("threads", 3, "multi", 6, None, "slot-leak", "CALL"),
         ("threads", 4, "multi", 6, None, "slot-leak", "CALL"),
         ("threads", 5, "multi", 6, None, "bad-unmap", "UNMAP"),
         ("copier", 1, "multi", 6, None, "status-unread", "COPY"),
         ("copier", 2, "multi", 6, None, "status-unread", "COPY"),
         ("copier", 3, "multi", 6, None, "status-unread", "COPY"),
         ("copier", 1, "multi", 3, signal.SIGTERM, "status-unread", "COPY"),
         ("copier", 4, "bad", 6, None, "status-unread", "COPY"),
         ("persist", 1, "pool", 24, signal.SIGTERM, "slot-leak", "MAP"),
         ("persist", 1, "pool", 12, None, "slot-leak", "MAP"),
         ("persist", 2, "pool", 3, None, "double-unmap", "AGAIN"),
         ("indirect", 1, "indirect", 6, None, "slot-leak", "SEG"),
         ("indirect", 2, "indirect", 6, None, "slot-leak", "SEG"),
         ("indirect", 3, "indirect", 6, None, "slot-leak", "DESC"),
         ("forkw", 1, "fresh", 6, None, "slot-leak", "MAP"),
         ("forkw", 3, "fresh", 6, None, "slot-leak", "MAP"),
         ("forkw", 4, "fresh", 6, None, "slot-leak", "MAP")]
CASES = [(*case, None, None) for case in RIGHT] + WRONG


def compiled(directory, name, flags, bug=0):
    program = directory / "-".join([name, str(bug)])
    subprocess.run(["cc", "-w", *flags, "-DBUG=%d" % bug, "-o", program, FOLDER / (name + ".c"),
                    "-lxenstore", *corpus.LIBRARIES], check=True)
    return program


def play(case, domain, directory, programs):
    """Runs the case in domains of its own; the back end has a name of its own, too."""
    name, bug, mode, times, ends, _, _ = case
    run = [corpus.GNTSIM, "exec", "--dir", directory / "m", "--domain"]
    program = directory / ("back%d" % domain)
    os.link(programs[name, bug], program)
    subprocess.run([*run, str(domain), "--", "/bin/true"], check=True, stderr=subprocess.PIPE)
    subprocess.run([*run, "0", "--", programs["toolstack", 0], str(domain), "0"], check=True,
                   stderr=subprocess.PIPE)
    env = {**os.environ, "STAY": "1"} if ends else os.environ
    back = subprocess.Popen([*run, "0", "--", program, str(domain)], env=env,
                            stderr=subprocess.DEVNULL)
    try:
        front = subprocess.run([*run, str(domain), "--", programs["front", 0], "0", mode,
                                str(times), str(domain)], capture_output=True, text=True,
                               timeout=corpus.PATIENCE, check=False)
        assert front.returncode == 0, (case, front.stderr)
        if ends:
            back.send_signal(ends)
        back.wait(corpus.PATIENCE)
    finally:
        back.kill()
        back.wait()


def line_of(case):
    name, mark = case[0], case[6]
    line, = [number for number, line in
             enumerate((FOLDER / (name + ".c")).read_text().splitlines(), 1)
             if "/* %s */" % mark in line]
    return "%s.c:%d" % (name, line)


def judge(case, texts, lines):
    """What is wrong with the findings of the case's program; empty if nothing is."""
    kind = case[5]
    kinds = {text.split(":")[0] for text in texts}
    if kinds - {kind}:
        return "false: %s" % ", ".join(kinds - {kind})
    if kind and (not texts or (lines and not any(line_of(case) + "\n" in text for text in texts))):
        return "missed: %s%s" % (kind, " at " + line_of(case) if texts else "")
    return ""


def run_all(way, flags, cases, directory):
    """The cases that were judged wrongly, with what is wrong."""
    names = {(case[0], case[1]) for case in cases} | {("front", 0), ("toolstack", 0)}
    with ThreadPoolExecutor(2) as pool:
        programs = dict(zip(names, pool.map(lambda name: compiled(directory, name[0], FLAGS[flags],
                                                                  name[1]), names)))
        with corpus.machine(directory, "--check", way=way) as said:
            list(pool.map(lambda case: play(case[1], case[0], directory, programs),
                          enumerate(cases, 1)))
    assert said[1] == 99, said
    texts = re.split(r"^==gntsim== ERROR ", said[0], flags=re.M)[1:]
    wrong = []
    for domain, case in enumerate(cases, 1):
        own = [text for text in texts if re.search(r"^  back%d\[" % domain, text, re.M)]
        verdict = judge(case, own, flags != "stripped")
        print("%-9s %d %-9s %-8s %s" % (*case[:3], case[4] and case[4].name, verdict or "right"))
        wrong += [(case, verdict, own)] if verdict else []
    assert len([text for text in texts if "back" in text]) == len(texts), texts
    return wrong


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("flags", FLAGS if WHOLE else ["O2"])
def test_the_bugs_of_back_ends_are_found_and_nothing_else(way, flags, tmp_path):
    cases = CASES if WHOLE else CASES[WAYS.index(way)::len(WAYS)]
    wrong = run_all(way, flags, cases, tmp_path)
    assert not wrong, wrong
