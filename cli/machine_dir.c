/* SPDX-License-Identifier: MIT */
/* Claims the directory of a machine that stays, and finds the machine that serves there. */
#include "machine_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "trust.h"
#include "wire.h"

#define SOCKET_NAME "control"

bool machine_dir_address(const char *path, struct sockaddr_un *addr)
{
    *addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if ((size_t)snprintf(addr->sun_path, sizeof addr->sun_path, "%s/" SOCKET_NAME, path) <
        sizeof addr->sun_path)
        return true;
    failure("the path %s/" SOCKET_NAME " is too long for a socket (%zu bytes at most)", path,
            sizeof addr->sun_path - 1);
    return false;
}

/* ---- Serving --------------------------------------------------------------------------------- */

static int connected(const struct sockaddr_un *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

#define PATIENCE_MS 2000

/* Whoever removes what dead machines left holds the lock of a directory for a moment, also of one
 * that a machine is about to take; a machine that starts holds it until it answers. */
static bool locked(const struct machine_dir *dir, int *probe)
{
    for (int ms = 0; flock(dir->fd, LOCK_EX | LOCK_NB); ms++) {
        *probe = connected(&dir->addr);
        if (*probe >= 0 || ms == PATIENCE_MS)
            return false;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    *probe = connected(&dir->addr);
    return *probe < 0;
}

/* Locks it, or says who has it. */
static bool is_used(const struct machine_dir *dir)
{
    struct ucred peer;
    int probe;

    if (locked(dir, &probe))
        return false;
    if (probe >= 0 && wire_peer(probe, &peer))
        failure("a machine is running at %s already, served by process %d (end it with "
             "`gntsim ctl --dir %s shutdown`)", dir->path, peer.pid, dir->path);
    else
        failure("a process has held the lock of %s for %d s and does not serve there: see who with "
             "`fuser %s`, or use another directory", dir->path, PATIENCE_MS / 1000, dir->path);
    if (probe >= 0)
        close(probe);
    return true;
}

/* Who else may change what is in it could have us serve, or others meet, something else. */
static bool is_safe(const struct machine_dir *dir, const struct stat *st)
{
    char name[64];

    if (st->st_uid != geteuid() && st->st_uid) {
        failure("%s belongs to user %s, who could put another machine there: use a directory of "
                "your own (one that is new is made)",
                dir->path, trust_user_name(st->st_uid, name, sizeof name));
        return false;
    }
    if (st->st_mode & S_IWOTH && !(st->st_mode & S_ISVTX)) {
        failure("everybody may write to %s, and could put another machine there: chmod o-w %s, or "
                "use another (one that is new is made)",
                dir->path, dir->path);
        return false;
    }
    return true;
}

/* Opens and locks it. False after a message. *again: it was removed meanwhile, as an idle one. */
static bool take(struct machine_dir *dir, bool *again)
{
    struct stat st;

    *again = false;
    dir->made = !mkdir(dir->path, 0700);
    if (!dir->made && errno != EEXIST) {
        failure("cannot make %s: %s", dir->path, strerror(errno));
        return false;
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir->fd < 0) {
        *again = errno == ENOENT && dir->made;
        if (!*again)
            failure("cannot use %s: %s", dir->path,
                    errno == ENOTDIR || errno == ELOOP
                        ? "it is no directory, or a symbolic link (name the "
                          "directory itself)"
                        : strerror(errno));
        return false;
    }
    if (fstat(dir->fd, &st)) {
        failure("cannot use %s: %s", dir->path, strerror(errno));
        return false;
    }
    if (!is_safe(dir, &st))
        return false;
    if (is_used(dir))
        return false;
    *again = fstat(dir->fd, &st) || !st.st_nlink;
    return !*again;
}

/* A socket that is its user's only from the start. */
static int bound_socket(const struct machine_dir *dir)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
    mode_t before = umask(0177);
    struct stat st;

    rc = fd < 0 || bind(fd, (const struct sockaddr *)&dir->addr, sizeof dir->addr) ||
         listen(fd, 64) || fstatat(dir->fd, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW);
    umask(before);
    if (!rc)
        return fd;
    failure("cannot listen at %s: %s", dir->addr.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int machine_dir_listen(struct machine_dir *dir, const char *path)
{
    struct stat st;
    bool again;
    int fd = -1;

    *dir = (struct machine_dir){ .path = path, .fd = -1 };
    if (!machine_dir_address(path, &dir->addr))
        return -1;
    while (!take(dir, &again)) {
        if (dir->fd >= 0)
            close(dir->fd);
        if (!again)
            return -1;
    }
    /* Of a machine that was killed: we have the lock. */
    if (!fstatat(dir->fd, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode))
        unlinkat(dir->fd, SOCKET_NAME, 0);
    fd = bound_socket(dir);
    if (fd < 0) {
        if (dir->made)
            rmdir(path);
        close(dir->fd);
    }
    return fd;
}

void machine_dir_leave(struct machine_dir *dir)
{
    unlinkat(dir->fd, SOCKET_NAME, 0);
    if (dir->made)
        rmdir(dir->path);
    close(dir->fd);
}
