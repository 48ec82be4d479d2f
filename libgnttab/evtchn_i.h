/* SPDX-License-Identifier: MIT */
/* The back end of a libxenevtchn handle, with the calling conventions of the system calls. */
#ifndef GNTSIM_LIBGNTTAB_EVTCHN_I_H
#define GNTSIM_LIBGNTTAB_EVTCHN_I_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xenevtchn.h>
#include <xentoollog.h>

#include "sock_client_i.h"
#include "toolcore_i.h"

struct evtchn_backend {
    /* Fills in h->fd, which polls readable when an event is pending and is read for ports. The
     * socket's: 0, -1 or SOCK_UNREACHABLE. */
    int (*open)(struct xenevtchn_handle *h, int flags);
    /* A handle for somebody else's descriptor, which it takes only if it succeeds. */
    int (*fdopen)(struct xenevtchn_handle *h, int fd);
    int (*close)(struct xenevtchn_handle *h);
    int (*ioctl)(struct xenevtchn_handle *h, unsigned long cmd, void *arg, size_t size);
    ssize_t (*read)(struct xenevtchn_handle *h, evtchn_port_t *port);
    ssize_t (*write)(struct xenevtchn_handle *h, const evtchn_port_t *port);
};
/* /dev/xen/evtchn, and a gntsim machine's socket. */
extern const struct evtchn_backend evtchn_devfile, evtchn_socket;

struct xenevtchn_handle {
    const struct evtchn_backend *backend;
    int fd;                             /* −1 until the device is open */
    xentoollog_logger *logger;
    xentoollog_logger *logger_tofree;   /* NULL when the caller brought his own */
    Xentoolcore__Active_Handle active_handle;
    struct sock_client client;          /* the socket's */
    struct sock_events_page *page;      /* shared with the machine; NULL: it is not */
    int failed; /* errno that reading the device gives from now on; 0: none */
};

#endif
