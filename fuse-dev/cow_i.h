/* SPDX-License-Identifier: MIT */
/*
 * One page of a running program that is to show another frame, or is to be protected from writes.
 *
 * A shared page is protected by the process's userfaultfd. A write waits there until the hypervisor
 * has made a copy. Then a thread of the process is stopped, and executes remap_file_pages: the page
 * shows another frame of the same link. That needs no descriptor, and causes no news.
 *
 * While pages are protected, a fork would give the child unprotected ones. So it gets none of the
 * mapping (MADV_DONTFORK). System calls that write to a protected page fail with EFAULT, because a
 * userfaultfd of an ordinary user tells only of programs' own accesses.
 */
#ifndef GNTSIM_FUSE_DEV_COW_I_H
#define GNTSIM_FUSE_DEV_COW_I_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct inject;
struct space;

struct change {
    uint64_t mapping, page, addr;
    uint64_t area, area_size;      /* of the mapping, in bytes */
    uint64_t from, to;             /* frames */
    bool writable;
    bool lost;                     /* nothing is there: all ones */
    bool alone;                    /* no forked child may have it */
    bool begins, ends;             /* the first page of its mapping to be protected, the last one */
};

enum shown { SHOWN, NOT_NOW, PROCESS_GONE };

/* The following are for the loop of the space, without the lock. */

/* writer: the thread that waits for it; 0: none that is known. */
enum shown cow_show(struct space *space, const struct change *c, pid_t writer);
/* 0; -ESRCH: the process is gone; -ENOENT: so is the page. Wakes nobody. */
int cow_protect(struct space *space, uint64_t addr, bool protect);
/*
 * cow_hole.c. A thread that waits because it writes to a lost page executes that instruction, and
 * what it wrote is lost. The page and its neighbours, if they are lost, too: of addrs, in frames.
 */
struct lost_write {
    pid_t tid;
    unsigned nr;
    uint64_t addrs[3], frames[3];
};
void cow_lose_write(struct space *space, const struct lost_write *write);
/* cow_page.c. False for 0. */
bool cow_is_thread_of(pid_t pid, pid_t tid);
/* After space_begin_stop: false, the thread is gone. */
bool cow_await_stop(struct space *space, struct inject *inject);
/* The same at once, or -EAGAIN: its memory changes. Without protect it wakes who waits. */
int cow_try_protect(struct space *space, uint64_t addr, bool protect);
/* Threads that wait at the page try again. */
void cow_wake(struct space *space, uint64_t addr);
/*
 * If all threads of the process wait, and perhaps for us, then whoever waits for its pages waits no
 * longer: nobody looks at them.
 */
void cow_say_stuck(struct space *space);
/* Reads news if there is some in that time. Threads of the process may wait for that. */
void cow_read_news(struct space *space, const struct timespec *moment);

#endif
