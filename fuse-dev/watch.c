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

#include <gntsim/ioctls.h>
#include <utlist.h>

#include "dev_fs_i.h"
#include "fuse_way_i.h"
#include "pin.h"
#include "proc.h"
#include "supervisor_i.h"
#include "watched.h"

#define MOST_ANCESTORS 16

static void wake(const struct supervisor *supervisor)
{
    uint64_t one = 1;

    if (write(supervisor->event_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

bool watch_is_for(unsigned cmd)
{
    const struct kernel_ioctl *known;
    bool is_one = false;

    for (const struct chardev *const *dev = kernel_chardevs; *dev && !is_one; dev++) {
        known = kernel_ioctl_find((*dev)->name, cmd);
        is_one = known && known->flags & KERNEL_IOCTL_MMAP;
    }
    return is_one;
}

/* ---- Asked for by other threads -------------------------------------------------------------- */

/* The one whose program the thread belongs to or descends from; NULL: its ancestors are gone. */
static struct supervisor *supervisor_of(struct machine *m, pid_t tid)
{
    struct supervisor *s = NULL;
    pid_t pid, parent;

    for (unsigned i = 0; !s && i < MOST_ANCESTORS && proc_family(tid, &pid, &parent); i++) {
        machine_lock_only(m);
        for (s = fuse_of(m)->supervisors; s && s->pid != pid; s = s->next)
            ;
        machine_unlock(m);
        tid = parent;
    }
    return s;
}

/*
 * Who watches the thread already, or is likely to be told of its mmap: mapper, if it is still
 * there, or any. A wrong guess is put right at the mmap. With the lock.
 */
static struct supervisor *choose(struct machine *m, pid_t tid, const struct supervisor *mapper)
{
    struct supervisor *chosen = NULL;

    for (struct supervisor *s = fuse_of(m)->supervisors; s; s = s->next) {
        if (watched_find(s, tid))
            return s;
        if (!s->ending && (!chosen || s == mapper))
            chosen = s;
    }
    return chosen;
}

static bool are_any(struct machine *m)
{
    bool some;

    machine_lock_only(m);
    some = fuse_of(m)->supervisors;
    machine_unlock(m);
    return some;
}

bool watch_ioctl(struct waiting *call)
{
    struct machine *m = call->fs->machine;
    struct supervisor *supervisor, *mapper = call->file->mapper;

    if (!are_any(m))
        return false;
    if (!mapper && (mapper = supervisor_of(m, call->tid)))
        dev_file_mapped_by(call->file, mapper);
    call->cpu = pin_pass(call->tid);
    waiting_hold(call);
    machine_lock_only(m);
    supervisor = choose(m, call->tid, mapper);
    if (supervisor) {
        LL_PREPEND(supervisor->to_watch, call);
        supervisor->refs++;
    }
    machine_unlock(m);
    if (supervisor) {            /* without the lock, which is the first that it wants */
        wake(supervisor);
        supervisor_put(supervisor);
    } else {
        call->req = waiting_take(call);
    }
    return supervisor;
}

bool watch_pass(struct waiting *call)
{
    struct machine *m = call->fs->machine;
    struct supervisor *s;

    machine_lock_only(m);
    for (s = fuse_of(m)->supervisors; s && !watched_find(s, call->tid); s = s->next)
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
        if (s != self && watched_find(s, notice->tid))
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

/* ---- What the watched do --------------------------------------------------------------------- */

/* One signal may stand for the stops of several, which others wait for. */
static void take_stop(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;

    if (read(supervisor->stops_fd, &info, sizeof info) <= 0)
        return;
    machine_lock_only(supervisor->machine);
    for (struct supervisor *s = fuse_of(supervisor->machine)->supervisors; s; s = s->next)
        if (s != supervisor && s->watched && watched_stops_expected(s))
            wake(s);
    machine_unlock(supervisor->machine);
}

void watch_stops(struct supervisor *supervisor)
{
    if (watched_stops_expected(supervisor))
        take_stop(supervisor);
    watched_collect(supervisor);
}

/*
 * A thread in execve holds what PTRACE_SEIZE waits for until its siblings are gone. We may trace
 * one of these, which is gone only when it was waited for: somebody else has to do that.
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
        for (struct watched *watched = s->seizing ? s->watched : NULL; watched;
             watched = watched->next)
            inject_reap(watched->tid);
    }
    return some;
}

int watch_inject(const struct notice *notice, struct inject *inject)
{
    struct supervisor *supervisor = notice->supervisor;
    struct watched *watched = watched_find(supervisor, notice->tid);
    int rc;

    if (watched) {
        rc = inject_begin_seized(inject, notice->tid, &watched->held);
        watched_forget(supervisor, notice->tid);
        return rc;
    }
    before_seize(supervisor);
    rc = inject_begin(inject, notice->tid);
    after_seize(supervisor);
    return rc;
}

bool watch_let_off(const struct notice *notice, int error, struct inject *inject)
{
    struct supervisor *supervisor = notice->supervisor;
    struct watched *watched = notice->nr == SYS_mmap ? watched_find(supervisor, notice->tid) : NULL;
    bool again = watched && error == -EAGAIN, held = watched_is_held(watched);
    int rc = held ? inject_begin_seized(inject, notice->tid, &watched->held) : -ENOENT;

    if (again) {
        watched_again(watched);
        inject->stays = true;
    } else if (held) {
        watched_forget(supervisor, notice->tid);
    }
    return !rc;
}

/* ---- The supervisor's part ------------------------------------------------------------------- */

int watch_timeout(const struct supervisor *supervisor)
{
    uint64_t timeout = watched_timeout(supervisor);

    return timeout == UINT64_MAX ? -1 : (int)timeout;
}

/*
 * The signal that announces a stop is the process's: every mapping makes two, and everybody who
 * waits for one wakes up. So only those wait that expect a stop. The others look when a thread is
 * late.
 */
int watch_fd(const struct supervisor *supervisor)
{
    return supervisor->watched && watched_stops_expected(supervisor) ? supervisor->stops_fd : -1;
}

/* Has the caller of an ioctl watched and answers it. */
static void answer_watched(struct supervisor *supervisor, struct waiting *call)
{
    pid_t tid = call->tid;
    int cpu = call->cpu;
    struct pin pin;

    /* Of mappings since we last waited for stops. */
    if (!supervisor->watched && watched_stops_expected(supervisor))
        take_stop(supervisor);
    /* Fails if somebody else traces it; then a signal may interrupt its mmap. */
    if (before_seize(supervisor))
        watched_begin(supervisor, tid);
    after_seize(supervisor);
    call->req = waiting_take(call);
    pin_reply_begin(&pin, tid, cpu);
    reply_ioctl(call);
    pin_reply_end(&pin, tid);
}

/*
 * Has a thread make its call once more, or if it was let go meanwhile, has the call dealt with as
 * it is. Takes the notice.
 */
static void release(struct supervisor *supervisor, struct notice *notice)
{
    struct watched *watched = watched_find(supervisor, notice->tid);

    if (watched_is_held(watched) ||
        (watched && !ptrace(PTRACE_INTERRUPT, notice->tid, NULL, NULL))) {
        watched->leaving = true;
        watched_expect_stops(supervisor);
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
            answer_watched(supervisor, calls);
            continue;
        }
        calls->seized = watched_forget(supervisor, calls->tid);
        before_seize(supervisor);
        change_watched(calls);
        after_seize(supervisor);
    }
    for (; notices; notices = next_notice) {
        next_notice = notices->next;
        release(supervisor, notices);
    }
    if (supervisor->watched)
        watched_let_go(supervisor);
}

int watch_start(struct supervisor *supervisor)
{
    sigset_t stops;

    sigemptyset(&stops);
    sigaddset(&stops, SIGCHLD);
    supervisor->stops_fd = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->stops_fd < 0 ? -errno : 0;
}

/*
 * Our thread is about to end, and with it would those that it traces: threads of other programs,
 * too, whose supervisor was not known.
 */
void watch_end(struct supervisor *supervisor)
{
    struct pollfd fds[2] = { { supervisor->event_fd, POLLIN, 0 },
                             { supervisor->stops_fd, POLLIN, 0 } };

    machine_lock_only(supervisor->machine);
    supervisor->ending = true;
    machine_unlock(supervisor->machine);
    watched_hurry(supervisor);
    watched_expect_stops(supervisor);
    watch_work(supervisor);      /* whoever waits for an answer gets one */
    while (supervisor->watched) {
        poll(fds, 2, WATCH_MS);
        watch_stops(supervisor);
        finish_decided(supervisor);
        watched_hurry(supervisor);
        watched_expect_stops(supervisor);
        watch_work(supervisor);
    }
    if (supervisor->stops_fd >= 0)
        close(supervisor->stops_fd);
}
