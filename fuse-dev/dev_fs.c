/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 35
#include "dev_fs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <linux/stat.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uthash.h>

#include "loops.h"
#include "machine.h"
#include "maps.h"
#include "user_mem.h"

#define FOREVER 1e9
#define MAX_TRANSFER (128 * 1024)

/* ---- Inodes ----------------------------------------------------------------------------------- */

/* Directories and parameters have computed numbers: kind << 40 | domid << 8 | index. Devices count up from DEVICE_INO. */
enum kind { KIND_ROOT, KIND_DOMAIN, KIND_MODULES, KIND_MODULE, KIND_PARAMETERS, KIND_PARAMETER, KIND_DEVICE };
#define DEVICE_INO (1ull << 48)

static const struct param {
    const char *module, *name, *kernel_name;
} params[] = {
    { "xen_gntdev", "limit", "xen_gntdev/limit" },
    { "xen_gntalloc", "limit", "xen_gntalloc/limit" },
    { "grant_table", "free_per_iteration", "grant_table/free_per_iteration" },
};
#define NR_PARAMS (sizeof params / sizeof *params)

static fuse_ino_t static_ino(enum kind kind, domid_t domid, unsigned index)
{
    return (fuse_ino_t)kind << 40 | (fuse_ino_t)domid << 8 | index;
}

static enum kind ino_kind(fuse_ino_t ino)
{
    if (ino == FUSE_ROOT_ID)
        return KIND_ROOT;
    return ino >= DEVICE_INO ? KIND_DEVICE : (enum kind)(ino >> 40);
}

static domid_t ino_domid(fuse_ino_t ino)
{
    return (domid_t)(ino >> 8);
}

/* A device file as looked up; dev_file once it is open. */
struct node {
    fuse_ino_t ino;
    uint64_t lookups;
    domid_t domid;
    const struct chardev *dev;
    struct dev_file *file;
    UT_hash_handle hh;
};

struct dev_file {
    struct dev_fs *fs;
    struct domain *domain;
    struct file *file;
    struct node *node;           /* NULL once forgotten */
    unsigned refs;               /* the descriptor's, and one per mapping */
    struct dev_file *next, **pprev;
    struct fuse_pollhandle *poll;
};

struct dev_fs {
    struct machine *machine;
    struct fuse_session *session;
    char *path;
    dev_t dev;
    fuse_ino_t next_ino;
    struct node *nodes;
    struct dev_file *files;
    struct call *calls;          /* by id: ioctls in progress, reads that wait */
    uint64_t next_call;
    pthread_mutex_t buffer_lock;
    struct spare *spare;         /* receive buffers not in use */
};

static void fill_attr(fuse_ino_t ino, struct stat *st)
{
    enum kind kind = ino_kind(ino);

    *st = (struct stat){ .st_ino = ino, .st_nlink = 1, .st_uid = geteuid(), .st_gid = getegid(), .st_blksize = 4096 };
    switch (kind) {
    case KIND_DEVICE:
        st->st_mode = S_IFREG | 0666;
        break;
    case KIND_PARAMETER:
        st->st_mode = S_IFREG | 0644;
        st->st_size = 4096;
        break;
    default:
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
    }
}

/* ---- Open devices ----------------------------------------------------------------------------- */

struct file *dev_file_kernel(struct dev_file *file)
{
    return file->file;
}

struct domain *dev_file_domain(struct dev_file *file)
{
    return file->domain;
}

void dev_file_get(struct dev_file *file)
{
    file->refs++;
}

void dev_file_put(struct dev_file *file)
{
    struct domain *d = file->domain;

    if (--file->refs)
        return;
    if (file->poll)
        fuse_pollhandle_destroy(file->poll);
    if (file->node)
        file->node->file = NULL;
    *file->pprev = file->next;
    if (file->next)
        file->next->pprev = file->pprev;
    kernel_file_close(file->file);
    free(file);
    d->open_files--;
    domain_enter(d);     /* lets a dead domain go if this was the last */
    domain_leave(d);
}

static void dev_file_wake(struct file *kernel_file)
{
    struct dev_file *file = kernel_file->owner;

    if (!file->poll)
        return;
    fuse_lowlevel_notify_poll(file->poll);
    fuse_pollhandle_destroy(file->poll);
    file->poll = NULL;
}

