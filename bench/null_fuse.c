/* SPDX-License-Identifier: MIT */
/*
 * Serves the smallest possible FUSE file system, against which the bench measures.
 *
 * null-fuse DIR               mounts it at DIR, prints "ready" and serves it
 * null-fuse DIR -- CMD...     the same for the life of CMD, whose exit status it returns
 *
 * It has one thread and five files. "null" answers every ioctl and write at once, "stuck" never
 * answers a read, and poll reports "bell" and "bell2" as readable once for each write. A second
 * thread answers the ioctls of "handed", one at a time. Tests use "stuck" as memory that cannot be
 * read.
 */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INO_ROOT = FUSE_ROOT_ID, INO_NULL, INO_STUCK, INO_BELL, INO_BELL2, INO_HANDED,
       INO_END };
#define NR_BELLS 2
#define FOR_EVER 3600.0

static const char *const names[INO_END] = { [INO_NULL] = "null", [INO_STUCK] = "stuck",
                                            [INO_BELL] = "bell", [INO_BELL2] = "bell2",
                                            [INO_HANDED] = "handed" };

static int attributes(fuse_ino_t ino, struct stat *st)
{
    memset(st, 0, sizeof *st);
    st->st_ino = ino;
    st->st_uid = getuid();
    st->st_gid = getgid();
    st->st_nlink = 1;
    st->st_mode = ino == INO_ROOT ? S_IFDIR | 0755 : S_IFREG | 0644;
    st->st_size = ino == INO_STUCK ? 4096 : 0;
    return ino >= INO_ROOT && ino < INO_END ? 0 : ENOENT;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = { .attr_timeout = FOR_EVER, .entry_timeout = FOR_EVER };

    for (fuse_ino_t ino = INO_NULL; ino < INO_END; ino++)
        if (parent == INO_ROOT && !strcmp(name, names[ino]))
            entry.ino = ino;
    if (!entry.ino || attributes(entry.ino, &entry.attr))
        fuse_reply_err(req, ENOENT);
    else
        fuse_reply_entry(req, &entry);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    int error = attributes(ino, &st);

    (void)fi;
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_attr(req, &st, FOR_EVER);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fi->direct_io = ino != INO_STUCK;
    fuse_reply_open(req, fi);
}

/* ---- The second thread ----------------------------------------------------------------------- */

struct second {
    int wake_fd;
    _Atomic(fuse_req_t) req;
};

static void *second_main(void *arg)
{
    struct second *second = arg;
    uint64_t count;

    while (read(second->wake_fd, &count, sizeof count) == sizeof count)
        fuse_reply_ioctl(atomic_load(&second->req), 0, NULL, 0);
    return NULL;
}

static void hand_over(struct second *second, fuse_req_t req)
{
    uint64_t one = 1;

    atomic_store(&second->req, req);
    if (write(second->wake_fd, &one, sizeof one) != sizeof one)
        fuse_reply_err(req, EIO);
}

/* In the process that serves. */
static bool start_second(struct second *second)
{
    pthread_t thread;

    second->wake_fd = eventfd(0, EFD_CLOEXEC);
    return second->wake_fd >= 0 && !pthread_create(&thread, NULL, second_main, second);
}

/* ---- The bells ------------------------------------------------------------------------------- */

struct bell {
    bool rung;
    struct fuse_pollhandle *waiting;
};

struct served {
    struct bell bells[NR_BELLS];
    struct second second;
};

/* NULL: the file is none. */
static struct bell *bell_of(fuse_req_t req, fuse_ino_t ino)
{
    struct served *served = fuse_req_userdata(req);

    return ino == INO_BELL || ino == INO_BELL2 ? &served->bells[ino - INO_BELL] : NULL;
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
                     struct fuse_file_info *fi)
{
    struct bell *bell = bell_of(req, ino);

    (void)bytes;
    (void)off;
    (void)fi;
    if (!bell && ino != INO_NULL) {
        fuse_reply_err(req, EACCES);
        return;
    }
    if (bell)
        bell->rung = true;
    if (bell && bell->waiting) {
        fuse_lowlevel_notify_poll(bell->waiting);
        fuse_pollhandle_destroy(bell->waiting);
        bell->waiting = NULL;
    }
    fuse_reply_write(req, size);
}

static void do_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
                    struct fuse_pollhandle *handle)
{
    struct bell *bell = bell_of(req, ino);

    (void)fi;
    if (handle && bell && bell->waiting)
        fuse_pollhandle_destroy(bell->waiting);
    if (handle && bell)
        bell->waiting = handle;
    else if (handle)
        fuse_pollhandle_destroy(handle);
    fuse_reply_poll(req, !bell || bell->rung ? POLLIN | POLLOUT : POLLOUT);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    struct bell *bell = bell_of(req, ino);

    (void)size;
    (void)off;
    (void)fi;
    if (bell)
        bell->rung = false;
    if (ino != INO_STUCK)
        fuse_reply_buf(req, NULL, 0);
    /* else: the reader waits until the file system goes */
}

static void do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
                     struct fuse_file_info *fi, unsigned flags,
                     const void *in, size_t in_size, size_t out_size)
{
    struct served *served = fuse_req_userdata(req);

    (void)cmd;
    (void)arg;
    (void)fi;
    (void)flags;
    (void)in;
    (void)in_size;
    (void)out_size;
    if (ino == INO_HANDED)
        hand_over(&served->second, req);
    else
        fuse_reply_ioctl(req, 0, NULL, 0);
}

static const struct fuse_lowlevel_ops ops = {
    .lookup = do_lookup,
    .getattr = do_getattr,
    .open = do_open,
    .read = do_read,
    .write = do_write,
    .poll = do_poll,
    .ioctl = do_ioctl,
};

/* CMD beside a server process; the mount lives as long as CMD. */
static int run(struct fuse_session *session, const char *dir, char **argv)
{
    char path[4096];
    struct stat st;
    int status;
    pid_t server = fork(), command;

    if (server < 0)
        return 1;
    if (!server)
        _exit(fuse_session_loop(session) < 0);
    snprintf(path, sizeof path, "%s/null", dir);
    if (stat(path, &st))
        perror(path);
    command = fork();
    if (!command) {
        execvp(argv[0], argv);
        _exit(127);
    }
    if (command < 0 || waitpid(command, &status, 0) < 0)
        status = 1 << 8;
    fuse_session_unmount(session);
    waitpid(server, NULL, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    char option[] = "-ofsname=null-fuse", *arguments[] = { argv[0], option, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(2, arguments);
    struct fuse_session *session;
    struct served served = { .second.wake_fd = -1 };
    int status = 1;

    if (argc < 2 || (argc > 2 && (argc < 4 || strcmp(argv[2], "--")))) {
        fputs("usage: null-fuse DIR [-- CMD...]\n", stderr);
        return 2;
    }
    session = fuse_session_new(&args, &ops, sizeof ops, &served);
    if (!session)
        return 1;
    if (fuse_session_mount(session, argv[1]))
        goto destroy;
    if (argc > 3) {
        status = run(session, argv[1], argv + 3);
        goto destroy;
    }
    if (!start_second(&served.second) || fuse_set_signal_handlers(session))
        goto unmount;
    puts("ready");
    fflush(stdout);
    status = fuse_session_loop(session) < 0;
    fuse_remove_signal_handlers(session);
unmount:
    fuse_session_unmount(session);
destroy:
    fuse_session_destroy(session);
    return status;
}
