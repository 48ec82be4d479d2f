/* SPDX-License-Identifier: MIT */
/* The FUSE file system of all domains' device files: its life and its loop. */
#include "dev_fs_i.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "attendant.h"
#include "ns.h"

#define PIDFD_OF_A_THREAD O_EXCL      /* PIDFD_THREAD, Linux 6.9 */

/*
 * Releases are background requests; none may wait behind a limit while a later request overtakes
 * it.
 */
static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->max_background = UINT16_MAX;
}

/*
 * What would change the directory: nobody may, as in a /dev that its mounter keeps to itself. FUSE
 * would answer ENOSYS, which no file system does.
 */

static void refuse_node(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                        dev_t rdev)
{
    (void)parent, (void)name, (void)mode, (void)rdev;
    fuse_reply_err(req, EPERM);
}

static void refuse_directory(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent, (void)name, (void)mode;
    fuse_reply_err(req, EPERM);
}

static void refuse_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void refuse_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    (void)ino, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void refuse_removal(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void refuse_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
                          fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
    (void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
    fuse_reply_err(req, EPERM);
}

static const struct fuse_lowlevel_ops fs_ops = {
    .init = fs_init,
    .lookup = fs_lookup,
    .forget = fs_forget,
    .getattr = fs_getattr,
    .setattr = fs_setattr,
    .readdir = fs_readdir,
    .open = fs_open,
    .flush = fs_flush,
    .release = fs_release,
    .ioctl = fs_ioctl,
    .read = fs_read,
    .write = fs_write,
    .poll = fs_poll,
    .fsync = fs_fsync,
    .fallocate = fs_fallocate,
    .mknod = refuse_node,
    .mkdir = refuse_directory,
    .symlink = refuse_symlink,
    .link = refuse_link,
    .unlink = refuse_removal,
    .rmdir = refuse_removal,
    .rename = refuse_rename,
};

/* ---- For the supervisors --------------------------------------------------------------------- */

/*
 * The server makes no request to its own file system, nothing that could be one: SIGKILL would find
 * it waiting for itself. What must be asked for is the attendant's to do. (A copy of a device's
 * descriptor is flushed when it is closed.)
 */
static void ask_for_descriptor(const uint64_t args[2], struct attendant_answer *answer)
{
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)args[0], PIDFD_OF_A_THREAD), copy;
    struct statx stx;

    if (pidfd < 0)
        pidfd = (int)syscall(SYS_pidfd_open, (pid_t)args[0], 0);
    copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)args[1], 0);
    if (copy < 0 ||
        syscall(SYS_statx, copy, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &stx))
        answer->rc = -errno;
    else
        memcpy(answer->values,
               (uint64_t[2]){ makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino },
               sizeof answer->values);
    if (copy >= 0)
        close(copy);
    if (pidfd >= 0)
        close(pidfd);
}

/* Requests are served in order, so what was released before this has been dealt with after it. */
static void ask_for_root(const uint64_t args[2], struct attendant_answer *answer)
{
    struct statx stx;

    (void)args;
    answer->rc =
        syscall(SYS_statx, AT_FDCWD, STAGE_FS, AT_STATX_FORCE_SYNC, STATX_INO, &stx) ? -errno : 0;
}

/* What file a descriptor of a thread is. False: it has no such descriptor. */
static bool identify(struct machine *m, pid_t tid, int fd, dev_t *dev, fuse_ino_t *ino)
{
    struct attendant_answer answer;
    struct statx stx;
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", tid, fd);
    /* DONT_SYNC: what is known already is enough, so no request is made. */
    if (!syscall(SYS_statx, AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &stx)) {
        *dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
        *ino = stx.stx_ino;
        return true;
    }
    if (errno != EACCES)
        return false;
    /* A process whose /proc entries an ordinary user's server may not read: the descriptor
     * itself. */
    attendant_ask(m, ask_for_descriptor, (uint64_t[2]){ (uint64_t)tid, (uint64_t)fd }, &answer);
    *dev = answer.values[0];
    *ino = answer.values[1];
    return !answer.rc;
}

