/* SPDX-License-Identifier: MIT */
/* One connection: receives whole requests, sends replies, ends. */
#include "sock_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "maps.h"

#define FIRST_CAPACITY 512u

/* ---- Receiving -------------------------------------------------------------------------------- */

/* Closes all descriptors of a message but the first, which is returned (-1: none); *many if there were more. */
static int take_descriptor(struct msghdr *msg, bool *many)
{
    int first = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t nr = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

        for (size_t i = 0; i < nr; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (first < 0) {
                first = fd;
            } else {
                close(fd);
                *many = true;
            }
        }
    }
    return first;
}

ssize_t sock_receive(int from, void *to, size_t size, int *fd)
{
    union {
        char space[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { to, size };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    bool many;
    ssize_t n;

    *fd = -1;
    do
        n = recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    many = msg.msg_flags & MSG_CTRUNC;
    if (msg.msg_controllen)
        *fd = take_descriptor(&msg, &many);
    if (!many)
        return n;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -EBADMSG;
}

static uint32_t announced(const struct sock_conn *conn)
{
    struct sock_header header;

    memcpy(&header, conn->in, sizeof header);
    return header.size;
}

/* Makes room for what comes next, as the header announces it but not much faster than it arrives. */
static bool make_room(struct sock_conn *conn)
{
    size_t wanted = FIRST_CAPACITY, capacity = conn->in_capacity;
    char *bigger;

    if (conn->in_used >= sizeof(struct sock_header) && announced(conn) > wanted)
        wanted = announced(conn);
    if (conn->in_used < capacity || (capacity && capacity >= wanted))
        return true;
    if (wanted > 65536 && wanted > capacity * 4)
        wanted = capacity < 16384 ? 65536 : capacity * 4;
    bigger = realloc(conn->in, wanted);
    if (!bigger)
        return false;
    conn->in = bigger;
    conn->in_capacity = wanted;
    return true;
}

static bool drop(struct sock_conn *conn, const char *why)
{
    machine_log(conn->server->machine, "domain %u: dropped process %d, which sent over its socket %s", conn->domid, conn->peer, why);
    return false;
}

/* The peer goes on, so it has mapped what the last reply was about. With the lock. */
static void settled(struct sock_conn *conn)
{
    if (conn->placing)
        maps_settled(conn->server->machine->maps, conn->placing);
    conn->placing = 0;
}

void conn_consume(struct sock_conn *conn)
{
    uint32_t size = announced(conn);

    conn->in_used -= size;
    if (conn->in_used)
        memmove(conn->in, conn->in + size, conn->in_used);
}

/* A request, or the beginning of one, is in. False: this connection is over. */
static bool input(struct sock_conn *conn)
{
    struct machine *m = conn->server->machine;
    const char *why = NULL;
    uint32_t size;
    bool good;

    if (conn->in_used < sizeof(struct sock_header))
        return true;
    size = announced(conn);
    if (size < sizeof(struct sock_header) || size > SOCK_MAX_MESSAGE)
        return drop(conn, "a message of an impossible size");
    if (conn->in_used < size)
        return true;
    machine_lock(m);
    settled(conn);
    m->stats.socket_requests++;
    machine_caller(m, conn->peer);
    good = call_start(conn, &why);
    machine_unlock(m);
    return good ? true : drop(conn, why);
}

/* What is in, as far as it can be answered now: processes that share a connection may have sent requests at the same time. */
static bool input_all(struct sock_conn *conn)
{
    bool good = true;
    size_t before;

    do {
        before = conn->in_used;
        good = input(conn);
    } while (good && conn->in_used && conn->in_used < before && !conn->busy && !conn->out_size);
    return good;
}

static bool receive(struct sock_conn *conn)
{
    ssize_t n;
    int fd;

    if (!make_room(conn))
        return drop(conn, "more than there is memory for");
    n = sock_receive(conn->watch.fd, conn->in + conn->in_used, conn->in_capacity - conn->in_used, &fd);
    if (n == -EAGAIN)
        return true;
    if (n == -EBADMSG || (fd >= 0 && conn->in_fd >= 0)) {
        if (fd >= 0)
            close(fd);
        return drop(conn, "descriptors that nobody asked for");
    }
    if (fd >= 0)
        conn->in_fd = fd;
    if (n <= 0) {
        if (conn->in_used)
            drop(conn, "half a message");
        return false;
    }
    conn->in_used += (size_t)n;
    return input_all(conn);
}

/* ---- Sending ---------------------------------------------------------------------------------- */

/* Sends what is left of the reply. With the lock. */
static void flush(struct sock_conn *conn)
{
    while (conn->out_done < conn->out_size) {
        union {
            char space[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control;
        struct iovec iov = { conn->out + conn->out_done, conn->out_size - conn->out_done };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (conn->out_fd >= 0) {
            struct cmsghdr *c;

            msg.msg_control = &control;
            msg.msg_controllen = sizeof control.space;
            c = CMSG_FIRSTHDR(&msg);
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(c), &conn->out_fd, sizeof(int));
        }
        n = sendmsg(conn->watch.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            server_rearm(conn->server, &conn->watch, EPOLLOUT);
            return;
        }
        if (conn->out_fd >= 0)
            close(conn->out_fd);
        conn->out_fd = -1;
        if (n < 0)
            break;               /* gone, which the loop sees */
        conn->out_done += (size_t)n;
    }
    conn->out_size = conn->out_done = 0;
}

static bool out_append(struct sock_conn *conn, const void *bytes, size_t size)
{
    if (conn->out_size + size > conn->out_capacity) {
        size_t capacity = conn->out_capacity ? conn->out_capacity : FIRST_CAPACITY;
        char *bigger;

        while (capacity < conn->out_size + size)
            capacity *= 2;
        bigger = realloc(conn->out, capacity);
        if (!bigger)
            return false;
        conn->out = bigger;
        conn->out_capacity = capacity;
    }
    if (size)
        memcpy(conn->out + conn->out_size, bytes, size);
    conn->out_size += size;
    return true;
}

static bool compose(struct sock_conn *conn, const struct vma *vma)
{
    const struct message *message = &conn->message;
    struct sock_reply *reply = &conn->reply;
    bool fits;

    reply->nr_runs = vma ? (uint32_t)vma->nr_runs : 0;
    reply->nr_writes = message->nr_writes;
    fits = out_append(conn, reply, sizeof *reply);
    for (uint32_t i = 0; fits && i < reply->nr_runs; i++) {
        struct sock_run run = { vma->runs[i].mfn, vma->runs[i].nr };

        fits = out_append(conn, &run, sizeof run);
    }
    if (message->nr_writes)
        fits = fits && out_append(conn, message->writes, message->nr_writes * sizeof *message->writes);
    for (uint32_t i = 0; fits && i < message->nr_writes; i++)
        fits = out_append(conn, message_bytes(message, message->writes[i].addr), message->writes[i].size);
    return fits;
}

void conn_reply(struct sock_conn *conn, const struct vma *vma, int fd)
{
    bool was_busy = conn->busy;

    conn->busy = false;
    if (!compose(conn, vma)) {
        /* No memory for the reply: without one the caller could not go on. */
        conn->out_size = 0;
        shutdown(conn->watch.fd, SHUT_RDWR);
        if (fd >= 0)
            close(fd);
        fd = -1;
    } else {
        struct sock_header header = { (uint32_t)conn->out_size, conn->reply.header.op };

        memcpy(conn->out, &header, sizeof header);
    }
    message_clear(&conn->message);
    conn_consume(conn);
    conn->out_fd = fd;
    if (conn->gone) {
        conn_free(conn);
        return;
    }
    /* If another request is in already no input would tell. */
    if (was_busy)
        server_rearm(conn->server, &conn->watch, conn->in_used ? EPOLLIN | EPOLLOUT : EPOLLIN);
    flush(conn);
}

void conn_result(struct sock_conn *conn, int64_t result, int fd)
{
    conn->reply.result = result;
    conn_reply(conn, NULL, fd);
}

/* ---- Life ------------------------------------------------------------------------------------- */

/* The peer is gone, or is to be. */
static void hang_up(struct sock_conn *conn)
{
    struct machine *m = conn->server->machine;

    machine_lock(m);
    if (conn->busy) {
        conn->gone = true;
        server_unwatch(conn->server, &conn->watch);
        kernel_cancel(&conn->kreq);
    } else {
        conn_free(conn);
    }
    machine_unlock(m);
}

static void conn_ready(struct sock_watch *watch, unsigned events)
{
    struct sock_conn *conn = (struct sock_conn *)(void *)watch;
    struct machine *m = conn->server->machine;
    bool over;

    if (events & EPOLLIN) {
        over = !receive(conn);
    } else {
        over = events & (EPOLLHUP | EPOLLERR);
        if (!over && events & EPOLLOUT) {
            machine_lock(m);
            server_rearm(conn->server, watch, EPOLLIN);
            flush(conn);
            machine_unlock(m);
            over = !conn->out_size && conn->in_used && !input_all(conn);
        }
    }
    if (over)
        hang_up(conn);
}

int conn_create(struct sock_server *server, int fd, domid_t domid, struct sock_file *file)
{
    struct sock_conn *conn = calloc(1, sizeof *conn);
    struct ucred cred = { 0 };
    socklen_t size = sizeof cred, type_size = sizeof(int);
    int rc = -ENOMEM, type = 0;

    if (!conn)
        goto fail;
    rc = -ENOTSOCK;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) || type != SOCK_STREAM)
        goto fail;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size);
    *conn = (struct sock_conn){ .watch = { fd, conn_ready }, .server = server, .domid = domid, .peer = cred.pid, .file = file,
                                .in_fd = -1, .out_fd = -1 };
    rc = server_watch(server, &conn->watch, EPOLLIN);
    if (rc)
        goto fail;
    conn->next = server->conns;
    conn->pprev = &server->conns;
    if (conn->next)
        conn->next->pprev = &conn->next;
    server->conns = conn;
    return 0;

fail:
    free(conn);
    close(fd);
    return rc;
}

void conn_free(struct sock_conn *conn)
{
    settled(conn);
    *conn->pprev = conn->next;
    if (conn->next)
        conn->next->pprev = conn->pprev;
    if (!conn->gone)
        server_unwatch(conn->server, &conn->watch);
    close(conn->watch.fd);
    if (conn->in_fd >= 0)
        close(conn->in_fd);
    if (conn->out_fd >= 0)
        close(conn->out_fd);
    message_clear(&conn->message);
    free(conn->in);
    free(conn->out);
    if (conn->file)
        sock_file_put(conn->file);
    free(conn);
}
