# SPDX-License-Identifier: MIT
"""Compiles small programs, runs them under --check, and compares what is reported with the lines
that they mark."""
import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
GNTSIM = os.path.abspath(os.environ.get("GNTSIM") or SOURCE / "build" / "gntsim")
PAGES = SOURCE / "docs" / "checks"
MARK = "/* reported */"
LIBRARIES = ["-lxengnttab", "-lxenevtchn", "-lxenstore", "-lpthread"]
PATIENCE = 120
FLAGS = {"O0": ("-O0", "-g"), "O2": ("-O2", "-g"),
         "frame-pointers": ("-O2", "-g", "-fno-omit-frame-pointer"), "stripped": ("-O2", "-s")}


def gntsim(*words, **more):
    return subprocess.run([GNTSIM, *words], capture_output=True, text=True, timeout=PATIENCE,
                          check=False, **more)


def build(text, directory, flags=("-O0", "-g"), name="program", cxx=False):
    source = directory / (name + (".cc" if cxx else ".c"))
    source.write_text(text)
    program = directory / name
    subprocess.run(["c++" if cxx else "cc", "-w", *flags, "-o", program, source, *LIBRARIES],
                   check=True)
    return program


def run(program, way, *words, options=()):
    return gntsim("run", "--way", way, "--check", *options, "--", str(program), *words)


@contextlib.contextmanager
def machine(directory, *options, way="auto"):
    """Serves one in DIRECTORY/m: a list that has what it said, and its exit status, when it has
    ended."""
    said = []
    with open(directory / "said", "w") as errors:
        served = subprocess.Popen([GNTSIM, "serve", "--dir", directory / "m", "--way", way,
                                   *options], stdout=subprocess.PIPE, stderr=errors)
        try:
            assert served.stdout.readline().startswith(b"gntsim: ready")
            yield said
        finally:
            served.send_signal(signal.SIGTERM)
            status = served.wait(PATIENCE)
            served.stdout.close()
    said += [(directory / "said").read_text(), status]


def findings(text):
    """{kind: the text of each}."""
    found = {}
    for part in re.split(r"^==gntsim== ERROR ", text, flags=re.M)[1:]:
        found.setdefault(part.split(":")[0], []).append(part)
    return found


def marked(text):
    return [number for number, line in enumerate(text.splitlines(), 1) if MARK in line]


# The program dies of SIGSEGV.
DEADLY = {"use-after-unmap", "readonly-write", "crash-explained"}


def found(text, way, directory, kind, flags=("-O0", "-g"), lines=True):
    """The program is reported with this kind alone, and all marked lines are in the report."""
    done = run(build(text, directory, flags), way)
    reported = findings(done.stderr)
    assert set(reported) == {kind}, done.stderr
    assert done.returncode == (139 if kind in DEADLY else 99), done.stderr
    for line in marked(text) if lines else []:
        assert "program.c:%d\n" % line in done.stderr, (line, done.stderr)
    return reported[kind]


def clean(text, way, directory, flags=("-O0", "-g"), status=0):
    done = run(build(text, directory, flags), way)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert "==gntsim==" not in done.stderr, done.stderr


def judge(case, way, flags, directory, before=()):
    """What is wrong with what is said of the case: "" if nothing is. before: words that run what
    follows them as somebody."""
    text = case.head + case.text
    program = build(text, directory, FLAGS[flags], cxx=case.cxx)
    done = subprocess.run([*before, GNTSIM, "run", "--way", way, "--check", "--", str(program)],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    status = case.status if not case.kind else 139 if case.kind in DEADLY else 99
    kinds = set(findings(done.stderr))
    said = "status %d\n%s" % (done.returncode, done.stderr)
    if not case.kind:
        return "FALSE " + said if kinds else "STATUS " + said if done.returncode != status else ""
    if case.kind not in kinds:
        return "MISSED " + said
    if kinds != {case.kind}:
        return "FALSE " + said
    if done.returncode != status:
        return "STATUS " + said
    name = re.escape("program.cc" if case.cxx else "program.c")
    for line in marked(text) if flags != "stripped" else []:
        if not re.search(r"%s:%d$" % (name, line), done.stderr, re.M):
            return "LINE %d of %s" % (line, said)
    return ""
