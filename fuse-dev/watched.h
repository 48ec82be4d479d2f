/* SPDX-License-Identifier: MIT */
/*
 * Keeps the threads that a supervisor watches (watch.h): continues those that stop for a signal,
 * and releases those that do not map. All this is for the supervisor's own thread; others may only
 * look who is there, with the machine's lock.
 */
#ifndef GNTSIM_FUSE_DEV_WATCHED_H
#define GNTSIM_FUSE_DEV_WATCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inject.h"

#define WATCH_MS 10

struct supervisor;

struct watched {
    pid_t tid;
    uint64_t until;              /* milliseconds */
    bool leaving;                /* asked to stop */
    struct held held;
    bool waits;                  /* before it makes its mmap once more */
    unsigned times;              /* how often it was late for no known reason */
    bool has_ticks;
    unsigned long ticks;         /* of processor time, as the first look found them */
    struct watched *next;
};

struct watched *watched_find(struct supervisor *supervisor, pid_t tid);
/* Watches a thread, or goes on with that. Nothing happens if somebody else traces it. */
void watched_begin(struct supervisor *supervisor, pid_t tid);
/* Its mmap is answered, and it will make it once more. */
void watched_again(struct watched *watched);
/* True if it was watched. */
bool watched_forget(struct supervisor *supervisor, pid_t tid);
/* Whether a signal waits until the thread has mapped. */
bool watched_is_held(const struct watched *watched);

/*
 * There may be a thread of a dying process that we trace and have no record of. An execve of its
 * process waits until we have waited for it, and a seize of another thread there waits for the
 * execve.
 */
void watched_adopt(struct supervisor *supervisor, pid_t pid);
/* Some of its threads are about to stop: for a while it is to be told of stops at once. */
void watched_expect_stops(struct supervisor *supervisor);
/* Whether it is. By any thread. */
bool watched_stops_expected(const struct supervisor *supervisor);
/* Sees to all that stopped or ended. */
void watched_collect(struct supervisor *supervisor);
/* Asks those to leave that take too long. */
void watched_let_go(struct supervisor *supervisor);
/* When there will be some; UINT64_MAX: never. In milliseconds from now. */
uint64_t watched_timeout(const struct supervisor *supervisor);
/* All are late from now on. */
void watched_hurry(struct supervisor *supervisor);

#endif
