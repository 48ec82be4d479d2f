/* SPDX-License-Identifier: MIT */
/* libxenevtchn's back end over the device file: plain system calls. */
#include "evtchn_i.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int devfile_open(struct xenevtchn_handle *h, int flags)
{
    h->fd = open("/dev/xen/evtchn", flags);
    return h->fd < 0 ? -1 : 0;
}

static int devfile_fdopen(struct xenevtchn_handle *h, int fd)
{
    h->fd = fd;
    return 0;
}

static int devfile_close(struct xenevtchn_handle *h)
{
    return close(h->fd);
}

static int devfile_ioctl(struct xenevtchn_handle *h, unsigned long cmd, void *arg, size_t size)
{
    (void)size;
    return ioctl(h->fd, cmd, arg);
}

static ssize_t devfile_read(struct xenevtchn_handle *h, evtchn_port_t *port)
{
    return read(h->fd, port, sizeof *port);
}

static ssize_t devfile_write(struct xenevtchn_handle *h, const evtchn_port_t *port)
{
    return write(h->fd, port, sizeof *port);
}

const struct evtchn_backend evtchn_devfile = {
    .open   = devfile_open,
    .fdopen = devfile_fdopen,
    .close  = devfile_close,
    .ioctl  = devfile_ioctl,
    .read   = devfile_read,
    .write  = devfile_write,
};
