/* SPDX-License-Identifier: MIT */
/*
 * Gives a thread results that FUSE cannot: ENOSYS, numbers above 32 bits, a restarted read, a moved
 * descriptor. FUSE turns ENOSYS into ENOTTY. So the thread gets another result, and the server
 * changes it at a stop behind the call. This is rare, so each case has a thread of the server to
 * itself. A client that is frozen or in an execve holds up nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "dev_fs_i.h"
#include "filter.h"
#include "inject.h"
#include "loops.h"
#include "proc.h"
#include "watch.h"

static int start(const struct dev_fs *fs, loop_step *step, void *ctx)
{
    return loops_start_once(fs->machine->loops, step, ctx);
}

/*
 * Seizes the caller; *req: to be answered then, in any case. Whoever is traced by somebody else
 * gets what FUSE can give.
 */
static int catch(struct waiting *call, struct inject *inject, fuse_req_t *req)
{
    int rc = 0;

    if (call->seized)
        *inject = (struct inject){ .tid = call->tid };
    else
        rc = inject_seize(inject, call->tid);
    *req = waiting_take(call);
    return rc ? rc : inject_interrupt(inject);
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

/* What FUSE gives instead. */
static int substitute(long result)
{
    return result == -ENOSYS ? -ENOTTY : -EOVERFLOW;
}

static bool change_ioctl(void *ctx)
{
    struct waiting *call = ctx;
    struct inject inject;
    fuse_req_t req;
    int rc = catch(call, &inject, &req);

    if (req)
        fuse_reply_ioctl(req, substitute(call->result), NULL, 0);
    if (!rc)
        inject_change(&inject, substitute(call->result), call->result);
    waiting_free(call);
    return false;
}

void reply_ioctl(struct waiting *call)
{
    bool fits = call->result >= INT_MIN && call->result <= INT_MAX && call->result != -ENOSYS;
    fuse_req_t req = call->req;

    if (!fits) {
        waiting_hold(call);
        if (watch_pass(call) || !start(call->fs, change_ioctl, call))
            return;
        req = waiting_take(call);
    }
    if (req)
        fuse_reply_ioctl(req, fits ? (int)call->result : substitute(call->result), NULL, 0);
    waiting_free(call);
}

/* ---- Reads ----------------------------------------------------------------------------------- */

struct restart {
    struct dev_fs *fs;
    uint64_t id;
    pid_t tid;
};

/* The kernel repeats the read once the signal was dealt with, or says EINTR if a handler without
 * SA_RESTART ran. Data that came meanwhile is the answer. */
static bool change_read(void *ctx)
{
    struct restart *restart = ctx;
    struct inject inject;
    int rc = inject_seize(&inject, restart->tid);

    if (!rc)
        rc = inject_interrupt(&inject);
    waiting_cancel(restart->fs, restart->id);
    if (!rc)
        inject_change(&inject, -EINTR, -ERESTARTSYS);
    free(restart);
    return false;
}

bool read_restart(struct dev_fs *fs, uint64_t id, pid_t tid)
{
    struct restart *restart = malloc(sizeof *restart);

    if (!restart)
        return false;
    *restart = (struct restart){ fs, id, tid };
    if (!start(fs, change_read, restart))
        return true;
    free(restart);
    return false;
}

/* ---- Opens ----------------------------------------------------------------------------------- */

/* Of a parameter if file is NULL. req may be NULL: nobody waits any more. */
static void reply_opened(struct dev_fs *fs, fuse_req_t req, struct dev_file *file)
{
    /* As fuse_reply_open, which knows no streams: files that have no offset, so that a limit of
     * file sizes is none of their writes. */
    struct fuse_open_out out = { .fh = (uintptr_t)file, .open_flags = FOPEN_DIRECT_IO };

    if (file)
        out.open_flags |= file->file->dev->stream ? FOPEN_STREAM : FOPEN_NONSEEKABLE;
    /* If the caller was killed meanwhile, no release will come. */
    if ((!req || fuse_reply_buf(req, (const char *)&out, sizeof out)) && file) {
        machine_lock(fs->machine);
        dev_file_put(file);
        machine_unlock(fs->machine);
    }
}

/*
 * The number behind the move of a descriptor that was just opened; where there is no such number it
 * stays.
 */
static long move_descriptor(struct inject *inject, long fd)
{
    long flags, high;

    if (fd < 0 || fd >= FILTER_MIN_FD || !inject_can_call(inject))
        return fd;
    flags = inject_call(inject, SYS_fcntl, (uint64_t[6]){ (uint64_t)fd, F_GETFD });
    high = inject_call(inject, SYS_fcntl,
                       (uint64_t[6]){ (uint64_t)fd, flags & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD,
                                      FILTER_MIN_FD });
    if (high < 0)
        return fd;
    inject_call(inject, SYS_close, (uint64_t[6]){ (uint64_t)fd });
    return high;
}

static bool change_open(void *ctx)
{
    struct waiting *call = ctx;
    struct inject inject;
    fuse_req_t req;
    int rc = catch(call, &inject, &req);

    reply_opened(call->fs, req, call->file);
    if (!rc && inject_wait(&inject))
        inject_end(&inject, move_descriptor(&inject, arch_regs_result(&inject.regs)));
    waiting_free(call);
    return false;
}

void change_watched(struct waiting *call)
{
    if (call->what == WAITING_OPEN)
        change_open(call);
    else
        change_ioctl(call);
}

void reply_open(struct waiting *call)
{
    fuse_req_t req = call->req;

    if (!proc_status(call->tid).sandboxed) {
        waiting_hold(call);
        if (watch_pass(call) || !start(call->fs, change_open, call))
            return;
        req = waiting_take(call);
    }
    reply_opened(call->fs, req, call->file);
    waiting_free(call);
}