struct dev_file *dev_fs_find(struct dev_fs *fs, pid_t tid, int fd, bool *is_ours)
{
    struct dev_file *file = NULL;
    fuse_ino_t ino;
    struct node *node;
    struct statx stx;
    char path[48];

    *is_ours = false;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", tid, fd);
    /* DONT_SYNC: the answer must not need ourselves. */
    if (syscall(SYS_statx, AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &stx) ||
        makedev(stx.stx_dev_major, stx.stx_dev_minor) != fs->dev)
        return NULL;
    *is_ours = true;
    ino = stx.stx_ino;
    machine_lock(fs->machine);
    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    if (node && node->file) {
        file = node->file;
        dev_file_get(file);
    }
    machine_unlock(fs->machine);
    return file;
}

/* ---- Names ------------------------------------------------------------------------------------ */

static fuse_ino_t lookup_device(struct dev_fs *fs, domid_t domid, const char *name)
{
    const struct chardev *dev = kernel_chardev_find(name);
    struct node *node;

    if (!dev)
        return 0;
    node = calloc(1, sizeof *node);
    if (!node)
        return 0;
    *node = (struct node){ .ino = fs->next_ino++, .lookups = 1, .domid = domid, .dev = dev };
    HASH_ADD(hh, fs->nodes, ino, sizeof node->ino, node);
    return node->ino;
}

static fuse_ino_t lookup_root(struct dev_fs *fs, const char *name)
{
    unsigned id;
    int end = 0;

    if (sscanf(name, "%u%n", &id, &end) != 1 || id >= DOMID_FIRST_RESERVED || !machine_domain(fs->machine, (domid_t)id))
        return 0;
    if (!name[end])
        return static_ino(KIND_DOMAIN, (domid_t)id, 0);
    return strcmp(name + end, ".module") ? 0 : static_ino(KIND_MODULES, (domid_t)id, 0);
}

static fuse_ino_t lookup_name(struct dev_fs *fs, fuse_ino_t parent, const char *name)
{
    domid_t id = ino_domid(parent);
    unsigned index = parent & 0xff;

    switch (ino_kind(parent)) {
    case KIND_ROOT:
        return lookup_root(fs, name);
    case KIND_DOMAIN:
        return lookup_device(fs, id, name);
    case KIND_MODULES:
        for (unsigned i = 0; i < NR_PARAMS; i++)
            if (!strcmp(params[i].module, name))
                return static_ino(KIND_MODULE, id, i);
        return 0;
    case KIND_MODULE:
        return strcmp(name, "parameters") ? 0 : static_ino(KIND_PARAMETERS, id, index);
    case KIND_PARAMETERS:
        return strcmp(name, params[index].name) ? 0 : static_ino(KIND_PARAMETER, id, index);
    default:
        return 0;
    }
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct fuse_entry_param entry = { .attr_timeout = FOREVER };

    machine_lock(fs->machine);
    entry.ino = lookup_name(fs, parent, name);
    machine_unlock(fs->machine);
    if (!entry.ino) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    fill_attr(entry.ino, &entry.attr);
    if (ino_kind(entry.ino) != KIND_DEVICE)
        entry.entry_timeout = 1;
    fuse_reply_entry(req, &entry);
}

static void forget_one(struct dev_fs *fs, fuse_ino_t ino, uint64_t lookups)
{
    struct node *node;

    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    if (!node)
        return;
    assert(node->lookups >= lookups);
    node->lookups -= lookups;
    if (node->lookups)
        return;
    if (node->file)
        node->file->node = NULL;
    HASH_DEL(fs->nodes, node);
    free(node);
}

static void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
    struct dev_fs *fs = fuse_req_userdata(req);

    machine_lock(fs->machine);
    forget_one(fs, ino, lookups);
    machine_unlock(fs->machine);
    fuse_reply_none(req);
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;

    (void)fi;
    fill_attr(ino, &st);
    fuse_reply_attr(req, &st, FOREVER);
}

/* Device files have nothing to set; O_TRUNC and chmod succeed as on a real node. */
static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    (void)attr;
    (void)to_set;
    fs_getattr(req, ino, fi);
}

