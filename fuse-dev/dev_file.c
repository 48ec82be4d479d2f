/* SPDX-License-Identifier: MIT */
/* Serves open devices over FUSE. Their mmaps arrive elsewhere (supervisor.c). */
#include "dev_fs_i.h"
#include "dev_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utlist.h>

#define MAX_TRANSFER (128 * 1024)

/* ---- Who waits in poll ----------------------------------------------------------------------- */

/*
 * Whoever polls a file: woken, it asks again whether the file is ready, for which the lock must be
 * free.
 */
struct poller {
    struct machine_later later;
    struct fuse_pollhandle *handle;
};

static void poller_free(struct poller *poller)
{
    if (poller)
        fuse_pollhandle_destroy(poller->handle);
    free(poller);
}

static void poller_wake(struct machine_later *later)
{
    struct poller *poller = (struct poller *)(void *)later;

    fuse_lowlevel_notify_poll(poller->handle);
    poller_free(poller);
}

static struct poller *poller_create(struct fuse_pollhandle *handle)
{
    struct poller *poller = malloc(sizeof *poller);

    if (poller)
        *poller = (struct poller){ .later.run = poller_wake, .handle = handle };
    else
        fuse_pollhandle_destroy(handle);
    return poller;
}

/* ---- References ------------------------------------------------------------------------------ */

struct file *dev_file_kernel(struct dev_file *file)
{
    return file->file;
}

struct domain *dev_file_domain(struct dev_file *file)
{
    return file->domain;
}

bool dev_file_notifies(const struct dev_file *file)
{
    return file->notifies;
}

void dev_file_mapped_by(struct dev_file *file, struct supervisor *supervisor)
{
    atomic_store(&file->mapper, supervisor);
}

void dev_file_get(struct dev_file *file)
{
    file->refs++;
}

void dev_file_settled(struct dev_file *file)
{
    if (file->flushed)
        atomic_fetch_sub(&file->fs->nr_flushed, 1);
    file->flushed = false;
}

void dev_file_mapping_ended(struct file *kernel_file)
{
    dev_file_put(kernel_file->owner);
}

void dev_file_put(struct dev_file *file)
{
    struct domain *d = file->domain;

    if (--file->refs)
        return;
    dev_file_settled(file);
    poller_free(file->poller);
    if (file->node)
        file->node->file = NULL;
    DL_DELETE(file->fs->files, file);
    kernel_file_close(file->file);
    async_free(file->async);
    free(file);
    d->open_files--;
    domain_enter(d);     /* lets a dead domain go if this was the last */
    domain_leave(d);
}

static void dev_file_wake(struct file *kernel_file)
{
    struct dev_file *file = kernel_file->owner;

    if (file->async && kernel_poll(kernel_file) & POLLIN)
        async_signal(file->async);
    if (file->poller)
        machine_later(file->fs->machine, &file->poller->later);
    file->poller = NULL;
}

/* ---- Open and close -------------------------------------------------------------------------- */

static void start_reply(fuse_req_t req, struct dev_file *file)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct waiting *call = waiting_create(req, file, 0);

    if (call) {
        call->what = WAITING_OPEN;
        reply_open(call);
    } else if (file) {
        machine_lock(fs->machine);
        dev_file_put(file);
        machine_unlock(fs->machine);
    }
}

void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file;
    struct node *node;
    struct domain *d;
    int rc = -ENOMEM;

    if (ino_kind(ino) == KIND_SYS_FILE && (fi->flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(req, EACCES);
        return;
    }
    if (ino_kind(ino) == KIND_PARAMETER || ino_kind(ino) == KIND_SYS_FILE) {
        start_reply(req, NULL);
        return;
    }
    file = calloc(1, sizeof *file);
    machine_lock(fs->machine);
    if (!file)
        goto out;
    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    rc = -ENODEV;
    d = node ? machine_domain_at(fs->machine, node->domid) : NULL;
    if (!d)
        goto out;
    rc = -ESTALE;        /* a second open of one inode: the VFS looks the name up again */
    if (node->file)
        goto out;
    rc = -EINVAL;        /* as of every character device without it */
    if (fi->flags & O_DIRECT)
        goto out;
    machine_caller(fs->machine, fuse_req_ctx(req)->pid);
    rc = kernel_open(d->kernel, kernel_chardevs[node->index], (unsigned)fi->flags, &file->file);
    if (rc)
        goto out;
    file->fs = fs;
    file->domain = d;
    file->node = node;
    file->refs = 1;
    file->file->owner = file;
    file->file->wake = dev_file_wake;
    node->file = file;
    DL_PREPEND(fs->files, file);
    d->open_files++;
    fi->fh = (uintptr_t)file;
    fs->requests++;
out:
    machine_unlock(fs->machine);
    if (rc) {
        free(file);
        fuse_reply_err(req, -rc);
        return;
    }
    start_reply(req, file);
}

