/* SPDX-License-Identifier: MIT */
/* Serves an evtchn device's event socket: reads ports from the device and passes them on. */
#include "sock_i.h"

#include "loops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PORTS 1024

struct sock_events {
    struct sock_watch watch;
    struct sock_file *file;
    uint32_t ports[MAX_PORTS];   /* read from the device, and not sent yet: bytes sent .. size */
    size_t size, sent;
    bool blocked;                /* the peer must read first */
    bool failed;                 /* an error was passed on */
    char in[4];                  /* part of a port that is being written */
    size_t in_used;
};

static bool flush(struct sock_events *events)
{
    while (events->sent < events->size) {
        ssize_t n = send(events->watch.fd, (char *)events->ports + events->sent,
                         events->size - events->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            events->blocked = true;
            server_rearm(events->file->server, &events->watch, EPOLLIN | EPOLLOUT);
            return false;
        }
        if (n < 0)
            return false;        /* gone, which the loop sees */
        events->sent += (size_t)n;
    }
    return true;
}

/* The device is opened O_NONBLOCK. */
static void never_done(struct kreq *kreq, long result)
{
    (void)kreq;
    (void)result;
    abort();
}

void events_push(struct sock_events *events)
{
    struct kreq kreq = { .done = never_done };

    while (!events->blocked && flush(events) && !events->failed) {
        long n = kernel_read(events->file->file, events->ports, sizeof events->ports, &kreq);

        if (n == -EAGAIN || n == 0)
            return;
        events->sent = 0;
        events->size = n > 0 ? (size_t)n : sizeof *events->ports;
        if (n < 0) {
            events->failed = true;
            events->ports[0] = (uint32_t)n;
        }
    }
}

void events_reset(struct sock_events *events)
{
    events->failed = false;
    events_push(events);
}

/* ---- What the peer writes -------------------------------------------------------------------- */

static void write_ports(struct sock_events *events, const char *bytes, size_t size)
{
    uint32_t port;

    for (size_t i = 0; i < size; i++) {
        events->in[events->in_used++] = bytes[i];
        if (events->in_used < sizeof port)
            continue;
        events->in_used = 0;
        memcpy(&port, events->in, sizeof port);
        if (port != SOCK_EVENTS_ATTACH)
            kernel_write(events->file->file, &port, sizeof port);
    }
}

/* With the lock. A descriptor makes a connection; false if it cannot. */
static bool attach(struct sock_events *events, int fd)
{
    struct sock_file *file = events->file;

    file->refs++;
    if (!conn_create(file->server, fd, file->domain->place, 0, file))
        return true;
    sock_file_put(file);
    return false;
}

static void events_ready(struct sock_watch *watch, unsigned mask)
{
    struct sock_events *events = (struct sock_events *)(void *)watch;
    struct machine *m = events->file->server->machine;
    char bytes[4096];
    int fd = -1;
    ssize_t n =
        mask & ~(unsigned)EPOLLOUT ? sock_receive(watch->fd, bytes, sizeof bytes, &fd) : -EAGAIN;

    machine_lock(m);
    if (fd >= 0 && attach(events, fd))
        fd = -1;
    if (fd >= 0)
        machine_log(m, "domain %u: what came to an event socket is no socket: ignored",
                    events->file->domain->id);
    if (n > 0)
        write_ports(events, bytes, (size_t)n);
    if (n == 0 || (n < 0 && n != -EAGAIN)) {
        events_free(events);
    } else if (mask & EPOLLOUT) {
        events->blocked = false;
        server_rearm(events->file->server, watch, EPOLLIN);
        events_push(events);
    }
    machine_unlock(m);
    if (fd >= 0)
        loops_close(fd);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int events_create(struct sock_file *file, int *client_fd)
{
    struct sock_events *events = calloc(1, sizeof *events);
    int fds[2], rc;

    if (!events)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
        free(events);
        return -errno;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    events->watch = (struct sock_watch){ fds[0], events_ready };
    events->file = file;
    rc = server_watch(file->server, &events->watch, EPOLLIN);
    if (rc) {
        close(fds[0]);
        close(fds[1]);
        free(events);
        return rc;
    }
    file->events = events;
    file->refs++;
    sock_file_known_by(file, fds[1]);
    *client_fd = fds[1];
    return 0;
}

void events_free(struct sock_events *events)
{
    struct sock_file *file = events->file;

    server_unwatch(file->server, &events->watch);
    close(events->watch.fd);
    file->events = NULL;
    free(events);
    sock_file_put(file);
}
