/* SPDX-License-Identifier: MIT */
/*
 * Has a thread lose what it writes where its domain has no page any more.
 *
 * Such a page is all ones and protected. The thread that waits in its write is stopped, and
 * executes that one instruction while the page is not protected. Then the ones are put back.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cow_i.h"
#include "fuse_way_i.h"
#include "inject.h"
#include "space_i.h"

#define MAX_MOMENTS 400            /* until a step is given up: it waits for another page of ours */
#define MAX_ROUNDS  (2 * HV_PAGE_SIZE)

static const struct timespec moment = { .tv_nsec = 50 * 1000 };

static void open_pages(struct space *space, const struct lost_write *write)
{
    for (unsigned i = 0; i < write->nr; i++)
        cow_protect(space, write->addrs[i], false);
}

/* Protected first: then nobody writes to them behind that. */
static void close_pages(struct space *space, const struct lost_write *write)
{
    for (unsigned i = 0; i < write->nr; i++) {
        cow_protect(space, write->addrs[i], true);
        memset(hv_frame(space->machine->hv, write->frames[i]), 0xff, HV_PAGE_SIZE);
    }
}

/* False: it has not stopped in good time. */
static bool await_step(struct space *space, const struct inject *inject)
{
    siginfo_t stopped;

    for (unsigned tries = 0; tries < MAX_MOMENTS; tries++) {
        stopped.si_pid = 0;
        if (waitid(P_PID, (id_t)inject->tid, &stopped,
                   WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) ||
            stopped.si_pid)
            return true;
        cow_read_news(space, &moment);
    }
    return false;
}

/* The instruction at which the thread stopped. One that repeats itself has many rounds. */
static void step(struct space *space, struct inject *inject)
{
    uint64_t at = arch_regs_pc(&inject->regs);
    bool in_time = true;

    for (unsigned rounds = 0; rounds < MAX_ROUNDS && in_time; rounds++) {
        if (arch_regs_pc(&inject->regs) != at)
            return;
        if (!inject_step_begin(inject))
            return;
        in_time = await_step(space, inject);
        if (!in_time && inject_interrupt(inject))
            return;
        if (!inject_step_end(inject))
            return;
    }
}

/* The thread is not known, or cannot be stopped: it has the page for a moment. */
static void let_write(struct space *space, const struct lost_write *write)
{
    open_pages(space, write);
    cow_wake(space, write->addrs[0]);
    cow_read_news(space, &moment);
    close_pages(space, write);
}

void cow_lose_write(struct space *space, const struct lost_write *write)
{
    struct inject inject;

    if (!cow_is_thread_of(space->pid, write->tid)) {
        let_write(space, write);
    } else if (space_begin_stop(space, &inject, write->tid)) {
        if (cow_await_stop(space, &inject) && inject_can_step(&inject)) {
            open_pages(space, write);
            step(space, &inject);
            close_pages(space, write);
        }
        space_end_stop(space, &inject);
    } else {
        cow_read_news(space, &moment);     /* a debugger has it, or a supervisor: once more */
    }
}
