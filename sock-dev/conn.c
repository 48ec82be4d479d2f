/* SPDX-License-Identifier: MIT */
/*
 * Serves one connection: receives whole requests and sends the replies. It is a loop in a thread of
 * its own, which waits in recvmsg. An epoll in between would more than double the time of a round
 * trip.
 */
#include "sock_i.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "loops.h"
#include "maps.h"
#include "receive.h"
#include "saying.h"

#define FIRST_CAPACITY 512u

/* ---- Receiving ------------------------------------------------------------------------------- */

ssize_t sock_receive(int from, void *to, size_t size, int *fd)
{
    struct received with = { .fds = fd, .room = 1, .let_go = loops_close };
    ssize_t n;
    bool many;

    *fd = -1;
    n = receive_message(from, to, size, &with);
    if (n < 0)
        return n;
    many = with.nr > 1 || with.flags & MSG_CTRUNC;
    if (!many && !(with.flags & MSG_TRUNC))
        return n;
    if (*fd >= 0)
        loops_close(*fd);
    *fd = -1;
    return many ? -EBADMSG : -EMSGSIZE;
}

static struct sock_header announced(const struct sock_conn *conn)
{
    struct sock_header header;

    memcpy(&header, conn->in, sizeof header);
    return header;
}

static bool drop(struct sock_conn *conn, const char *why)
{
    machine_log(conn->server->machine,
                "domain %u: dropped process %d, which sent over its socket %s", conn->domid,
                conn->peer, why);
    return false;
}

/*
 * Makes room for the next packet; not much faster than they arrive, whatever the header announces.
 */
static bool make_room(struct sock_conn *conn)
{
    size_t needed = conn->in_used + SOCK_MAX_PACKET,
           capacity = conn->in_capacity * 2 > needed ? conn->in_capacity * 2 : needed;
    char *bigger;

    if (conn->in_capacity >= needed)
        return true;
    bigger = realloc(conn->in, capacity);
    if (!bigger)
        return false;
    conn->in = bigger;
    conn->in_capacity = capacity;
    return true;
}

/* Waits for more. False: this connection is over. */
static bool receive(struct sock_conn *conn)
{
    ssize_t n;
    int fd;

    if (!make_room(conn))
        return drop(conn, "more than there is memory for");
    n = sock_receive(conn->fd, conn->in + conn->in_used, conn->in_capacity - conn->in_used, &fd);
    if (n == -EBADMSG || (fd >= 0 && conn->in_fd >= 0)) {
        if (fd >= 0)
            loops_close(fd);
        return drop(conn, "descriptors that nobody asked for");
    }
    if (n == -EMSGSIZE)
        return drop(conn, "a packet that is too long");
    if (fd >= 0)
        conn->in_fd = fd;
    if (n <= 0) {
        if (conn->in_used)
            drop(conn, "half a message");
        return false;
    }
    conn->in_used += (size_t)n;
    return true;
}

/*
 * A whole request is at the head of conn->in. Processes that share a connection may have sent
 * others behind it.
 */
static bool receive_request(struct sock_conn *conn)
{
    while (conn->in_used < sizeof(struct sock_header) || conn->in_used < announced(conn).size) {
        if (!receive(conn))
            return false;
        if (conn->in_used >= sizeof(struct sock_header) &&
            (announced(conn).size < sizeof(struct sock_header) ||
             announced(conn).size > SOCK_MAX_MESSAGE))
            return drop(conn, "a message of an impossible size");
    }
    return true;
}

static void consume(struct sock_conn *conn)
{
    uint32_t size = announced(conn).size;

    conn->in_used -= size;
    if (conn->in_used)
        memmove(conn->in, conn->in + size, conn->in_used);
}

/* ---- Sending --------------------------------------------------------------------------------- */

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

bool conn_compose(struct sock_conn *conn, const struct vma *vma)
{
    const struct message *message = &conn->message;
    struct sock_reply *reply = &conn->reply;
    bool fits;

    if (conn->seen_lost != conn->server->machine->follow.nr_lost)
        reply->map_flags |= SOCK_LOST_NEWS;
    conn->seen_lost = conn->server->machine->follow.nr_lost;
    reply->nr_runs = vma ? (uint32_t)vma->nr_runs : 0;
    reply->nr_writes = message->nr_writes;
    conn->out_size = 0;
    fits = out_append(conn, reply, sizeof *reply);
    for (uint32_t i = 0; fits && i < reply->nr_runs; i++) {
        struct sock_run run = { vma->runs[i].mfn, vma->runs[i].nr };

        fits = out_append(conn, &run, sizeof run);
    }
    if (message->nr_writes)
        fits =
            fits && out_append(conn, message->writes, message->nr_writes * sizeof *message->writes);
    for (uint32_t i = 0; fits && i < message->nr_writes; i++)
        fits = out_append(conn, message_bytes(message, message->writes[i].addr),
                          message->writes[i].size);
    if (!fits)
        return false;
    reply->header.size = (uint32_t)conn->out_size;
    memcpy(conn->out, &reply->header, sizeof reply->header);
    return true;
}

