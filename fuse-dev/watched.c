/* SPDX-License-Identifier: MIT */
/* Keeps watched threads: continues those that stop for a signal, releases those that do not map. */
#include "watched.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <utlist.h>

#include "dev_fs_i.h"
#include "filter.h"
#include "proc.h"
#include "supervisor_i.h"
#include "watch.h"

#define WATCH_TICKS 10           /* of processor time that a thread may have meanwhile */
#define WATCH_TIMES 100          /* so often it may wait for something else, or nobody knows what */
#define STOPS_MS 1000            /* after one, more are expected */

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- Who is there --------------------------------------------------------------------------- */

struct watched *watched_find(struct supervisor *supervisor, pid_t tid)
{
    struct watched *watched;

    LL_SEARCH_SCALAR(supervisor->watched, watched, tid, tid);
    return watched;
}

bool watched_forget(struct supervisor *supervisor, pid_t tid)
{
    struct watched *watched;

    machine_lock_only(supervisor->machine);
    watched = watched_find(supervisor, tid);
    if (watched)
        LL_DELETE(supervisor->watched, watched);
    machine_unlock(supervisor->machine);
    free(watched);
    return watched;
}

static void add(struct supervisor *supervisor, struct watched *watched, pid_t tid)
{
    *watched = (struct watched){ .tid = tid, .until = now_ms() + WATCH_MS };
    machine_lock_only(supervisor->machine);
    LL_PREPEND(supervisor->watched, watched);
    machine_unlock(supervisor->machine);
}

/* If it was asked to stop, it will go on from there. */
static void renew(struct watched *watched)
{
    watched->until = now_ms() + WATCH_MS;
    watched->leaving = watched->has_ticks = watched->waits = false;
    watched->times = 0;
}

void watched_begin(struct supervisor *supervisor, pid_t tid)
{
    struct watched *watched = watched_find(supervisor, tid);
    struct inject inject;

    if (watched) {
        renew(watched);
        return;
    }
    watched = malloc(sizeof *watched);
    if (!watched || inject_watch(&inject, tid))
        free(watched);
    else
        add(supervisor, watched, tid);
}

void watched_again(struct watched *watched)
{
    renew(watched);
    watched->waits = true;
    watched->held = (struct held){ .given = false };
}

/* Whether the thread is one that we trace. */
static bool is_traced(pid_t tid)
{
    siginfo_t info;

    return !waitid(P_PID, (id_t)tid, &info,
                   WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD);
}

static bool adopt(pid_t tid, void *ctx)
{
    struct supervisor *supervisor = ctx;
    struct watched *watched;

    if (!is_traced(tid) || watched_find(supervisor, tid))
        return false;
    watched = malloc(sizeof *watched);
    if (watched) {
        add(supervisor, watched, tid);
        watched->leaving = true;
    } else {
        waitpid(tid, NULL, __WALL);
    }
    return false;
}

void watched_adopt(struct supervisor *supervisor, pid_t pid)
{
    proc_any_thread(pid, adopt, supervisor);
}

bool watched_is_held(const struct watched *watched)
{
    return watched && hold_waits(&watched->held);
}

/* ---- Stops ---------------------------------------------------------------------------------- */

void watched_expect_stops(struct supervisor *supervisor)
{
    atomic_store(&supervisor->stops_until, now_ms() + STOPS_MS);
}

bool watched_stops_expected(const struct supervisor *supervisor)
{
    uint64_t until = atomic_load(&supervisor->stops_until);

    return until && until > now_ms();
}

/* True: it will make its mmap once more, which nobody has received. */
static bool repeat(pid_t tid)
{
    struct arch_regs regs;
    bool changed = arch_regs_read(tid, &regs) && inject_repeat(&regs) &&
                   arch_regs_write(tid, &regs);

    return changed && arch_regs_call(&regs) == SYS_mmap &&
           filter_reports_mmap(arch_regs_arg(&regs, 3), arch_regs_arg(&regs, 4));
}

/* Ends the trace of a thread that stopped. One that was killed is ours until it was waited for. */
static void detach(struct supervisor *supervisor, pid_t tid, int status)
{
    struct watched *watched = watched_find(supervisor, tid);
    struct inject inject;
    bool gone = false;

    if (!watched_is_held(watched))
        gone = ptrace(PTRACE_DETACH, tid, NULL, status >> 16 ? 0 : WSTOPSIG(status));
    else if (inject_stopped(&inject, tid, status, &watched->held))
        inject_pass(&inject);
    if (!gone)
        watched_forget(supervisor, tid);
}

