/* SPDX-License-Identifier: MIT */
/*
 * Waits for the kernel model's answers to reads and ioctls of devices. FUSE keeps a caller waiting
 * until the server answers, even if the caller is killed. It announces a signal once. A read then
 * ends as on Linux. An ioctl waits on, as a driver's does, unless a signal kills the caller. That
 * signal may come later, so the server looks for it now and then, also while a driver reads the
 * caller's memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "container_of.h"
#include "dev_fs_i.h"
#include "loops.h"
#include "pin.h"
#include "proc.h"
#include "saying.h"
#include "watch.h"

#define LOOK_NS (20 * 1000 * 1000)
#define KILL_BIT (1ull << (9 - 1))      /* SIGKILL's, in a mask of signals */

void waiting_free(struct waiting *call)
{
    free(call->buffer);
    free(call);
}

/* Without the lock. Frees the call. */
static void reply(struct waiting *call)
{
    if (call->req && call->what == WAITING_IOCTL) {
        reply_ioctl(call);
        return;
    }
    if (call->req && call->result < 0)
        fuse_reply_err(call->req, (int)-call->result);
    else if (call->req)
        fuse_reply_buf(call->req, call->buffer, (size_t)call->result);
    waiting_free(call);
}

/* It is none of those that wait any more. With the lock. */
static void leave(struct dev_fs *fs, struct waiting *call)
{
    if (call->id)
        HASH_DEL(fs->waiting, call);
    call->id = 0;
    atomic_store(&call->reachable, false);
}

/* Of a call that waited. Without the lock. */
static void waiting_end(struct waiting *call)
{
    struct dev_fs *fs = call->fs;

    machine_lock_only(fs->machine);
    leave(fs, call);
    dev_file_put(call->file);
    machine_unlock(fs->machine);
    reply(call);
}

static void end_later(struct machine_later *later)
{
    waiting_end(container_of(later, struct waiting, later));
}

/* Called by the kernel model. */
static void waiting_done(struct kreq *kreq, long result)
{
    struct waiting *call = kreq->owner;

    call->completed = true;
    call->result = result;
    if (call->armed)
        machine_later(call->fs->machine, &call->later);
}

struct waiting *waiting_create(fuse_req_t req, struct dev_file *file, size_t size)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct waiting *call = calloc(1, sizeof *call);

    if (!call || (size && !(call->buffer = malloc(size)))) {
        free(call);
        fuse_reply_err(req, ENOMEM);
        return NULL;
    }
    call->req = req;
    call->fs = fs;
    call->file = file;
    call->tid = fuse_req_ctx(req)->pid;
    call->size = size;
    call->later.run = end_later;
    call->user_mem = (struct user_mem){ .machine = fs->machine, .tid = call->tid };
    call->kreq = (struct kreq){ .done = waiting_done, .owner = call, .mem = user_mem_of(&call->user_mem) };
    return call;
}

/* ---- Signals ---------------------------------------------------------------------------------- */

/* Whether the thread is dying. */
static bool is_killed(pid_t tid)
{
    struct proc_signals signals;

    return !proc_signals(tid, &signals) || signals.pending & KILL_BIT;
}

/* Whether a call was interrupted and goes on, so that a kill may be overlooked. */
static bool goes_on(const struct waiting *call)
{
    return call->req && call->interrupted && (!call->completed || call->changing);
}

/* The next such call after *id; 0: none. */
static pid_t next_interrupted(struct dev_fs *fs, uint64_t *id)
{
    uint64_t after = *id;
    pid_t tid = 0;

    machine_lock_only(fs->machine);
    for (struct waiting *call = fs->waiting; call; call = call->hh.next) {
        if (goes_on(call) && call->id > after && (!tid || call->id < *id)) {
            *id = call->id;
            tid = call->tid;
        }
    }
    machine_unlock(fs->machine);
    return tid;
}

/* Lets a thread go that dies. What it has begun goes on. */
static void let_go(struct dev_fs *fs, uint64_t id)
{
    struct waiting *call;
    fuse_req_t req = NULL;
    bool cancel = false;

    machine_lock_only(fs->machine);
    HASH_FIND(hh, fs->waiting, &id, sizeof id, call);
    if (call && goes_on(call) && call->what == WAITING_READ) {
        cancel = true;
    } else if (call && goes_on(call) && atomic_load(&call->reachable)) {
        req = call->req;
        call->req = NULL;
    }
    machine_unlock(fs->machine);
    if (cancel)
        waiting_cancel(fs, id);
    if (req)
        fuse_reply_err(req, EINTR);
}

/* A loop_step, while there are calls that a signal did not end. */
static bool look_for_killed(void *ctx)
{
    const struct timespec moment = { .tv_nsec = LOOK_NS };
    struct dev_fs *fs = ctx;
    bool some = false;
    uint64_t id = 0;
    pid_t tid;

    while ((tid = next_interrupted(fs, &id))) {
        if (is_killed(tid))
            let_go(fs, id);
        else
            some = true;
    }
    nanosleep(&moment, NULL);
    machine_lock_only(fs->machine);
    some |= watch_reap(fs->machine);
    for (struct waiting *call = fs->waiting; call && !some; call = call->hh.next)
        some = goes_on(call);
    fs->looks_for_killed = some;
    machine_unlock(fs->machine);
    return some;
}