/* The index-th name in a directory, NULL after the last. */
static const char *name_at(struct dev_fs *fs, fuse_ino_t dir, off_t index, char *buffer, size_t size)
{
    unsigned param = dir & 0xff;
    struct domain *d;

    switch (ino_kind(dir)) {
    case KIND_ROOT:
        for (d = fs->machine->domains; d && index >= 2; d = d->next)
            index -= 2;
        if (!d)
            return NULL;
        snprintf(buffer, size, index ? "%u.module" : "%u", d->id);
        return buffer;
    case KIND_DOMAIN:
        for (off_t i = 0; i < index; i++)
            if (!kernel_chardevs[i])
                return NULL;
        return kernel_chardevs[index] ? kernel_chardevs[index]->name : NULL;
    case KIND_MODULES:
        return index < (off_t)NR_PARAMS ? params[index].module : NULL;
    case KIND_MODULE:
        return index ? NULL : "parameters";
    case KIND_PARAMETERS:
        return index ? NULL : params[param].name;
    default:
        return NULL;
    }
}

static void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    char *out = malloc(size);
    size_t used = 0;

    (void)fi;
    if (!out) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    machine_lock(fs->machine);
    for (;; off++) {
        enum kind child = ino_kind(ino) == KIND_DOMAIN || ino_kind(ino) == KIND_PARAMETERS ? KIND_DEVICE : KIND_DOMAIN;
        struct stat st = { .st_ino = ~0u, .st_mode = child == KIND_DEVICE ? S_IFREG : S_IFDIR };
        char buffer[32];
        const char *name = off == 0 ? "." : off == 1 ? ".." : name_at(fs, ino, off - 2, buffer, sizeof buffer);
        size_t need;

        if (!name)
            break;
        need = fuse_add_direntry(req, out + used, size - used, name, &st, off + 1);
        if (need > size - used)
            break;
        used += need;
    }
    machine_unlock(fs->machine);
    fuse_reply_buf(req, out, used);
    free(out);
}

/* ---- Module parameters ------------------------------------------------------------------------ */

static void param_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct domain *d;
    int64_t value;
    char text[32];
    int rc = -ENODEV, n;

    machine_lock(fs->machine);
    d = machine_domain(fs->machine, ino_domid(ino));
    if (d)
        rc = kernel_param_get(d->kernel, params[ino & 0xff].kernel_name, &value);
    machine_unlock(fs->machine);
    if (rc) {
        fuse_reply_err(req, -rc);
        return;
    }
    n = snprintf(text, sizeof text, "%" PRId64 "\n", value);
    if (off >= n)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(req, text + off, (size_t)(n - off) < size ? (size_t)(n - off) : size);
}

static void param_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct domain *d;
    char text[32], *end;
    long long value;
    int rc = -ENODEV;

    if (size >= sizeof text) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    memcpy(text, buf, size);
    text[size] = 0;
    errno = 0;
    value = strtoll(text, &end, 0);
    if (end == text || (*end && strcmp(end, "\n"))) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (errno) {
        fuse_reply_err(req, ERANGE);
        return;
    }
    machine_lock(fs->machine);
    d = machine_domain(fs->machine, ino_domid(ino));
    if (d)
        rc = kernel_param_set(d->kernel, params[ino & 0xff].kernel_name, value);
    machine_unlock(fs->machine);
    if (rc)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, size);
}

/* ---- Device files ----------------------------------------------------------------------------- */

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file;
    struct node *node;
    struct domain *d;
    int rc = -ENOMEM;

    fi->direct_io = 1;
    if (ino_kind(ino) == KIND_PARAMETER) {
        fuse_reply_open(req, fi);
        return;
    }
    if (ino_kind(ino) != KIND_DEVICE) {
        fuse_reply_err(req, EISDIR);
        return;
    }
    file = calloc(1, sizeof *file);
    machine_lock(fs->machine);
    if (!file)
        goto out;
    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    rc = -ENODEV;
    d = node ? machine_domain(fs->machine, node->domid) : NULL;
    if (!d)
        goto out;
    rc = -ESTALE;        /* a second open of one inode: the VFS looks the name up again */
    if (node->file)
        goto out;
    rc = kernel_open(d->kernel, node->dev, (unsigned)fi->flags, &file->file);
    if (rc)
        goto out;
    file->fs = fs;
    file->domain = d;
    file->node = node;
    file->refs = 1;
    file->file->owner = file;
    file->file->wake = dev_file_wake;
    node->file = file;
    file->next = fs->files;
    file->pprev = &fs->files;
    if (file->next)
        file->next->pprev = &file->next;
    fs->files = file;
    d->open_files++;
    fi->fh = (uintptr_t)file;
    fi->nonseekable = 1;
    fs->machine->stats.fuse_requests++;
