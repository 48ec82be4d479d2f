/* SPDX-License-Identifier: MIT */
/* Checks that the library's descriptors are still its own before it uses them. */
#include "sock_fd_i.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gntsim/socket.h>

/* Not the C library's, which asks by name, and takes three times as long. */
static int look(int fd, struct stat *st)
{
    return (int)syscall(SYS_fstat, fd, st);
}

struct sock_fd sock_fd_of(int fd)
{
    struct sock_fd known = { .fd = fd };
    struct stat st;

    if (fd >= 0 && !look(fd, &st)) {
        known.dev = st.st_dev;
        known.ino = st.st_ino;
    }
    return known;
}

bool sock_fd_is_there(const struct sock_fd *fd)
{
    struct stat st;

    if (look(fd->fd, &st))
        return errno != EBADF;
    if (st.st_ino == fd->ino && st.st_dev == fd->dev)
        return true;
    errno = ENOTTY;
    return false;
}

void sock_fd_close(struct sock_fd *fd)
{
    int saved_errno = errno;

    if (fd->fd >= 0 && sock_fd_is_there(fd))
        close(fd->fd);
    *fd = SOCK_FD_NONE;
    errno = saved_errno;
}

int sock_fd_lift(int fd)
{
    int saved_errno = errno, high = fcntl(fd, F_DUPFD_CLOEXEC, SOCK_FILES_MIN_FD);

    if (high >= FD_SETSIZE) {
        close(high);
        high = -1;
    }
    if (high >= 0)
        close(fd);
    errno = saved_errno;
    return high < 0 ? fd : high;
}
