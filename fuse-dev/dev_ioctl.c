/* SPDX-License-Identifier: MIT */
/*
 * Serves ioctls of devices over FUSE, without interruption by signals. The filter reports those
 * ioctls for which FUSE tells too little (filter.h).
 */
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "dev_fs_i.h"
#include "filter.h"
#include "watch.h"

struct command {
    unsigned cmd;
    uint64_t arg;
};

static long start_ioctl(struct waiting *call, void *how)
{
    const struct command *command = how;

    return kernel_ioctl(call->file->file, command->cmd, command->arg, &call->kreq);
}

/* Its structures are others. */
static void say_compat(struct dev_file *file, pid_t tid)
{
    bool said;

    machine_lock_only(file->fs->machine);
    said = file->compat;
    file->compat = true;
    machine_unlock(file->fs->machine);
    if (!said)
        machine_log(file->fs->machine,
                    "process %d is a 32-bit program, or calls like one; the devices serve x86-64 "
                    "programs only (ioctl: ENOTTY). "
                    "Build it for x86-64.",
                    tid);
}

void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
              unsigned flags, const void *in_buf, size_t in_size, size_t out_size)
{
    struct command command = { cmd, (uintptr_t)arg };
    struct waiting *call;

    (void)in_buf;
    (void)in_size;
    (void)out_size;
    if (ino_kind(ino) == KIND_DEVICE && flags & FUSE_IOCTL_COMPAT)
        say_compat((struct dev_file *)(uintptr_t)fi->fh, fuse_req_ctx(req)->pid);
    /* Programs of another architecture are not served. One that runs without the filter gets no
     * pages. */
    if (ino_kind(ino) != KIND_DEVICE || flags & FUSE_IOCTL_COMPAT || filter_reports_ioctl(cmd)) {
        fuse_reply_err(req, ENOTTY);
        return;
    }
    call = waiting_create(req, (struct dev_file *)(uintptr_t)fi->fh, 0);
    if (!call)
        return;
    call->what = WAITING_IOCTL;
    call->precedes_mmap = watch_is_for(cmd);
    waiting_start(call, start_ioctl, &command);
}
