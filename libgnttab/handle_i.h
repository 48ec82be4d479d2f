/* SPDX-License-Identifier: MIT */
/* What consumers' and producers' handles share: one open device and its logger. */
#ifndef GNTSIM_LIBGNTTAB_HANDLE_I_H
#define GNTSIM_LIBGNTTAB_HANDLE_I_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xen/event_channel.h>
#include <xengnttab.h>
#include <xentoollog.h>

#include "backend_i.h"
#include "toolcore_i.h"

/* The interface counts in these, whatever the page size of the machine. */
#define GNT_PAGE_SHIFT 12
#define GNT_PAGE_SIZE (1u << GNT_PAGE_SHIFT)

/* "No notification of this kind", in notify_offset and notify_port. */
#define GNT_NO_NOTIFY UINT32_MAX

struct xengntdev_handle {
    const struct gnt_backend *backend;
    int fd;                             /* −1 until the device is open */
    void *priv;                         /* the back end's */
    const char *context;                /* who speaks, in log lines */
    xentoollog_logger *logger;
    xentoollog_logger *logger_tofree;   /* NULL when the caller brought his own */
    bool active;                        /* known to xentoolcore_restrict_all() */
    Xentoolcore__Active_Handle active_handle;
};

/* Keeps errno, so it may stand between a failure and its report to the caller. */
#define gnt_error(h, ...) xtl_log((h)->logger, XTL_ERROR, errno, (h)->context, __VA_ARGS__)

/* A handle on the device, or NULL with errno and nothing left open. */
struct xengntdev_handle *gnt_handle_open(enum gnt_device device, xentoollog_logger *logger);

/* Result of closing the device; the handle is gone either way. NULL is ok. */
int gnt_handle_close(struct xengntdev_handle *h);

/*
 * Asks the device for the unmap notification of a fresh mapping of `length` bytes at `index`; the
 * number and layout of the request are the same on both devices. 0 also when there is nothing to
 * ask for; else −1, errno and a log line, and the mapping is the caller's to undo.
 */
int gnt_set_unmap_notify(struct xengntdev_handle *h, uint64_t index, size_t length,
                         uint32_t notify_offset, evtchn_port_t notify_port);

#endif
