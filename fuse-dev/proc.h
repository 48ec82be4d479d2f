/* SPDX-License-Identifier: MIT */
/* What /proc says about a client's thread. */
#ifndef GNTSIM_FUSE_DEV_PROC_H
#define GNTSIM_FUSE_DEV_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A process with one thread and nobody who shares its descriptors, as far as its own list of
 * threads tells.
 */
bool proc_is_alone(pid_t tid);
/* Whether it neither waits nor is stopped. ticks: the processor time that it has had. */
bool proc_is_running(pid_t tid, unsigned long *ticks);
/* The thread's process, and the parent of that. False: it is gone. */
bool proc_family(pid_t tid, pid_t *pid, pid_t *parent);
struct proc_status {
    pid_t pid;                   /* its process; the thread itself if that cannot be told */
    /* It has seccomp filters besides ours and those that everybody has. They may kill it for a call
     * that it does not make itself. */
    bool sandboxed;
};
struct proc_status proc_status(pid_t tid);

/* Sets of a thread's signals: bit n - 1 is signal n. */
struct proc_signals {
    uint64_t pending, ignored, caught;      /* pending: of its process, too */
};
/* False: it is gone. */
bool proc_signals(pid_t tid, struct proc_signals *signals);

/* A system call that a thread is in. */
struct proc_call {
    pid_t tid;
    long nr;
    uint64_t args[6];
};
/* False: it is in none, or runs. */
bool proc_call_of(pid_t tid, struct proc_call *call);
/*
 * To be asked again and again about one thread: a descriptor, to be closed; negative: none. A later
 * thread of the same number is not meant.
 */
int proc_calls_open(pid_t tid);
bool proc_calls_read(int fd, struct proc_call *call);     /* leaves call->tid */
/*
 * Asks about the threads of a process, and of children that may share its memory, until one says
 * yes: true.
 */
bool proc_any_thread(pid_t pid, bool (*ask)(pid_t tid, void *ctx), void *ctx);

#endif
