# SPDX-License-Identifier: MIT
"""Programs of which little can be known are reported with what is known, and neither harm nor hold
up the machine."""
import os
import re
import struct
import subprocess

import pytest

import cases
import corpus

WAYS = ["device", "socket"]
LEAKY = cases.HEAD + """
__attribute__((noinline)) static void leak(void)
{
    theirs = map(1);
    xengntshr_unshare(shr, mine, 1);
}
int main(int argc, char **argv)
{
    begin(1);
    if (argc > 1) { puts("begun"); fflush(stdout); getchar(); }
    leak();
    return 0;
}
"""
THREADS = cases.HEAD + """
static pthread_barrier_t barrier;
static uint32_t many[200];
static void *work(void *arg)
{
    uint32_t *ref = (uint32_t *)arg;
    void *page = xengnttab_map_grant_ref(tab, 0, *ref, PROT_READ);
    pthread_barrier_wait(&barrier);
    if ((ref - many) % 2) xengnttab_unmap(tab, page, 1);
    return NULL;
}
int main(void)
{
    pthread_t threads[200];
    begin(1);
    xengntshr_unshare(shr, mine, 1);
    mine = xengntshr_share_pages(shr, 0, 200, many, 1);
    pthread_barrier_init(&barrier, NULL, 200);
    for (int i = 0; i < 200; i++)
        if (pthread_create(&threads[i], NULL, work, &many[i])) return 1;
    for (int i = 0; i < 200; i++) pthread_join(threads[i], NULL);
    xengntshr_unshare(shr, mine, 200);
    return 0;
}
"""


def reported(done, kind="slot-leak"):
    """The text of the only finding."""
    found = corpus.findings(done.stderr)
    assert set(found) == {kind}, done.stderr
    assert done.returncode == 99, done.stderr
    return found[kind][0]


def section(program, name):
    """Where the section's bytes are in the file, and how many."""
    line, = re.findall(r"^ *\[ *\d+\] %s +\w+ +\w+ (\w+) (\w+)" % re.escape(name),
                       subprocess.run(["readelf", "-SW", program], capture_output=True, text=True,
                                      check=True).stdout, re.M)
    return int(line[0], 16), int(line[1], 16)


def spoil(program, name, bytes_of):
    at, size = section(program, name)
    with open(program, "r+b") as file:
        file.seek(at)
        file.write(bytes_of(size))


SPOILT = {
    "ones": lambda size: b"\xff" * size,
    "zeros": bytes,
    "lengths beyond the end": lambda size: struct.pack("<I", 0x7fffffff) * (size // 4),
    "noise": lambda size: bytes((i * 2654435761 >> 13) & 255 for i in range(size)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bytes_of", SPOILT)
def test_a_program_with_broken_call_frame_information_is_reported(bytes_of, way, tmp_path):
    program = corpus.build(LEAKY, tmp_path)
    spoil(program, ".eh_frame", SPOILT[bytes_of])
    assert "mapped reference" in reported(corpus.run(program, way))


@pytest.mark.parametrize("way", WAYS)
def test_a_program_with_broken_debug_information_is_reported(way, tmp_path):
    program = corpus.build(LEAKY, tmp_path)
    for name in ".debug_info", ".debug_line", ".debug_abbrev":
        spoil(program, name, SPOILT["noise"])
    text = reported(corpus.run(program, way))
    assert "mapped reference" in text and "xengnttab_map_domain_grant_refs" in text


@pytest.mark.parametrize("way", WAYS)
def test_a_program_without_sections_and_symbols_is_reported_with_its_file(way, tmp_path):
    program = corpus.build(LEAKY, tmp_path, ("-O2", "-s"))
    subprocess.run(["objcopy", "--strip-section-headers", program], check=False)
    assert "program+0x" in reported(corpus.run(program, way))


def while_running(program, way, change):
    """Runs it, and changes something when it has begun."""
    with subprocess.Popen([corpus.GNTSIM, "run", "--way", way, "--check", "--", program, "wait"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as run:
        assert run.stdout.readline() == "begun\n"
        change()
        said = run.communicate("\n", timeout=corpus.PATIENCE)[1]
    return subprocess.CompletedProcess([], run.returncode, "", said)


@pytest.mark.parametrize("way", WAYS)
def test_a_program_whose_file_is_gone_is_reported(way, tmp_path):
    program = corpus.build(LEAKY, tmp_path)
    text = reported(while_running(program, way, program.unlink))
    assert "xengnttab_map_domain_grant_refs" in text, text


@pytest.mark.parametrize("way", WAYS)
def test_a_program_whose_file_is_another_one_now_is_not_read_from_that(way, tmp_path):
    program = corpus.build(LEAKY, tmp_path)
    other = corpus.build(LEAKY.replace("static void leak", "static void other"
                                       ).replace("leak();", "other();"), tmp_path, name="other")
    text = reported(while_running(program, way, lambda: os.replace(other, program)))
    assert not re.search(r"^ +#\d+ +other\b", text, re.M), text


@pytest.mark.parametrize("way", WAYS)
def test_a_program_in_a_mount_namespace_of_its_own_is_reported_with_its_lines(way, tmp_path):
    if os.getuid():
        pytest.skip("needs a mount")
    program = corpus.build(LEAKY, tmp_path)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    script = "mount -t tmpfs none %s && cp %s %s/program && %s/program; exit $?" % (
        hidden, program, hidden, hidden)
    done = corpus.gntsim("run", "--way", way, "--check", "--", "unshare", "-m", "sh", "-c", script)
    assert "program.c:" in reported(done), done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_two_hundred_threads_that_map_and_half_of_which_forget_are_reported(way, tmp_path):
    text = reported(corpus.run(corpus.build(THREADS, tmp_path), way))
    assert "100 grants mapped and never unmapped" in text and "work" in text, text


@pytest.mark.parametrize("way", WAYS)
def test_a_program_that_lost_its_stack_is_reported(way, tmp_path):
    """Its handler's stack is full of what looks like return addresses."""
    text = cases.HEAD + """
#include <ucontext.h>
static ucontext_t there, back;
static void leak(void) { theirs = map(1); xengntshr_unshare(shr, mine, 1); }
int main(void)
{
    static uintptr_t stack[8192];
    begin(1);
    for (unsigned i = 0; i < 8192; i++) stack[i] = (uintptr_t)&stack[i / 2];
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &back;
    makecontext(&there, leak, 0);
    swapcontext(&back, &there);
    return 0;
}
"""
    assert "mapped reference" in reported(corpus.run(corpus.build(text, tmp_path), way))


