/* SPDX-License-Identifier: MIT */
/*
 * Serves ioctls of devices over FUSE, without interruption by signals. The filter reports those
 * ioctls for which FUSE tells too little (filter.h).
 */
#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <gntsim/ioctls.h>

#include "arch.h"
#include "dev_fs_i.h"
#include "filter.h"
#include "maps.h"
#include "space.h"

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
                    "process %d is a 32-bit program, or calls like one; the devices serve "
                    ARCH_NAME " programs only (ioctl: ENOTTY). Build it for " ARCH_NAME ".",
                    tid);
}

/* With the lock. The next mapping of the file of whose end only its link tells; NULL: none. */
static struct mapping *told_by_link(struct machine *m, const struct file *file)
{
    struct mapping *mapping = maps_first(m->maps);

    while (mapping && !(mapping->told_by_link && mapping->addr && mapping->vma->file == file))
        mapping = mapping->hh.next;
    return mapping;
}

static void have_news_of(struct machine *m, pid_t pid, uint64_t addr)
{
    struct space *space = space_of(m, pid);

    if (!space)
        return;
    space_watch(space, addr, HV_PAGE_SIZE);
    space_put(m, space);
}

/* What was asked for must be there when a munmap is over. */
static void expect_notification(struct dev_file *file)
{
    struct machine *m = file->fs->machine;
    struct mapping *mapping;
    uint64_t addr;
    pid_t pid;

    machine_lock_only(m);
    while (!file->notifies && (mapping = told_by_link(m, file->file))) {
        mapping->told_by_link = false;
        addr = mapping->addr;
        pid = mapping->tid;
        machine_unlock(m);
        have_news_of(m, pid, addr);
        machine_lock_only(m);
    }
    file->notifies = true;
    machine_unlock(m);
}

void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
              unsigned flags, const void *in_buf, size_t in_size, size_t out_size)
{
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;
    struct command command = { cmd, (uintptr_t)arg };
    const struct kernel_ioctl *known;
    struct waiting *call;

    (void)in_buf;
    (void)in_size;
    (void)out_size;
    if (ino_kind(ino) == KIND_DEVICE && flags & FUSE_IOCTL_COMPAT)
        say_compat(file, fuse_req_ctx(req)->pid);
    /* Programs of another architecture are not served. One that runs without the filter gets no
     * pages. */
    if (ino_kind(ino) != KIND_DEVICE || flags & FUSE_IOCTL_COMPAT || filter_reports_ioctl(cmd)) {
        fuse_reply_err(req, ENOTTY);
        return;
    }
    call = waiting_create(req, file, 0);
    if (!call)
        return;
    call->what = WAITING_IOCTL;
    known = kernel_ioctl_find(file->file->dev->name, cmd);
    call->precedes_mmap = known && known->flags & KERNEL_IOCTL_MMAP;
    if (known && known->flags & KERNEL_IOCTL_NOTIFY)
        expect_notification(file);
    waiting_start(call, start_ioctl, &command);
}
