# SPDX-License-Identifier: MIT
"""Grant copies whose segments fail: who looks at the status is not reported, wherever the status
lies and whoever looks; who does not is."""
import pytest

import corpus

HEAD = """
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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
    "in a thread that starts later": """
static xengnttab_grant_copy_segment_t segment;
static void *look(void *arg) { return is_good(&segment) ? NULL : arg; }
static int serve(void)
{
    pthread_t thread;
    void *bad;
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1;
    pthread_create(&thread, NULL, look, &thread);
    pthread_join(thread, &bad);
    return bad != NULL;
}
""",
    "in the last of fifty threads": """
static xengnttab_grant_copy_segment_t segment;
static sem_t go[50], done;
static int bad;
static void *look(void *arg)
{
    long own = (long)arg;
    for (;;) {
        sem_wait(&go[own]);
        if (own == 49) bad = !is_good(&segment);
        sem_post(&done);
    }
}
static int serve(void)
{
    pthread_t thread;
    static int begun;
    for (long i = 0; i < 50 && !begun; i++) pthread_create(&thread, NULL, look, (void *)i);
    begun = 1;
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1;
    for (int i = 0; i < 50; i++) { sem_post(&go[i]); sem_wait(&done); }
    return bad;
}
""",
    "in a thread whose stack lies above": """
static char *stacks;
static xengnttab_grant_copy_segment_t *shown;
static pthread_barrier_t barrier;
static void *look(void *arg)
{
    void *bad = NULL;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    bad = is_good(shown) ? NULL : arg;
    pthread_barrier_wait(&barrier);
    return bad;
}
static void *copy(void *arg)
{
    xengnttab_grant_copy_segment_t segment;
    void *bad;
    pthread_barrier_wait(&barrier);
    fill(shown = &segment, 1);
    bad = xengnttab_grant_copy(tab, 1, &segment) ? arg : NULL;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return bad;
}
static int serve(void)
{
    pthread_t threads[2];
    pthread_attr_t attr;
    void *bad[2];
    stacks = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_attr_init(&attr);
    for (int i = 0; i < 2; i++) {
        pthread_attr_setstack(&attr, stacks + (i << 20), 1 << 20);
        pthread_create(&threads[i], &attr, i ? look : copy, &barrier);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], &bad[i]);
    return bad[0] || bad[1];
}
""",
    "in memory below the stack of its thread": """
static char *memory;
static void *copy(void *arg)
{
    xengnttab_grant_copy_segment_t *segment = (void *)(memory + (1 << 20) - 64);
    fill(segment, 1);
    return xengnttab_grant_copy(tab, 1, segment) || !is_good(segment) ? arg : NULL;
}
static int serve(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    void *bad;
    memory = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, memory + (1 << 20), 1 << 20);
    pthread_create(&thread, &attr, copy, &thread);
    pthread_join(thread, &bad);
    return bad != NULL;
}
""",
    "in a child": """
static int serve(void)
{
    static xengnttab_grant_copy_segment_t segment;
    int status;
    fill(&segment, 1);
    if (xengnttab_grant_copy(tab, 1, &segment)) return 1;
    if (!fork()) _exit(!is_good(&segment));
    wait(&status);
    return status != 0;
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
    "and clears static memory": """
static xengnttab_grant_copy_segment_t segments[2];
static int serve(void)
{
    fill(segments, 2);
    if (xengnttab_grant_copy(tab, 2, segments)) return 1; /* reported */
    fill(segments, 2);
    return 0;
}
""",
    "and writes into memory of malloc that it had freed": """
static int serve(void)
{
    xengnttab_grant_copy_segment_t *segments = malloc(2 * sizeof *segments);
    int rc;
    fill(segments, 2);
    rc = xengnttab_grant_copy(tab, 2, segments); /* reported */
    free(segments);
    segments = malloc(2 * sizeof *segments);
    memset(segments, 0, 2 * sizeof *segments);
    free(segments);
    return rc;
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
