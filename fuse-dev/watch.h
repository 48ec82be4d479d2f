/* SPDX-License-Identifier: MIT */
/*
 * Watches threads that are about to map. A signal that overtakes the notification of their mmap
 * would end it with EINTR, which no real kernel does. So the server seizes the thread, without
 * stopping it, before it answers the ioctl that precedes the mmap.
 * A signal then stops the thread, and reaches it when the mapping is complete. The watcher releases
 * a thread that does something else for too long, so that a debugger can attach.
 *
 * Only the thread that seized another one can trace it, so each supervisor watches its own threads.
 */
#ifndef GNTSIM_FUSE_DEV_WATCH_H
#define GNTSIM_FUSE_DEV_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

struct inject;
struct machine;
struct notice;
struct supervisor;
struct waiting;

/* Whether a thread that makes this ioctl is likely to map what it got by it. */
bool watch_is_for(unsigned cmd);
/* By any thread. A supervisor will seize the caller and answer the ioctl. False: there is none. */
bool watch_ioctl(struct waiting *call);
/*
 * A held call of a thread that is watched: its supervisor will see to the result. False: it is not.
 */
bool watch_pass(struct waiting *call);
/*
 * A thread that another supervisor watches: that one has it make its call once more, unwatched.
 * False: there is no such.
 */
bool watch_hand_over(const struct notice *notice);
/*
 * A notice that somebody else kept for a moment: its supervisor deals with it, if it is still
 * there. Takes the notice.
 */
void watch_give_back(struct machine *m, struct notice *notice);

/*
 * With the lock. Waits, for supervisors that cannot, for threads that ended. True: it is to be
 * called again.
 */
bool watch_reap(struct machine *m);

/*
 * By the supervisor's thread. How long poll may take, -1: for ever; and what it waits for, -1:
 * nothing.
 */
int watch_timeout(const struct supervisor *supervisor);
int watch_fd(const struct supervisor *supervisor);
/* Something stopped, or another supervisor says so. */
void watch_stops(struct supervisor *supervisor);
/* Does what others asked for, and lets go of threads that take too long. */
void watch_work(struct supervisor *supervisor);
/* As inject_begin, for the notice's thread, watched or not. */
int watch_inject(const struct notice *notice, struct inject *inject);
/* An mmap is about to be answered. True: a signal waits behind it, so its thread is to be waited
 * for and let go, as from inject_begin on. It goes on being watched if it will make the mmap again
 * (error: -EAGAIN). */
bool watch_let_off(const struct notice *notice, int error, struct inject *inject);
/* 0 or negative errno; the end lets go of all. */
int watch_start(struct supervisor *supervisor);
void watch_end(struct supervisor *supervisor);

#endif
