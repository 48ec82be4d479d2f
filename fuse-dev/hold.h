/* SPDX-License-Identifier: MIT */
/*
 * Holds a signal back from a watched thread (watch.h) that is about to map. Its handler would keep
 * the thread busy between the ioctl and the mmap, or interrupt the mmap. Until the mmap the thread
 * runs with its signals blocked and stops at its next call. If that is another one, the signal
 * comes first. So the program never sees that its signals were blocked.
 *
 * All this is about a stopped thread, for its tracer.
 */
#ifndef GNTSIM_FUSE_DEV_HOLD_H
#define GNTSIM_FUSE_DEV_HOLD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Not those that the kernel sends for what we do, a step, or a call that the program has dispatched
 * to itself: it resets the handler of one that is blocked. */
#define ALL_SIGNALS (~(1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1)))

#define KERNEL_SIGSET_SIZE 8
/* What a stop at a call says instead of a signal. */
#define CALL_STOP (SIGTRAP | 0x80)

struct held {
    siginfo_t info;                   /* si_signo 0: there is none */
    uint64_t signal_mask;             /* the thread's own */
    bool maps;                        /* it is in its mmap */
    bool given;                       /* the signal is on its way to it again */
};

/* What becomes of a stop, by the status of the wait for it. True: the thread has gone on. leaves:
 * it is to be released, and gets a signal that was held before that. */
bool hold_stop(struct held *held, pid_t tid, int status, bool leaves);
/* Whether the signal waits until the thread has mapped. */
bool hold_waits(const struct held *held);

#endif
