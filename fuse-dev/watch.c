/* SPDX-License-Identifier: MIT */
/* Watches threads that are about to map, so that no signal interrupts their mmap. */
#include "watch.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "dev_fs_i.h"
#include "fuse_way_i.h"
#include "pin.h"
#include "proc.h"
#include "supervisor_i.h"

#define WATCH_MS 10
#define WATCH_TIMES 20           /* so many times that, while it only lacks a processor */

struct watched {
    pid_t tid;
    uint64_t until;              /* milliseconds */
    unsigned times;
    bool leaving;                /* asked to stop */
    atomic_bool ended;           /* and was waited for by watch_reap */
    struct watched *next;
};

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void wake(const struct supervisor *supervisor)
{
    uint64_t one = 1;

    if (write(supervisor->event_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

static struct watched *find(struct supervisor *supervisor, pid_t tid)
{
    struct watched *watched;

    LL_SEARCH_SCALAR(supervisor->watched, watched, tid, tid);
    return watched;
}

/* True if it was watched. */
static bool forget(struct supervisor *supervisor, pid_t tid)
{
    struct watched *watched;

    machine_lock_only(supervisor->machine);
    watched = find(supervisor, tid);
    if (watched)
        LL_DELETE(supervisor->watched, watched);
    machine_unlock(supervisor->machine);
    free(watched);
    return watched;
}

static void forget_all(struct supervisor *supervisor)
{
    struct watched *all, *next;

    machine_lock_only(supervisor->machine);
    all = supervisor->watched;
    supervisor->watched = NULL;
    machine_unlock(supervisor->machine);
    for (; all; all = next) {
        next = all->next;
        free(all);
    }
}

/* ---- Asked for by other threads --------------------------------------------------------------- */

bool watch_ioctl(struct waiting *call)
{
    struct machine *m = call->fs->machine;
    struct supervisor *supervisor = NULL, *mapper = call->file->mapper;

    if (!fuse_of(m)->supervisors)
        return false;
    call->cpu = pin_pass(call->tid);
    waiting_hold(call);
    machine_lock_only(m);
    /* The one that reported the file's last mmap, if it is still there. A wrong guess is put right at the mmap. */
    for (struct supervisor *s = fuse_of(m)->supervisors; s; s = s->next)
        if (!s->ending && (!supervisor || s == mapper))
            supervisor = s;
    if (supervisor) {
        LL_PREPEND(supervisor->to_watch, call);
        wake(supervisor);
    }
    machine_unlock(m);
    if (!supervisor)
        call->req = waiting_take(call);
    return supervisor;
}

bool watch_pass(struct waiting *call)
{
    struct machine *m = call->fs->machine;
    struct supervisor *s;

    machine_lock_only(m);
    for (s = fuse_of(m)->supervisors; s && !find(s, call->tid); s = s->next)
        ;
    if (s) {
        call->precedes_mmap = false;
        LL_PREPEND(s->to_watch, call);
        wake(s);
    }
    machine_unlock(m);
    return s;
}

bool watch_hand_over(const struct notice *notice)
{
    struct supervisor *self = notice->supervisor, *s;
    struct notice *copy;

    machine_lock_only(self->machine);
    for (s = fuse_of(self->machine)->supervisors; s; s = s->next)
        if (s != self && find(s, notice->tid))
            break;
    copy = s ? malloc(sizeof *copy) : NULL;
    if (copy) {
        *copy = *notice;
        LL_PREPEND(s->to_release, copy);
        wake(s);
    }
    machine_unlock(self->machine);
    return copy;
}

/* ---- What the watched do ---------------------------------------------------------------------- */

static void repeat(pid_t tid)
{
    struct user_regs_struct regs;

    if (!ptrace(PTRACE_GETREGS, tid, NULL, &regs) && inject_repeat(&regs))
        ptrace(PTRACE_SETREGS, tid, NULL, &regs);
}

static void stopped(struct supervisor *supervisor, pid_t tid, int status)
{
    unsigned long before = 0;
    int event = status >> 16;

    if (!WIFSTOPPED(status)) {
        forget(supervisor, tid);
        return;
    }
    repeat(tid);
    if (!event && find(supervisor, tid) && !find(supervisor, tid)->leaving) {
        ptrace(PTRACE_CONT, tid, NULL, WSTOPSIG(status));      /* with its signal */
        return;
    }
    /* A thread that executes a program goes on under its process's number. */
    if (event == PTRACE_EVENT_EXEC && !ptrace(PTRACE_GETEVENTMSG, tid, NULL, &before))
        forget(supervisor, (pid_t)before);
    ptrace(PTRACE_DETACH, tid, NULL, event ? 0 : WSTOPSIG(status));
    forget(supervisor, tid);
}

/* False: nobody is traced. */
static bool collect(struct supervisor *supervisor)
{
    int status;
    pid_t tid;

    while ((tid = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) > 0)
        stopped(supervisor, tid, status);
    return !tid;
}

/* One signal may stand for the stops of several, which others wait for. */
static void tell_others(struct supervisor *supervisor)
{
    machine_lock_only(supervisor->machine);
    for (struct supervisor *s = fuse_of(supervisor->machine)->supervisors; s; s = s->next)
        if (s != supervisor && s->watched)
            wake(s);
    machine_unlock(supervisor->machine);
}

void watch_stops(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;

    if (read(supervisor->stops_fd, &info, sizeof info) > 0)
        tell_others(supervisor);
    collect(supervisor);
}

void watch_strays(struct supervisor *supervisor)
{
    supervisor->has_strays = true;
}

/*
 * A thread in execve holds what PTRACE_SEIZE waits for until its siblings are gone. We may trace one of these, which is gone only when it was
 * waited for: somebody else has to do that.
 */
static bool before_seize(struct supervisor *supervisor)
{
    if (!supervisor->watched)
        return true;
    machine_lock_only(supervisor->machine);
    supervisor->seizing = true;
    machine_unlock(supervisor->machine);
    return waiting_look(fuse_of(supervisor->machine)->fs);
}

static void after_seize(struct supervisor *supervisor)
{
    if (!supervisor->seizing)
        return;
    machine_lock_only(supervisor->machine);
    supervisor->seizing = false;
    machine_unlock(supervisor->machine);
}

bool watch_reap(struct machine *m)
{
    bool some = false;

    for (struct supervisor *s = fuse_of(m)->supervisors; s; s = s->next) {
        some |= s->seizing;
        for (struct watched *watched = s->seizing ? s->watched : NULL; watched; watched = watched->next) {
            if (inject_reap(watched->tid))
                atomic_store(&watched->ended, true);
        }
    }
    return some;
}

int watch_inject(const struct notice *notice, struct inject *inject)
{
    struct supervisor *supervisor = notice->supervisor;
    int rc;

    if (supervisor->watched && forget(supervisor, notice->tid))
        return inject_begin_seized(inject, notice->tid);
    before_seize(supervisor);
    rc = inject_begin(inject, notice->tid);
    after_seize(supervisor);
    return rc;
}

/* ---- The supervisor's part -------------------------------------------------------------------- */

int watch_timeout(const struct supervisor *supervisor)
{
    uint64_t now = now_ms(), first = supervisor->has_strays ? now + WATCH_MS : UINT64_MAX;

    for (const struct watched *watched = supervisor->watched; watched; watched = watched->next)
        if (watched->until < first)
            first = watched->until;
    return first == UINT64_MAX ? -1 : first <= now ? 0 : (int)(first - now);
}

int watch_fd(const struct supervisor *supervisor)
{
    return supervisor->watched ? supervisor->stops_fd : -1;
}

/* Seizes the caller of an ioctl and answers it. */
static void seize(struct supervisor *supervisor, struct waiting *call)
{
    struct watched *watched = malloc(sizeof *watched);
    struct signalfd_siginfo info;
    pid_t tid = call->tid;
    struct inject inject;
    int cpu = call->cpu;
    struct pin pin;

    /* Of mappings since we last waited for stops. */
    if (!supervisor->watched && read(supervisor->stops_fd, &info, sizeof info) > 0)
        tell_others(supervisor);

    /* Fails if somebody else traces it; then a signal may interrupt its mmap. */
    if (watched && !find(supervisor, tid) && before_seize(supervisor) && !inject_watch(&inject, tid)) {
        *watched = (struct watched){ .tid = tid, .until = now_ms() + WATCH_MS };
        machine_lock_only(supervisor->machine);
        LL_PREPEND(supervisor->watched, watched);
        machine_unlock(supervisor->machine);
    } else {
        free(watched);
    }
    after_seize(supervisor);
    call->req = waiting_take(call);
    pin_reply_begin(&pin, tid, cpu);
    reply_ioctl(call);
    pin_reply_end(&pin, tid);
}

/* Asks those to stop that take too long, and looks for some whose stop or end another supervisor was told of. */
static void let_go(struct supervisor *supervisor)
{
    uint64_t now = now_ms();
    bool late = supervisor->has_strays;

    for (struct watched *watched = supervisor->watched; watched; watched = watched->next) {
        if (watched->until > now)
            continue;
        late = true;
        watched->until = now + WATCH_MS;
        if (watched->leaving || (++watched->times < WATCH_TIMES && proc_is_running(watched->tid)))
            continue;
        watched->leaving = true;
        ptrace(PTRACE_INTERRUPT, watched->tid, NULL, NULL);
    }
    for (struct watched **at = &supervisor->watched; late && *at;) {
        if (!atomic_load(&(*at)->ended)) {
            at = &(*at)->next;
            continue;
        }
        forget(supervisor, (*at)->tid);
        at = &supervisor->watched;
    }
    if (late && !collect(supervisor)) {
        supervisor->has_strays = false;
        forget_all(supervisor);      /* nobody is traced */
    }
}

/* Has a thread make its call once more, or if it was let go meanwhile, has the call dealt with as it is. Takes the notice. */
static void release(struct supervisor *supervisor, struct notice *notice)
{
    struct watched *watched = find(supervisor, notice->tid);

    if (watched && !ptrace(PTRACE_INTERRUPT, notice->tid, NULL, NULL)) {
        watched->leaving = true;
        answer_error(notice, -ERESTARTNOINTR);
        free(notice);
        return;
    }
    watch_give_back(supervisor->machine, notice);
}

void watch_give_back(struct machine *m, struct notice *notice)
{
    struct supervisor *s;

    machine_lock_only(m);
    for (s = fuse_of(m)->supervisors; s && s != notice->supervisor; s = s->next)
        ;
    if (s) {
        LL_PREPEND(s->backlog, notice);
        wake(s);
    }
    machine_unlock(m);
    if (!s)
        free(notice);
}

void watch_work(struct supervisor *supervisor)
{
    struct waiting *calls, *next_call;
    struct notice *notices, *next_notice;

    machine_lock_only(supervisor->machine);
    calls = supervisor->to_watch;
    supervisor->to_watch = NULL;
    notices = supervisor->to_release;
    supervisor->to_release = NULL;
    machine_unlock(supervisor->machine);
    for (; calls; calls = next_call) {
        next_call = calls->next;
        if (calls->precedes_mmap) {
            seize(supervisor, calls);
            continue;
        }
        calls->seized = forget(supervisor, calls->tid);
        before_seize(supervisor);
        change_watched(calls);
        after_seize(supervisor);
    }
    for (; notices; notices = next_notice) {
        next_notice = notices->next;
        release(supervisor, notices);
    }
    if (supervisor->watched || supervisor->has_strays)
        let_go(supervisor);
}

int watch_start(struct supervisor *supervisor)
{
    sigset_t stops;

    sigemptyset(&stops);
    sigaddset(&stops, SIGCHLD);
    supervisor->stops_fd = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->stops_fd < 0 ? -errno : 0;
}

static void hurry(struct supervisor *supervisor)
{
    for (struct watched *watched = supervisor->watched; watched; watched = watched->next) {
        watched->until = 0;
        watched->times = WATCH_TIMES;
    }
}

/* Our thread is about to end, and with it would those that it traces: threads of other programs, too, whose supervisor was not known. */
void watch_end(struct supervisor *supervisor)
{
    struct pollfd fds[2] = { { supervisor->event_fd, POLLIN, 0 }, { supervisor->stops_fd, POLLIN, 0 } };

    machine_lock_only(supervisor->machine);
    supervisor->ending = true;
    machine_unlock(supervisor->machine);
    hurry(supervisor);
    watch_work(supervisor);      /* whoever waits for an answer gets one */
    while (supervisor->watched) {
        poll(fds, 2, WATCH_MS);
        watch_stops(supervisor);
        finish_decided(supervisor);
        hurry(supervisor);
        watch_work(supervisor);
    }
    if (supervisor->stops_fd >= 0)
        close(supervisor->stops_fd);
}