/* A thread that executes a program goes on under its process's number. */
static void renumber(struct supervisor *supervisor, pid_t before, pid_t tid)
{
    struct watched *watched = watched_find(supervisor, before);

    if (!watched || before == tid)
        return;
    watched_forget(supervisor, tid);
    machine_lock_only(supervisor->machine);
    watched->tid = tid;
    machine_unlock(supervisor->machine);
}

static void stopped(struct supervisor *supervisor, pid_t tid, int status)
{
    struct watched *watched = watched_find(supervisor, tid);
    unsigned long before = 0;
    int event = status >> 16;

    if (!WIFSTOPPED(status)) {
        watched_forget(supervisor, tid);
        return;
    }
    if (!event && WSTOPSIG(status) != CALL_STOP)
        watched_expect_stops(supervisor);
    if (watched && hold_stop(&watched->held, tid, status, watched->leaving))
        return;
    /* Asked to leave, it has come to its mmap all the same. */
    if (repeat(tid) && watched && watched->leaving && !supervisor->ending)
        renew(watched);
    /*
     * On with it, with its signal. If its process is stopped, too: it stops once it has mapped, or
     * takes too long.
     */
    if (watched && !watched->leaving && event != PTRACE_EVENT_EXEC) {
        ptrace(PTRACE_CONT, tid, NULL, event ? 0 : WSTOPSIG(status));
        return;
    }
    if (event == PTRACE_EVENT_EXEC && !ptrace(PTRACE_GETEVENTMSG, tid, NULL, &before))
        renumber(supervisor, (pid_t)before, tid);
    detach(supervisor, tid, status);
}

void watched_collect(struct supervisor *supervisor)
{
    int status;
    pid_t tid;

    while ((tid = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) > 0)
        stopped(supervisor, tid, status);
}

/* ---- Those that do not map ------------------------------------------------------------------ */

/*
 * A thread that is late. It may lack a processor, be held up on its way out of the ioctl, or wait
 * until its mmap's notification is received. It may also wait for its siblings: a sanitizer's
 * allocator has locks, and keeps all threads waiting while one of them forks.
 */
static bool may_still_map(struct watched *watched)
{
    struct proc_call call;
    unsigned long ticks;

    if (!watched->waits && proc_call_of(watched->tid, &call) &&
        (call.nr == SYS_mmap || (call.nr == SYS_ioctl && watch_is_for((unsigned)call.args[1]))))
        return true;
    if (watched->waits || !proc_is_running(watched->tid, &ticks))
        return ++watched->times < WATCH_TIMES;
    if (!watched->has_ticks)
        watched->ticks = ticks;
    watched->has_ticks = true;
    return ticks - watched->ticks < WATCH_TICKS;
}

static void ask_to_leave(struct supervisor *supervisor, struct watched *watched)
{
    uint64_t now = now_ms();

    if (watched->until > now)
        return;
    watched->until = now + WATCH_MS;
    if (!watched->leaving && (supervisor->ending || !may_still_map(watched))) {
        watched->leaving = true;
        watched_expect_stops(supervisor);
        ptrace(PTRACE_INTERRUPT, watched->tid, NULL, NULL);
    }
}

/* Those that somebody else has waited for. */
static void forget_ended(struct supervisor *supervisor)
{
    struct watched *watched, *next;

    LL_FOREACH_SAFE(supervisor->watched, watched, next)
        if (!is_traced(watched->tid))
            watched_forget(supervisor, watched->tid);
}

void watched_let_go(struct supervisor *supervisor)
{
    struct watched *watched;

    if (watched_timeout(supervisor))
        return;
    watched_collect(supervisor);      /* some may be late because they wait for us */
    LL_FOREACH(supervisor->watched, watched)
        ask_to_leave(supervisor, watched);
    forget_ended(supervisor);
    watched_collect(supervisor);
}

uint64_t watched_timeout(const struct supervisor *supervisor)
{
    uint64_t now = now_ms(), first = UINT64_MAX;
    const struct watched *watched;

    LL_FOREACH(supervisor->watched, watched)
        if (watched->until < first)
            first = watched->until;
    return first == UINT64_MAX ? UINT64_MAX : first <= now ? 0 : first - now;
}

void watched_hurry(struct supervisor *supervisor)
{
    struct watched *watched;

    LL_FOREACH(supervisor->watched, watched)
        watched->until = 0;
}
