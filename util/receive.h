/* SPDX-License-Identifier: MIT */
/* Receives a message, and the descriptors that came with it. */
#ifndef GNTSIM_UTIL_RECEIVE_H
#define GNTSIM_UTIL_RECEIVE_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_MOST 4u          /* descriptors that are taken from one message */

struct received {
    int *fds;                    /* where they go; untouched beyond those that came */
    unsigned room;
    void (*let_go)(int fd);      /* closes one that has no room; NULL: close(2) does */
    unsigned nr;                 /* that came, those without room included */
    int flags;                   /* recvmsg's: MSG_CTRUNC, MSG_TRUNC */
};

/* Bytes, 0 at the end, or a negative errno. A signal does not end it. */
static inline ssize_t receive_message(int socket, void *to, size_t size, struct received *with)
{
    union {
        char space[CMSG_SPACE(RECEIVE_MOST * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { to, size };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
                          .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t n;
    int fd;

    do
        n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    with->flags = msg.msg_flags;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof fd <= c->cmsg_len - CMSG_LEN(0); at += sizeof fd) {
            memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
            if (with->nr++ < with->room)
                with->fds[with->nr - 1] = fd;
            else if (with->let_go)
                with->let_go(fd);
            else
                close(fd);
        }
    }
    return n;
}

#endif