out:
    machine_unlock(fs->machine);
    if (rc) {
        free(file);
        fuse_reply_err(req, -rc);
        return;
    }
    if (fuse_reply_open(req, fi)) {      /* the caller was killed meanwhile: no release will come */
        machine_lock(fs->machine);
        dev_file_put(file);
        machine_unlock(fs->machine);
    }
}

static void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);

    if (ino_kind(ino) == KIND_DEVICE) {
        machine_lock(fs->machine);
        dev_file_put((struct dev_file *)(uintptr_t)fi->fh);
        machine_unlock(fs->machine);
    }
    fuse_reply_err(req, 0);
}

/* An ioctl or read in progress. */
struct call {
    struct kreq kreq;
    struct user_mem user_mem;
    fuse_req_t req;
    struct dev_fs *fs;
    struct dev_file *file;
    uint64_t id;
    char *buffer;                /* of a read, NULL for an ioctl */
    bool armed;                  /* a waiting read may be answered: nobody needs req any more */
    bool completed;              /* before it was armed */
    bool abandoned;              /* an ioctl was answered for its caller's death while it was being executed */
    long result;
    UT_hash_handle hh;
};

static void call_free(struct call *call)
{
    free(call->buffer);
    free(call);
}

static void reply_ioctl(fuse_req_t req, long result)
{
    if (result < 0)
        fuse_reply_err(req, (int)-result);
    else
        fuse_reply_ioctl(req, (int)result, NULL, 0);
}

static void reply_read(fuse_req_t req, const char *buffer, long result)
{
    if (result < 0)
        fuse_reply_err(req, (int)-result);
    else
        fuse_reply_buf(req, buffer, (size_t)result);
}

static void call_add(struct call *call)
{
    call->id = ++call->fs->next_call;
    HASH_ADD(hh, call->fs->calls, id, sizeof call->id, call);
}

static void ioctl_end(struct call *call, long result)
{
    HASH_DEL(call->fs->calls, call);
    if (!call->abandoned)
        reply_ioctl(call->req, result);
    dev_file_put(call->file);
    call_free(call);
}

static void ioctl_done(struct kreq *kreq, long result)
{
    ioctl_end(kreq->owner, result);
}

static void waiting_read_end(struct call *call, long result)
{
    HASH_DEL(call->fs->calls, call);
    reply_read(call->req, call->buffer, result);
    call_free(call);
}

static void read_done(struct kreq *kreq, long result)
{
    struct call *call = kreq->owner;

    if (call->armed) {
        waiting_read_end(call, result);
        return;
    }
    call->completed = true;
    call->result = result;
}

/* Whether a thread has SIGKILL pending, as every thread of a dying process has. */
static bool is_being_killed(pid_t tid)
{
    unsigned long long pending = 0;
    char path[40], line[256];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    if (!file)
        return true;
    while (fgets(line, sizeof line, file) && sscanf(line, "SigPnd: %llx", &pending) != 1)
        ;
    fclose(file);
    return pending >> (SIGKILL - 1) & 1;
}

/*
 * The caller got a signal. A waiting read ends. An ioctl goes on, unless the caller is dying: if what holds it up is the
 * caller's own memory, neither would ever end.
 *
 * Called inside a lock of libfuse's, which is why nothing calls into libfuse's interrupt handling with the machine's
 * lock. The call may have been answered meanwhile, so it is named by number.
 */
static void call_interrupted(fuse_req_t req, void *data)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    uint64_t id = (uintptr_t)data;
    struct call *call;

    machine_lock(fs->machine);
    HASH_FIND(hh, fs->calls, &id, sizeof id, call);
    if (call && call->buffer && !call->completed) {
        kernel_cancel(&call->kreq);
    } else if (call && !call->buffer && !call->abandoned && is_being_killed(call->user_mem.tid)) {
        call->abandoned = true;
        fuse_reply_err(call->req, EINTR);
    }
    machine_unlock(fs->machine);
}

