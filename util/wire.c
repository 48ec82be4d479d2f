/* SPDX-License-Identifier: MIT */
/* Sends and receives the control socket's lines and the descriptors beside them. */
#include "wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "receive.h"

static_assert(WIRE_MAX_FDS <= RECEIVE_MOST, "all that may come are taken");

static void close_one(int fd)
{
    close(fd);
}

void wire_init(struct wire *wire, int fd)
{
    *wire = (struct wire){ .fd = fd, .longest = WIRE_MAX_LINE, .let_go = close_one };
}

void wire_clear(struct wire *wire)
{
    for (unsigned i = 0; i < wire->nr_fds; i++)
        wire->let_go(wire->fds[i]);
    for (unsigned i = 0; i < wire->nr_out_fds; i++)
        close(wire->out_fds[i]);
    free(wire->buffer);
    free(wire->out);
    wire_init(wire, wire->fd);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

int wire_receive(struct wire *wire)
{
    struct received with = { .fds = wire->fds + wire->nr_fds, .room = WIRE_MAX_FDS - wire->nr_fds,
                             .let_go = wire->let_go };
    ssize_t n;

    if (wire->capacity - wire->used < 4096) {
        size_t capacity = wire->capacity ? wire->capacity * 2 : 8192;
        char *bigger;

        if (capacity > wire->longest)
            return -EMSGSIZE;
        bigger = realloc(wire->buffer, capacity);
        if (!bigger)
            return -ENOMEM;
        wire->buffer = bigger;
        wire->capacity = capacity;
    }
    n = receive_message(wire->fd, wire->buffer + wire->used, wire->capacity - wire->used, &with);
    if (n < 0)
        return (int)n;
    wire->nr_fds += with.nr < with.room ? with.nr : with.room;
    wire->lost |= (with.flags & MSG_CTRUNC) != 0;
    wire->used += (size_t)n;
    return n > 0;
}

char *wire_take_line(struct wire *wire)
{
    char *end = wire->used > wire->seen
                  ? memchr(wire->buffer + wire->seen, '\n', wire->used - wire->seen)
                  : NULL,
         *line;
    size_t size;

    if (!end) {
        wire->seen = wire->used;
        return NULL;
    }
    size = (size_t)(end - wire->buffer);
    line = strndup(wire->buffer, size);
    wire->used -= size + 1;
    wire->seen = 0;
    memmove(wire->buffer, end + 1, wire->used);
    return line;
}

unsigned wire_take_descriptors(struct wire *wire, int *fds, unsigned nr_fds)
{
    unsigned n = nr_fds < wire->nr_fds ? nr_fds : wire->nr_fds;

    for (unsigned i = 0; i < n; i++)
        fds[i] = wire->fds[i];
    wire->nr_fds -= n;
    memmove(wire->fds, wire->fds + n, wire->nr_fds * sizeof *wire->fds);
    return n;
}

/* ---- Sending --------------------------------------------------------------------------------- */

void wire_queue(struct wire *wire, const char *text, const int *fds, unsigned nr_fds)
{
    size_t size = strlen(text);

    wire->out = malloc(size + 1);
    wire->out_failed = !wire->out;
    wire->out_size = wire->out ? size + 1 : 0;
    wire->out_sent = 0;
    if (wire->out) {
        memcpy(wire->out, text, size);
        wire->out[size] = '\n';
    }
    for (wire->nr_out_fds = 0; wire->nr_out_fds < nr_fds; wire->nr_out_fds++)
        wire->out_fds[wire->nr_out_fds] = fds[wire->nr_out_fds];
}

static void sent_descriptors(struct wire *wire)
{
    while (wire->nr_out_fds)
        close(wire->out_fds[--wire->nr_out_fds]);
}

static ssize_t send_some(struct wire *wire)
{
    union {
        char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { wire->out + wire->out_sent, wire->out_size - wire->out_sent };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct cmsghdr *c;

    if (wire->nr_out_fds) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(wire->nr_out_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(wire->nr_out_fds * sizeof(int));
        memcpy(CMSG_DATA(c), wire->out_fds, wire->nr_out_fds * sizeof(int));
    }
    return sendmsg(wire->fd, &msg, MSG_NOSIGNAL);
}

int wire_flush(struct wire *wire)
{
    if (wire->out_failed)
        return -ENOMEM;
    while (wire->out_sent < wire->out_size) {
        ssize_t n = send_some(wire);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        sent_descriptors(wire);
        wire->out_sent += (size_t)n;
    }
    free(wire->out);
    wire->out = NULL;
    wire->out_size = wire->out_sent = 0;
    return 1;
}

int wire_send(int fd, const char *text, int send_fd)
{
    struct wire wire;
    int rc;

    wire_init(&wire, fd);
    wire_queue(&wire, text, &send_fd, send_fd >= 0);
    rc = wire_flush(&wire);
    wire_clear(&wire);
    return rc > 0 ? 0 : rc ? rc : -ETIMEDOUT;
}

/* ---- Who is at the other end ----------------------------------------------------------------- */

bool wire_peer(int fd, struct ucred *peer)
{
    socklen_t size = sizeof *peer;

    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size);
}

bool wire_trusts(const struct ucred *peer)
{
    return peer->uid == geteuid() || peer->uid == 0;
}