bool dev_fs_find_elsewhere(struct dev_fs *fs, pid_t tid, int fd, struct machine_file *file)
{
    fuse_ino_t ino;
    bool found;
    dev_t dev;

    if (!identify(fs->machine, tid, fd, &dev, &ino))
        return false;
    machine_lock_only(fs->machine);
    found = machine_find_file(fs->machine, dev, ino, file);
    machine_unlock(fs->machine);
    return found;
}

struct dev_file *dev_fs_find(struct dev_fs *fs, pid_t tid, int fd, bool *is_ours)
{
    struct dev_file *file = NULL;
    fuse_ino_t ino;
    struct node *node;
    dev_t dev;

    *is_ours = false;
    if (!identify(fs->machine, tid, fd, &dev, &ino) || dev != fs->dev)
        return NULL;
    *is_ours = true;
    machine_lock_only(fs->machine);
    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    if (node && node->file) {
        file = node->file;
        dev_file_get(file);
        dev_file_settled(file);      /* only a duplicate of its descriptor was closed */
    }
    machine_unlock(fs->machine);
    return file;
}

static void put_found(void *file)
{
    dev_file_put(file);
}

bool dev_fs_find_ino(struct dev_fs *fs, dev_t dev, ino_t number, struct machine_file *found)
{
    fuse_ino_t ino = number;
    struct node *node;

    if (dev != fs->dev)
        return false;
    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    if (!node || !node->file)
        return false;
    dev_file_get(node->file);
    *found = (struct machine_file){ .kernel = node->file->file,
                                    .domain = node->file->domain,
                                    .owner = node->file,
                                    .put = put_found,
                                    .mapping_ended = dev_file_mapping_ended };
    return true;
}

void dev_fs_catch_up(struct dev_fs *fs)
{
    struct attendant_answer answer;

    if (atomic_load(&fs->nr_flushed))
        attendant_ask(fs->machine, ask_for_root, (uint64_t[2]){ 0 }, &answer);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* What is known of a mount's root without asking for it. */
static int learn_dev(struct dev_fs *fs)
{
    struct statx stx;

    if (syscall(SYS_statx, AT_FDCWD, fs->path, AT_STATX_DONT_SYNC, STATX_INO, &stx))
        return -errno;
    fs->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    return 0;
}

int dev_fs_create(struct dev_fs **out, struct machine *m, const char *path)
{
    /* Clients may have dropped to another user: the nodes' modes decide, not who mounted. */
    char *argv[] = { (char *)"gntsim",
                     (char *)"-oallow_other,default_permissions,fsname=gntsim,subtype=xen", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);
    struct dev_fs *fs = calloc(1, sizeof *fs);

    if (!fs)
        return -ENOMEM;
    fs->machine = m;
    fs->next_ino = DEVICE_INO;
    clock_gettime(CLOCK_REALTIME, &fs->born);
    pthread_mutex_init(&fs->buffer_lock, NULL);
    fs->path = strdup(path);
    fs->session = fuse_session_new(&args, &fs_ops, sizeof fs_ops, fs);
    fuse_opt_free_args(&args);
    if (!fs->path || !fs->session || fuse_session_mount(fs->session, path) || learn_dev(fs)) {
        fputs("gntsim: cannot mount a FUSE file system; `gntsim doctor` says what is missing\n",
              stderr);
        if (fs->session)
            fuse_session_destroy(fs->session);
        free(fs->path);
        free(fs);
        return -ENODEV;
    }
    *out = fs;
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
    LL_PREPEND(fs->spare, spare);
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

uint64_t dev_fs_requests(const struct dev_fs *fs)
{
    return fs->requests;
}

void dev_fs_abort(struct dev_fs *fs)
{
    /* Not libfuse's unmount: other namespaces keep the file system, and a blocked read must end. */
    if (fs)
        umount2(fs->path, MNT_FORCE | MNT_DETACH);
}

void dev_fs_close_all(struct dev_fs *fs)
{
    while (fs && fs->files) {
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
    nodes_free(fs);
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