static struct call *call_new(fuse_req_t req, struct dev_file *file, void (*done)(struct kreq *, long))
{
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->req = req;
    call->fs = fuse_req_userdata(req);
    call->file = file;
    call->user_mem = (struct user_mem){ call->fs->machine, fuse_req_ctx(req)->pid };
    call->kreq = (struct kreq){ .done = done, .owner = call, .mem = user_mem_of(&call->user_mem) };
    return call;
}

static void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
                     const void *in_buf, size_t in_size, size_t out_size)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;
    struct domain *domain;
    struct call *call;
    long result;

    (void)in_buf;
    (void)in_size;
    (void)out_size;
    if (ino_kind(ino) != KIND_DEVICE || flags & FUSE_IOCTL_COMPAT) {
        fuse_reply_err(req, ENOTTY);
        return;
    }
    call = call_new(req, file, ioctl_done);
    if (!call) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    domain = file->domain;
    pthread_mutex_lock(&fs->machine->lock);
    dev_file_get(file);      /* an abandoned call may outlast its caller */
    call_add(call);
    pthread_mutex_unlock(&fs->machine->lock);
    fuse_req_interrupt_func(req, call_interrupted, (void *)(uintptr_t)call->id);
    machine_lock(fs->machine);
    fs->machine->stats.fuse_requests++;
    domain_enter(domain);
    result = call->abandoned ? -EINTR : kernel_ioctl(file->file, cmd, (uintptr_t)arg, &call->kreq);
    machine_settle(fs->machine);
    if (result != KERNEL_PENDING)
        ioctl_end(call, result);
    domain_leave(domain);
    machine_unlock(fs->machine);
}

/* The read waits: from here on an interrupt can end it, or data. */
static void wait_for_data(struct call *call)
{
    struct dev_fs *fs = call->fs;

    fuse_req_interrupt_func(call->req, call_interrupted, (void *)(uintptr_t)call->id);
    machine_lock(fs->machine);
    call->armed = true;
    if (call->completed)
        waiting_read_end(call, call->result);
    machine_unlock(fs->machine);
}

/* A page fault of one of our own threads on a client's private mapping of a device would come here, too. */
static bool is_own_thread(pid_t tid)
{
    return syscall(SYS_tgkill, getpid(), tid, 0) == 0;
}

static void device_read(fuse_req_t req, size_t size, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;
    struct call *call;
    long result;

    if (is_own_thread(fuse_req_ctx(req)->pid)) {
        fuse_reply_err(req, EIO);
        return;
    }
    call = call_new(req, file, read_done);
    if (!call || !(call->buffer = malloc(size < MAX_TRANSFER ? size : MAX_TRANSFER))) {
        free(call);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    machine_lock(fs->machine);
    fs->machine->stats.fuse_requests++;
    file->file->flags = (file->file->flags & ~(unsigned)O_NONBLOCK) | ((unsigned)fi->flags & O_NONBLOCK);
    domain_enter(file->domain);
    result = kernel_read(file->file, call->buffer, size < MAX_TRANSFER ? size : MAX_TRANSFER, &call->kreq);
    machine_settle(fs->machine);
    domain_leave(file->domain);
    if (result == KERNEL_PENDING) {
        call_add(call);
        machine_unlock(fs->machine);
        wait_for_data(call);
        return;
    }
    reply_read(req, call->buffer, result);
    call_free(call);
    machine_unlock(fs->machine);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    if (ino_kind(ino) == KIND_PARAMETER)
        param_read(req, ino, size, off);
    else
        device_read(req, size, fi);
}

static void fs_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
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
    fs->machine->stats.fuse_requests++;
    domain_enter(file->domain);
    result = kernel_write(file->file, buf, size);
    machine_settle(fs->machine);
    if (result < 0)
        fuse_reply_err(req, (int)-result);
    else
        fuse_reply_write(req, (size_t)result);
    domain_leave(file->domain);
    machine_unlock(fs->machine);
}

static void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct dev_file *file = (struct dev_file *)(uintptr_t)fi->fh;
    unsigned events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

    machine_lock(fs->machine);
    if (ino_kind(ino) == KIND_DEVICE) {
        fs->machine->stats.fuse_requests++;
        if (ph) {
            if (file->poll)
                fuse_pollhandle_destroy(file->poll);
            file->poll = ph;
            ph = NULL;
        }
        events = kernel_poll(file->file);
    }
    machine_unlock(fs->machine);
    if (ph)
        fuse_pollhandle_destroy(ph);
    fuse_reply_poll(req, events);
}