/* Waits until the peer takes it. False: the peer is gone. */
static bool send_reply(struct sock_conn *conn)
{
    size_t done = 0;

    while (done < conn->out_size) {
        union {
            char space[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control;
        size_t left = conn->out_size - done;
        struct iovec iov = { conn->out + done, left < SOCK_MAX_PACKET ? left : SOCK_MAX_PACKET };
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
        n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        /* The peer alone has it from here on. */
        if (conn->out_fd >= 0)
            close(conn->out_fd);
        conn->out_fd = -1;
        done += (size_t)n;
    }
    return done == conn->out_size;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Waits for the next request where the peer sends it from. On another processor, idle as it is by
 * then, this thread and the peer would each wait for the other to wake up. */
static void follow(struct sock_conn *conn, int processor)
{
    cpu_set_t set;

    if (processor == conn->processor || processor >= CPU_SETSIZE)
        return;
    conn->processor = processor;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    sched_setaffinity(0, sizeof set, &set);      /* one that the machine may not use: it stays */
}

/* A loop_step: one request. */
static bool conn_step(void *ctx)
{
    struct sock_conn *conn = ctx;
    struct machine *m = conn->server->machine;
    const char *why = NULL;
    int processor;
    bool answered;

    if (!receive_request(conn))
        return false;
    processor = announced(conn).processor;
    conn->out_size = 0;
    if (say_answer(conn)) {
        consume(conn);
        return send_reply(conn);
    }
    machine_lock(m);
    /* The peer goes on, so it has mapped what the last reply was about. */
    if (conn->placing)
        maps_settled(m->maps, conn->placing);
    conn->placing = 0;
    conn->server->requests++;
    machine_caller_seen(m, conn->peer, conn->witness);
    conn->witness = NULL;
    answered = call_answer(conn, &why);
    machine_unlock(m);
    message_clear(&conn->message);
    if (!answered)
        return why ? drop(conn, why) : false;
    consume(conn);
    if (!send_reply(conn))
        return false;
    follow(conn, processor);
    return true;
}

/* Without the lock. */
static void conn_ended(void *ctx)
{
    struct sock_conn *conn = ctx;
    struct sock_server *server = conn->server;
    struct machine *m = server->machine;

    machine_lock(m);
    if (conn->placing)
        maps_settled(m->maps, conn->placing);
    DL_DELETE(conn->server->conns, conn);
    if (conn->out_fd >= 0)
        close(conn->out_fd);
    if (conn->file)
        sock_file_put(conn->file);
    machine_unlock(m);
    ended_count(&server->ended);
    loops_close(conn->fd);
    if (conn->in_fd >= 0)
        loops_close(conn->in_fd);
    sem_destroy(&conn->decided);
    free(conn->in);
    free(conn->out);
    free(conn);
}

void conn_hang_up(struct sock_conn *conn)
{
    shutdown(conn->fd, SHUT_RDWR);
}

int conn_create(struct sock_server *server, int fd, domid_t domid, pid_t peer,
                struct sock_file *file)
{
    struct sock_conn *conn = calloc(1, sizeof *conn);
    struct ucred cred = { 0 };
    socklen_t size = sizeof cred, type_size = sizeof(int);
    int rc = -ENOMEM, type = 0;

    if (!conn)
        goto fail;
    rc = -ENOTSOCK;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) || type != SOCK_SEQPACKET)
        goto fail;
    /* Whatever its sender made of it: the thread waits in it. */
    fcntl(fd, F_SETFL, 0);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size);
    *conn = (struct sock_conn){
        .fd = fd, .server = server, .domid = domid, .peer = peer ? peer : cred.pid, .file = file,
        .in_fd = -1, .out_fd = -1, .processor = -1
    };
    sem_init(&conn->decided, 0, 0);
    DL_PREPEND(server->conns, conn);
    rc = server->stopping ? -ESHUTDOWN
                          : loops_start(server->machine->loops, conn_step, conn_ended, conn);
    if (!rc)
        return 0;
    DL_DELETE(server->conns, conn);
    sem_destroy(&conn->decided);

fail:
    free(conn);
    return rc;
}
