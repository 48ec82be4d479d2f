/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void wire_init(struct wire *wire, int fd)
{
    *wire = (struct wire){ .fd = fd };
}

void wire_clear(struct wire *wire)
{
    for (unsigned i = 0; i < wire->nr_fds; i++)
        close(wire->fds[i]);
    free(wire->buffer);
    *wire = (struct wire){ .fd = wire->fd };
}

static void take_descriptors(struct wire *wire, struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (unsigned i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (wire->nr_fds < WIRE_MAX_FDS)
                wire->fds[wire->nr_fds++] = fd;
            else
                close(fd);
        }
    }
}

int wire_receive(struct wire *wire)
{
    union {
        char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov;
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t n;

    if (wire->capacity - wire->used < 4096) {
        size_t capacity = wire->capacity ? wire->capacity * 2 : 8192;
        char *bigger;

        if (capacity > WIRE_MAX_LINE)
            return -EMSGSIZE;
        bigger = realloc(wire->buffer, capacity);
        if (!bigger)
            return -ENOMEM;
        wire->buffer = bigger;
        wire->capacity = capacity;
    }
    iov = (struct iovec){ wire->buffer + wire->used, wire->capacity - wire->used };
    do
        n = recvmsg(wire->fd, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    take_descriptors(wire, &msg);
    wire->lost |= (msg.msg_flags & MSG_CTRUNC) != 0;
    wire->used += (size_t)n;
    return n > 0;
}

char *wire_take_line(struct wire *wire)
{
    char *end = wire->used ? memchr(wire->buffer, '\n', wire->used) : NULL, *line;
    size_t size;

    if (!end)
        return NULL;
    size = (size_t)(end - wire->buffer);
    line = strndup(wire->buffer, size);
    wire->used -= size + 1;
    memmove(wire->buffer, end + 1, wire->used);
    return line;
}

static int wait_writable(int fd)
{
    struct pollfd pfd = { fd, POLLOUT, 0 };

    /* A reader that takes nothing for this long is not going to. */
    return poll(&pfd, 1, 2000) == 1 ? 0 : -EAGAIN;
}

int wire_send(int fd, const char *text, const int *fds, unsigned nr_fds)
{
    union {
        char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov[2] = { { (void *)text, strlen(text) }, { (void *)"\n", 1 } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

    if (nr_fds) {
        struct cmsghdr *c;

        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, nr_fds * sizeof(int));
    }
    while (msg.msg_iovlen) {
        ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            int rc = wait_writable(fd);

            if (rc)
                return rc;
            continue;
        }
        if (n < 0)
            return -errno;
        msg.msg_control = NULL;
        msg.msg_controllen = 0;
        while (msg.msg_iovlen && (size_t)n >= msg.msg_iov->iov_len) {
            n -= (ssize_t)msg.msg_iov->iov_len;
            msg.msg_iov++;
            msg.msg_iovlen--;
        }
        if (msg.msg_iovlen) {
            msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + n;
            msg.msg_iov->iov_len -= (size_t)n;
        }
    }
    return 0;
}
