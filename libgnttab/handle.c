/* SPDX-License-Identifier: MIT */
/* The life of a handle: memory, logger, registration with libxentoolcore, device. */
#include "handle_i.h"

#include <assert.h>
#include <stdlib.h>

#include "container_of.h"
#include "sock_client_i.h"

static const struct {
    const char *context;
    /* The real library lets restrict_all() silence consumers only; producers stay usable. */
    bool active;
} sides[] = {
    [GNT_DEVICE_GNTDEV]   = { "gnttab", true },
    [GNT_DEVICE_GNTALLOC] = { "gntshr", false },
};

/* The one place that decides how a new handle reaches its device. As open(2). */
static int open_device(struct xengntdev_handle *h, enum gnt_device device)
{
    int fd = SOCK_UNREACHABLE;

    h->backend = &gnt_socket;
    if (sock_client_path())
        fd = h->backend->open(h, device);
    if (fd != SOCK_UNREACHABLE)
        return fd;
    h->backend = &gnt_devfiles;
    return h->backend->open(h, device);
}

static int restrict_handle(Xentoolcore__Active_Handle *active_handle, domid_t domid)
{
    struct xengntdev_handle *h = container_of(active_handle, struct xengntdev_handle,
                                              active_handle);

    (void)domid;    /* a grant device cannot be limited to one domain, only taken away */
    return xentoolcore__restrict_by_dup2_null(h->fd);
}

struct xengntdev_handle *gnt_handle_open(enum gnt_device device, xentoollog_logger *logger)
{
    struct xengntdev_handle *h = malloc(sizeof *h);

    if (!h)
        return NULL;
    *h = (struct xengntdev_handle) {
        .backend = &gnt_devfiles,
        .fd = -1,
        .context = sides[device].context,
        .logger = logger,
        .active = sides[device].active,
    };

    /* Before the device is open: a restrict_all() of another thread must not miss it. */
    if (h->active) {
        h->active_handle.restrict_callback = restrict_handle;
        xentoolcore__register_active_handle(&h->active_handle);
    }
    if (!h->logger) {
        h->logger_tofree =
            (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_PROGRESS, 0);
        h->logger = h->logger_tofree;
        if (!h->logger)
            goto fail;
    }
    h->fd = open_device(h, device);
    if (h->fd < 0)
        goto fail;
    return h;

fail:
    gnt_handle_close(h);
    return NULL;
}

int gnt_handle_close(struct xengntdev_handle *h)
{
    int rc = 0;

    if (!h)
        return 0;
    assert(h->backend);
    if (h->active)
        xentoolcore__deregister_active_handle(&h->active_handle);
    if (h->fd >= 0)
        rc = h->backend->close(h);
    xtl_logger_destroy(h->logger_tofree);
    free(h);
    return rc;
}
