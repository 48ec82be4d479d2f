/* SPDX-License-Identifier: MIT */
/* libxenevtchn's back end over sockets: events on the event socket, all else on a connection. */
#include "evtchn_i.h"

#include <errno.h>
#include <unistd.h>

static int socket_open(struct xenevtchn_handle *h, int flags)
{
    int fd = sock_client_open(&h->client, "evtchn", flags);

    if (fd < 0)
        return fd;
    h->fd = fd;
    return 0;
}

static int socket_fdopen(struct xenevtchn_handle *h, int fd)
{
    if (sock_client_adopt(&h->client, fd))
        return -1;
    h->fd = fd;
    return 0;
}

static int socket_close(struct xenevtchn_handle *h)
{
    return sock_client_close(&h->client);
}

static int socket_ioctl(struct xenevtchn_handle *h, unsigned long cmd, void *arg, size_t size)
{
    return sock_client_ioctl(&h->client, cmd, arg, size);
}

static ssize_t socket_read(struct xenevtchn_handle *h, evtchn_port_t *port)
{
    ssize_t n;

    if (!h->failed) {
        n = read(h->fd, port, sizeof *port);
        if (n < 0)
            return n;
        h->failed = n ? SOCK_EVENTS_ERROR(*port) : ENODEV;       /* nothing: the machine is gone */
        if (!h->failed)
            return n;
    }
    errno = h->failed;
    return -1;
}

static ssize_t socket_write(struct xenevtchn_handle *h, const evtchn_port_t *port)
{
    return sock_client_write(&h->client, port, sizeof *port);
}

const struct evtchn_backend evtchn_socket = {
    .open   = socket_open,
    .fdopen = socket_fdopen,
    .close  = socket_close,
    .ioctl  = socket_ioctl,
    .read   = socket_read,
    .write  = socket_write,
};