/* Each close of a descriptor; the last one's release follows by itself, later. */
void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;

    if (ino_kind(ino) == KIND_DEVICE) {
        machine_lock_only(fs->machine);
        if (!file->flushed)
            atomic_fetch_add(&fs->nr_flushed, 1);
        file->flushed = true;
        machine_unlock(fs->machine);
    }
    fuse_reply_err(req, 0);
}

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;

    if (ino_kind(ino) == KIND_DEVICE) {
        machine_lock(fs->machine);
        dev_file_settled(file);
        dev_file_put(file);
        machine_unlock(fs->machine);
    }
    fuse_reply_err(req, 0);
}

/* ---- Reads ----------------------------------------------------------------------------------- */

/*
 * A page fault of one of our own threads on a client's private mapping of a device would come here,
 * too.
 */
static bool is_own_thread(pid_t tid)
{
    return syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

static long start_read(struct waiting *call, void *how)
{
    const struct fuse_file_info *fi = how;
    struct file *file = call->file->file;

    file->flags = (file->flags & ~(unsigned)O_NONBLOCK) | ((unsigned)fi->flags & O_NONBLOCK);
    return kernel_read(file, call->buffer, call->size, &call->kreq);
}

static void device_read(fuse_req_t req, size_t size, struct fuse_file_info *fi)
{
    struct waiting *call;

    if (is_own_thread(fuse_req_ctx(req)->pid)) {
        fuse_reply_err(req, EIO);
        return;
    }
    if (size > MAX_TRANSFER)
        size = MAX_TRANSFER;
    call = waiting_create(req, (struct dev_file *)(uintptr_t)fi->fh, size);
    if (call)
        waiting_start(call, start_read, fi);
}

void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    if (ino_kind(ino) == KIND_PARAMETER)
        param_read(req, ino, size, off);
    else if (ino_kind(ino) == KIND_SYS_FILE)
        sys_read(req, ino, size, off);
    else
        device_read(req, size, fi);
}

/* ---- Writes and poll ------------------------------------------------------------------------- */

void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
              struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;
    long result;

    (void)off;
    if (ino_kind(ino) == KIND_PARAMETER) {
        param_write(req, ino, buf, size);
        return;
    }
    machine_lock(fs->machine);
    fs->requests++;
    machine_caller(fs->machine, fuse_req_ctx(req)->pid);
    result = kernel_write(file->file, buf, size);
    machine_unlock(fs->machine);
    if (result < 0)
        fuse_reply_err(req, (int)-result);
    else
        fuse_reply_write(req, (size_t)result);
}

void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;
    unsigned events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    struct poller *poller = NULL, *before = NULL;

    if (ph && !(poller = poller_create(ph))) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (ino_kind(ino) == KIND_DEVICE) {
        machine_lock(fs->machine);
        fs->requests++;
        if (poller) {
            before = file->poller;
            file->poller = poller;
            poller = NULL;
        }
        machine_caller(fs->machine, fuse_req_ctx(req)->pid);
        events = kernel_poll(file->file);
        machine_unlock(fs->machine);
    }
    fuse_reply_poll(req, events);
    poller_free(before);
    poller_free(poller);
}

/* ---- What they have not ---------------------------------------------------------------------- */

void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    (void)fi;
    fuse_reply_err(req, EINVAL);
}

void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                  struct fuse_file_info *fi)
{
    (void)mode;
    (void)offset;
    (void)length;
    (void)fi;
    fuse_reply_err(req, ino_kind(ino) == KIND_DEVICE ? ENODEV : EOPNOTSUPP);
}
