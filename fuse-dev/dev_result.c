/* SPDX-License-Identifier: MIT */
/*
 * Results that FUSE cannot give: ENOSYS, which it turns into ENOTTY; numbers that need more than 32 bits; and that a read is to begin
 * anew. The thread gets another one, which is changed at a stop behind the call. All this is rare, so each has a thread of ours to
 * itself: a client that is frozen holds up nobody else.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "dev_fs_i.h"
#include "inject.h"
#include "loops.h"

struct change {
    struct dev_fs *fs;
    pid_t tid;
    fuse_req_t req;              /* of an ioctl */
    uint64_t id;                 /* of a read that waits */
    long from, to;
};

static int change_start(const struct change *change, loop_step *step)
{
    struct change *copy = malloc(sizeof *copy);
    int rc = -ENOMEM;

    if (copy) {
        *copy = *change;
        rc = loops_start(change->fs->machine->loops, step, free, copy);
    }
    if (rc)
        free(copy);
    return rc;
}

static bool change_ioctl(void *ctx)
{
    struct change *change = ctx;
    struct inject inject;
    /* Whoever is traced by somebody else gets what FUSE can give. */
    int rc = inject_catch(&inject, change->tid);

    fuse_reply_ioctl(change->req, (int)change->from, NULL, 0);
    if (!rc)
        inject_change(&inject, change->from, change->to);
    return false;
}

void reply_ioctl(struct dev_fs *fs, fuse_req_t req, pid_t tid, long result)
{
    struct change change = { .fs = fs, .tid = tid, .req = req, .from = result == -ENOSYS ? -ENOTTY : -EOVERFLOW, .to = result };
    bool fits = result >= INT_MIN && result <= INT_MAX;

    if (fits && result != -ENOSYS)
        fuse_reply_ioctl(req, (int)result, NULL, 0);
    else if (change_start(&change, change_ioctl))
        fuse_reply_ioctl(req, (int)change.from, NULL, 0);
}

/* The kernel repeats the read once the signal was dealt with, or says EINTR if a handler without SA_RESTART ran. Data that came
 * meanwhile is the answer. */
static bool change_read(void *ctx)
{
    struct change *change = ctx;
    struct inject inject;
    int rc = inject_catch(&inject, change->tid);

    waiting_cancel(change->fs, change->id);
    if (!rc)
        inject_change(&inject, change->from, change->to);
    return false;
}

bool read_restart(struct dev_fs *fs, uint64_t id, pid_t tid)
{
    struct change change = { .fs = fs, .tid = tid, .id = id, .from = -EINTR, .to = -ERESTARTSYS };

    return !change_start(&change, change_read);
}
