# SPDX-License-Identifier: MIT
"""Grant copies whose segments fail: who looks at the status is not reported, wherever the status
lies and whoever looks; who does not is."""
import pytest

import corpus

HEAD = """
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xengnttab.h>

static xengnttab_handle *tab;
static char bytes[4][64];

static void fill(xengnttab_grant_copy_segment_t *segments, int nr)
{
    memset(segments, 0, (size_t)nr * sizeof *segments);
    for (int i = 0; i < nr; i++) {
        segments[i].source.foreign.ref = 500;
        segments[i].dest.virt = bytes[i];
        segments[i].len = sizeof bytes[i];
        segments[i].flags = GNTCOPY_source_gref;
    }
}

static int is_good(const xengnttab_grant_copy_segment_t *segment)
{
    return segment->status == GNTST_okay;
}

/* Uses the stack for something else. */
__attribute__((noinline)) static int busy(int n)
{
    volatile char room[3000];
    memset((void *)room, n, sizeof room);
    return room[n];
}
"""
MAIN = """
int main(void)
{
    int rc = 0;
    tab = xengnttab_open(NULL, 0);
    for (int i = 0; i < 3; i++) { rc |= serve(); busy(i); }
    xengnttab_close(tab);
    puts(rc ? "refused" : "copied");
    return 0;
}
"""
LOOKS = {
    "in a loop": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t segments[4];
    int bad = 0;
    fill(segments, 4);
    if (xengnttab_grant_copy(tab, 4, segments)) return 1;
    for (int i = 0; i < 4; i++) bad += segments[i].status != GNTST_okay;
    return bad;
}
""",
    "by another function": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t segment;
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1;
    busy(3);
    return !is_good(&segment);
}
""",
    "in static memory": """
static xengnttab_grant_copy_segment_t segments[2];
static int serve(void)
{
    fill(segments, 2);
    if (xengnttab_grant_copy(tab, 2, segments)) return 1;
    return !is_good(&segments[0]) || !is_good(&segments[1]);
}
""",
    "in memory of malloc": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t *segments = malloc(2 * sizeof *segments);
    int bad;
    fill(segments, 2);
    if (xengnttab_grant_copy(tab, 2, segments)) return 1;
    bad = !is_good(&segments[0]) || !is_good(&segments[1]);
    free(segments);
    return bad;
}
""",
    "in another thread": """
static xengnttab_grant_copy_segment_t segment;
static pthread_barrier_t barrier;
static void *look(void *arg)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return is_good(&segment) ? NULL : arg;
}
static int serve(void)
{
    pthread_t thread;
    void *bad;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, look, &thread);
    pthread_barrier_wait(&barrier);
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1;
    pthread_barrier_wait(&barrier);
    pthread_join(thread, &bad);
    return bad != NULL;
}
""",
    "and copies the segment first": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t segment, copy;
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1;
    copy = segment;
    busy(1);
    return !is_good(&copy);
}
""",
}
IGNORES = {
    "on the stack": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t segment;
    fill(&segment, 1);
    return xengnttab_grant_copy(tab, 1, &segment); /* reported */
}
""",
    "one of four": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t segments[4];
    fill(segments, 4);
    return xengnttab_grant_copy(tab, 4, segments) ? 1 : busy(0); /* reported */
}
""",
    "in static memory": """
static xengnttab_grant_copy_segment_t segments[2];
static int serve(void)
{
    fill(segments, 2);
    return xengnttab_grant_copy(tab, 2, segments); /* reported */
}
""",
    "though it answers what it got": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t segment;
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1; /* reported */
    write(1, bytes[0], 4);
    return 0;
}
""",
}
FLAGS = {"O0": ("-O0", "-g"), "O2": ("-O2", "-g")}


def program(case):
    return HEAD + case + MAIN


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("way", ["device", "socket"])
@pytest.mark.parametrize("name", LOOKS)
def test_who_looks_is_not_reported(name, way, flags, tmp_path):
    corpus.clean(program(LOOKS[name]), way, tmp_path, FLAGS[flags])


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("way", ["device", "socket"])
@pytest.mark.parametrize("name", IGNORES)
def test_who_does_not_look_is_reported(name, way, flags, tmp_path):
    reported, = corpus.found(program(IGNORES[name]), way, tmp_path, "status-unread", FLAGS[flags])
    assert "segment 0" in reported and "status -" in reported


@pytest.mark.parametrize("way", ["device", "socket"])
def test_who_has_not_looked_and_is_killed_is_reported_if_it_could_look_no_more(way, tmp_path):
    text = program(IGNORES["on the stack"]).replace("puts(", "kill(getpid(), 9); puts(")
    done = corpus.run(corpus.build(text, tmp_path), way)
    assert set(corpus.findings(done.stderr)) == {"status-unread"}, done.stderr
    assert done.returncode == 128 + 9
