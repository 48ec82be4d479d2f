# SPDX-License-Identifier: MIT
"""Right programs that look wrong are not reported, and wrong ones that look right are."""
import socket

import pytest

import corpus

WAYS = ["device", "socket", "auto"]
HEAD = """
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xengnttab.h>

static xengntshr_handle *shr;
static xengnttab_handle *tab;
static char *mine, *theirs;
static uint32_t ref;

static void begin(void)
{
    shr = xengntshr_open(NULL, 0);
    tab = xengnttab_open(NULL, 0);
    mine = xengntshr_share_pages(shr, 0, 1, &ref, 1);
}

static void *map(void *arg)
{
    theirs = xengnttab_map_grant_ref(tab, 0, ref, PROT_READ);
    return arg;
}

static void end(void)
{
    xengnttab_unmap(tab, theirs, 1);
    xengntshr_unshare(shr, mine, 1);
}
"""
RIGHT = {
    "that a signal kills with its mapping": (-15, """
int main(void) { begin(); map(NULL); kill(getpid(), SIGTERM); return 0; }
"""),
    "that exits with an error": (3, """
int main(void) { begin(); map(NULL); exit(3); }
"""),
    "that unmaps in a handler of atexit": (0, """
int main(void) { atexit(end); begin(); map(NULL); return 0; }
"""),
    "that unmaps in another thread than it maps": (0, """
int main(void)
{
    pthread_t thread;
    begin();
    pthread_create(&thread, NULL, map, NULL);
    pthread_join(thread, NULL);
    end();
    return 0;
}
"""),
    "whose child exits with its parent's mapping": (0, """
int main(void)
{
    begin(); map(NULL);
    if (!fork()) exit(0);
    wait(NULL);
    end();
    return 0;
}
"""),
    "whose child executes another program": (0, """
int main(void)
{
    begin(); map(NULL);
    if (!fork()) { execl("/bin/true", "true", NULL); _exit(1); }
    wait(NULL);
    end();
    return 0;
}
"""),
    "whose parent exits and whose child goes on": (0, """
int main(void)
{
    int fds[2], done[2];
    char byte;
    pipe(fds); pipe(done);
    if (fork()) {
        /* Waits in the shell's place: until the daemon has ended. */
        close(done[1]);
        close(fds[1]);
        read(done[0], &byte, 1);
        return 0;
    }
    begin();
    if (fork()) exit(0);
    close(fds[1]);
    read(fds[0], &byte, 1);
    kill(getpid(), SIGTERM);
    return 0;
}
"""),
    "that takes the addresses away and closes": (0, """
int main(void)
{
    begin(); map(NULL);
    munmap(theirs, 4096);
    xengnttab_close(tab);
    munmap(mine, 4096);
    xengntshr_close(shr);
    return 0;
}
"""),
    "that is refused a mapping": (0, """
int main(void)
{
    begin();
    if (xengnttab_map_grant_ref(tab, 0, 4000, PROT_READ)) return 1;
    xengntshr_unshare(shr, mine, 1);
    return 0;
}
"""),
    "that replaces itself and leaves all": (0, """
int main(void) { begin(); map(NULL); execl("/bin/true", "true", NULL); return 1; }
"""),
}
WRONG = {
    "in a thread": ("slot-leak", """
int main(void)
{
    pthread_t thread;
    begin();
    pthread_create(&thread, NULL, map, NULL);
    pthread_join(thread, NULL);
    xengntshr_unshare(shr, mine, 1);
    return 0;
}
"""),
    "in a child": ("slot-leak", """
int main(void)
{
    if (!fork()) { begin(); map(NULL); xengntshr_unshare(shr, mine, 1); exit(0); }
    wait(NULL);
    return 0;
}
"""),
    "after the handle is closed": ("slot-leak", """
int main(void)
{
    begin(); map(NULL);
    xengntshr_unshare(shr, mine, 1);
    xengnttab_close(tab);
    xengntshr_close(shr);
    return 0;
}
"""),
    "by munmap alone": ("slot-leak", """
int main(void)
{
    begin(); map(NULL);
    munmap(theirs, 4096);
    xengntshr_unshare(shr, mine, 1);
    return 0;
}
"""),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_is_not_reported(name, way, tmp_path):
    status, text = RIGHT[name]
    corpus.clean(HEAD + text, way, tmp_path, status=status if status >= 0 else 128 - status)


@pytest.mark.parametrize("flags", [("-O0", "-g"), ("-O2", "-g"),
                                   ("-O2", "-g", "-fno-omit-frame-pointer")],
                         ids=["O0", "O2", "frame pointers"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WRONG)
def test_a_leak_is_reported(name, way, flags, tmp_path):
    kind, text = WRONG[name]
    reported, = corpus.found(HEAD + text, way, tmp_path, kind, flags)
    assert "xengnttab_map_grant_ref" in reported and "map" in reported


@pytest.mark.parametrize("way", WAYS)
def test_a_program_without_debug_information_is_reported_with_its_file(way, tmp_path):
    kind, text = WRONG["by munmap alone"]
    program = corpus.build(HEAD + text, tmp_path, ("-O2", "-s"))
    done = corpus.run(program, way)
    assert set(corpus.findings(done.stderr)) == {kind}, done.stderr
    assert "program+0x" in done.stderr, done.stderr


def test_another_exit_status_can_be_chosen(tmp_path):
    program = corpus.build(HEAD + WRONG["by munmap alone"][1], tmp_path)
    assert corpus.run(program, "socket", options=("--check-exit", "7")).returncode == 7
    assert corpus.run(program, "socket", options=("--check-exit", "256")).returncode == 2


def test_without_the_option_nothing_is_reported(tmp_path):
    program = corpus.build(HEAD + WRONG["by munmap alone"][1], tmp_path)
    done = corpus.gntsim("run", "--", str(program))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("way", WAYS)
def test_a_leak_is_reported_though_others_have_the_same_socket_as_standard_input(way, tmp_path):
    program = corpus.build(HEAD + WRONG["by munmap alone"][1], tmp_path)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = corpus.gntsim("run", "--way", way, "--check", "--", str(program), stdin=theirs)
    assert set(corpus.findings(done.stderr)) == {"slot-leak"}, done.stderr