static const struct fuse_lowlevel_ops fs_ops = {
    .lookup = fs_lookup,
    .forget = fs_forget,
    .getattr = fs_getattr,
    .setattr = fs_setattr,
    .readdir = fs_readdir,
    .open = fs_open,
    .release = fs_release,
    .ioctl = fs_ioctl,
    .read = fs_read,
    .write = fs_write,
    .poll = fs_poll,
};

/* ---- Life ------------------------------------------------------------------------------------- */

int dev_fs_create(struct dev_fs **out, struct machine *m, const char *path)
{
    /* Clients may have dropped to another user: the files' mode decides, not who mounted. */
    char *argv[] = { (char *)"gntsim", (char *)"-oallow_other,fsname=gntsim,subtype=xen", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);
    struct dev_fs *fs = calloc(1, sizeof *fs);

    if (!fs)
        return -ENOMEM;
    fs->machine = m;
    fs->next_ino = DEVICE_INO;
    pthread_mutex_init(&fs->buffer_lock, NULL);
    fs->path = strdup(path);
    fs->session = fuse_session_new(&args, &fs_ops, sizeof fs_ops, fs);
    fuse_opt_free_args(&args);
    if (!fs->path || !fs->session || fuse_session_mount(fs->session, path)) {
        fputs("gntsim: cannot mount a FUSE file system; `gntsim doctor` says what is missing\n", stderr);
        if (fs->session)
            fuse_session_destroy(fs->session);
        free(fs->path);
        free(fs);
        return -ENODEV;
    }
    *out = fs;
    return 0;
}

int dev_fs_learn_dev(struct dev_fs *fs)
{
    struct stat st;

    if (stat(fs->path, &st))
        return -errno;
    fs->dev = st.st_dev;
    return 0;
}

/* libfuse's receive buffers are large: kept, one per thread that receives at the same time. */
struct spare {
    struct fuse_buf buf;
    struct spare *next;
};

static struct spare *spare_take(struct dev_fs *fs)
{
    struct spare *spare;

    pthread_mutex_lock(&fs->buffer_lock);
    spare = fs->spare;
    if (spare)
        fs->spare = spare->next;
    pthread_mutex_unlock(&fs->buffer_lock);
    return spare ? spare : calloc(1, sizeof *spare);
}

static void spare_give(struct dev_fs *fs, struct spare *spare)
{
    pthread_mutex_lock(&fs->buffer_lock);
    spare->next = fs->spare;
    fs->spare = spare;
    pthread_mutex_unlock(&fs->buffer_lock);
}

bool dev_fs_step(void *ctx)
{
    struct dev_fs *fs = ctx;
    struct spare *spare = spare_take(fs);
    int n;

    if (!spare)
        return false;
    n = fuse_session_receive_buf(fs->session, &spare->buf);
    if (n > 0)
        fuse_session_process_buf(fs->session, &spare->buf);
    spare_give(fs, spare);
    return n > 0 || n == -EINTR || n == -EAGAIN;
}

void dev_fs_abort(struct dev_fs *fs)
{
    /* Not libfuse's unmount: other namespaces keep the file system, and a blocked read must end. */
    umount2(fs->path, MNT_FORCE | MNT_DETACH);
}

void dev_fs_close_all(struct dev_fs *fs)
{
    while (fs->files) {
        fs->files->refs = 1;
        dev_file_put(fs->files);
    }
}

void dev_fs_destroy(struct dev_fs *fs)
{
    struct node *node, *next;

    if (!fs)
        return;
    HASH_ITER(hh, fs->nodes, node, next) {
        if (node->file)
            node->file->node = NULL;
        HASH_DEL(fs->nodes, node);
        free(node);
    }
    while (fs->spare) {
        struct spare *spare = fs->spare;

        fs->spare = spare->next;
        free(spare->buf.mem);
        free(spare);
    }
    pthread_mutex_destroy(&fs->buffer_lock);
    fuse_session_unmount(fs->session);
    fuse_session_destroy(fs->session);
    free(fs->path);
    free(fs);
}