bool waiting_look(struct dev_fs *fs)
{
    bool looks;

    machine_lock_only(fs->machine);
    looks = fs->looks_for_killed;
    fs->looks_for_killed = true;
    machine_unlock(fs->machine);
    if (looks || !loops_start(fs->machine->loops, look_for_killed, NULL, fs))
        return true;
    machine_lock_only(fs->machine);
    fs->looks_for_killed = false;
    machine_unlock(fs->machine);
    return false;
}

void waiting_cancel(struct dev_fs *fs, uint64_t id)
{
    struct waiting *call;

    machine_lock(fs->machine);
    HASH_FIND(hh, fs->waiting, &id, sizeof id, call);
    if (call && !call->completed)
        kernel_cancel(&call->kreq);
    machine_unlock(fs->machine);
}

/*
 * Called inside a lock of libfuse's, which is why nothing calls into libfuse's interrupt handling with the machine's lock. The call
 * may have been answered meanwhile, so it is named by number.
 */
static void interrupted(fuse_req_t req, void *data)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    uint64_t id = (uintptr_t)data;
    bool is_read = false;
    struct waiting *call;
    pid_t tid = 0;

    machine_lock_only(fs->machine);
    HASH_FIND(hh, fs->waiting, &id, sizeof id, call);
    if (call && !(call->completed && !call->changing)) {
        tid = call->tid;
        is_read = call->what == WAITING_READ;
        call->interrupted = true;
    }
    machine_unlock(fs->machine);
    if (is_read && !read_restart(fs, id, tid))
        waiting_cancel(fs, id);
    if (tid && !waiting_look(fs))
        let_go(fs, id);          /* rather than for ever in a thread that nobody can kill */
}

/* Among those that wait. With the lock. */
static void add(struct dev_fs *fs, struct waiting *call)
{
    call->id = ++fs->next_waiting;
    HASH_ADD(hh, fs->waiting, id, sizeof call->id, call);
}

/* Libfuse uses req until this is done, so nobody answers it before. Without the lock. */
static void reach(struct waiting *call)
{
    fuse_req_interrupt_func(call->req, interrupted, (void *)(uintptr_t)call->id);
    atomic_store(&call->reachable, true);
}

void waiting_hold(struct waiting *call)
{
    machine_lock_only(call->fs->machine);
    call->changing = true;
    add(call->fs, call);
    machine_unlock(call->fs->machine);
    reach(call);
}

/* The caller's memory may be what answers never: whoever is killed there must not wait for it. */
static void before_access(struct user_mem *user_mem)
{
    struct waiting *call = container_of(user_mem, struct waiting, user_mem);

    if (call->id)
        return;
    machine_lock_only(call->fs->machine);
    add(call->fs, call);
    machine_unlock(call->fs->machine);
    reach(call);
}

fuse_req_t waiting_take(struct waiting *call)
{
    struct dev_fs *fs = call->fs;
    fuse_req_t req;

    machine_lock_only(fs->machine);
    leave(fs, call);
    req = call->req;
    call->req = NULL;
    machine_unlock(fs->machine);
    return req;
}

/* ---- The call --------------------------------------------------------------------------------- */

/* From here on a signal can end it, or an answer. is_new: only now. */
static void arm(struct waiting *call, bool is_new)
{
    struct machine *m = call->fs->machine;
    bool completed;

    if (is_new)
        reach(call);
    machine_lock(m);
    call->armed = true;
    completed = call->completed;
    machine_unlock(m);
    if (completed)
        waiting_end(call);
}

void waiting_start(struct waiting *call, long (*start)(struct waiting *call, void *how), void *how)
{
    struct dev_fs *fs = call->fs;
    struct domain *d = call->file->domain;
    struct machine *m = fs->machine;
    bool pending, is_new = false;
    const struct witness *witness = NULL;
    pid_t tid = call->tid;
    struct pin pin;

    call->user_mem.before = before_access;
    if (call->what == WAITING_IOCTL)
        witness = machine_witness(m, tid, NULL, 0);
    machine_lock(m);
    fs->requests++;
    dev_file_get(call->file);
    dev_file_settled(call->file);
    domain_enter(d);
    machine_caller_seen(m, tid, witness);
    call->result = start(call, how);
    user_mem_forget(&call->user_mem);
    machine_settle(m);
    pending = call->result == KERNEL_PENDING;
    if (pending && !call->id) {
        is_new = true;
        add(fs, call);
    } else if (!pending) {
        leave(fs, call);
        dev_file_put(call->file);
    }
    domain_leave(d);
    machine_unlock(m);
    if (pending) {
        arm(call, is_new);
        return;
    }
    if (call->req && call->precedes_mmap && !call->result && watch_ioctl(call))
        return;
    if (call->what == WAITING_IOCTL)
        machine_answer_waits(m, tid);
    pin_reply_begin(&pin, tid, PIN_HERE);
    reply(call);
    pin_reply_end(&pin, tid);
}
