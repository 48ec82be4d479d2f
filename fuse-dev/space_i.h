/* SPDX-License-Identifier: MIT */
/*
 * An address space whose changes its userfaultfd tells, as the news of it (space.c) and the pages
 * that are shown in it (cow.c) share it. One loop deals with both.
 */
#ifndef GNTSIM_FUSE_DEV_SPACE_I_H
#define GNTSIM_FUSE_DEV_SPACE_I_H

#include <pthread.h>
#include <stdatomic.h>

#include "space.h"

struct cow_fault;
struct notice;

struct space {
    struct machine *machine;
    pid_t pid;
    int uffd, pidfd;
    int call_fd;                 /* readable: cow_serve is to be called, or the loop ends */
    atomic_bool stopping;
    pid_t last;                  /* thread that caused the latest news */
    int last_calls;              /* its calls; -1: not known */
    atomic_int cpu;              /* where whoever placed the latest mapping stays, and its thread */
    /* with the lock, as the next two: thread that is being stopped */
    pid_t stops;
    bool interrupted;            /* it has been told to */
    struct notice *kept;         /* its calls, received before that */
    struct cow_fault *faults;    /* cow.c: writes that wait; with the lock */
    bool explains;               /* the process says of what it dies */
    uint64_t syscall_at;         /* cow_page.c: of a syscall instruction; 0: not known */
    _Atomic pthread_t server;    /* who is in its loop; 0: nobody yet */
    unsigned refs;               /* under the machine's lock; one is its loop's */
    /* of the machine's; prev NULL: of none, its process is another program now */
    struct space *prev, *next;
};

/* space.c. Reads one piece of news of nobody in particular. Without the lock. */
void space_take_news(struct space *space);
/* Begins to stop the thread: false, a supervisor deals with it, or it is gone. Lets it go on. */
bool space_begin_stop(struct space *space, struct inject *inject, pid_t tid);
void space_end_stop(struct space *space, struct inject *inject);
/* Has its loop call cow_serve. */
void space_call(struct space *space);

/* cow.c. With the lock: a thread (0: not known which) waits because it writes to a page. */
void cow_fault(struct space *space, uint64_t addr, pid_t tid);
/* For its loop: there was news of a fault of the thread, which waits for what follows. */
bool cow_has_fault(const struct space *space, pid_t tid);
/*
 * Without the lock: writes to the page go on in a moment. To be said before, because the writer may
 * have gone far, and the page may be shared anew, before we run again.
 */
void cow_answer(struct space *space, uint64_t addr);
/* Its loop: shows what is to be shown, and answers writes. Without the lock. */
void cow_serve(struct space *space);
/* With the lock: its loop ends. */
void cow_end(struct space *space);

#endif
