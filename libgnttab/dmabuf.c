/* SPDX-License-Identifier: MIT */
/* The consumer's dma-bufs: made from a peer's grants, or granted to a peer. */
#include "handle_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xen/sys/gntdev.h>

static_assert(offsetof(struct ioctl_gntdev_dmabuf_exp_from_refs, refs) == 16,
              "the references come last");
static_assert(offsetof(struct ioctl_gntdev_dmabuf_imp_to_refs, refs) == 16,
              "the references come last");

int xengnttab_dmabuf_exp_from_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t flags,
                                   uint32_t count, const uint32_t *refs, uint32_t *fd)
{
    struct ioctl_gntdev_dmabuf_exp_from_refs *req;
    size_t refs_length = sizeof *refs * (size_t)count;
    int rc;

    if (!count) {
        errno = EINVAL;
        return -1;
    }
    req = malloc(offsetof(struct ioctl_gntdev_dmabuf_exp_from_refs, refs) + refs_length);
    if (!req)
        return -1;
    req->flags = flags;
    req->count = count;
    req->fd = 0;
    req->domid = domid;
    memcpy(req->refs, refs, refs_length);

    rc = xgt->backend->ioctl(xgt, IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, req);
    if (rc)
        gnt_error(xgt, "ioctl DMABUF_EXP_FROM_REFS failed");
    else
        *fd = req->fd;
    free(req);
    return rc;
}

int xengnttab_dmabuf_exp_wait_released(xengnttab_handle *xgt, uint32_t fd, uint32_t wait_to_ms)
{
    struct ioctl_gntdev_dmabuf_exp_wait_released wait = { .fd = fd, .wait_to_ms = wait_to_ms };
    int rc = xgt->backend->ioctl(xgt, IOCTL_GNTDEV_DMABUF_EXP_WAIT_RELEASED, &wait);

    if (rc && errno == ENOENT) {
        /* Already released: what the caller waits for. */
        errno = 0;
        rc = 0;
    }
    if (rc)
        gnt_error(xgt, "ioctl DMABUF_EXP_WAIT_RELEASED failed");
    return rc;
}

int xengnttab_dmabuf_imp_to_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t fd, uint32_t count,
                                 uint32_t *refs)
{
    struct ioctl_gntdev_dmabuf_imp_to_refs *req;
    size_t refs_length = sizeof *refs * (size_t)count;
    int rc;

    if (!count) {
        errno = EINVAL;
        return -1;
    }
    req = malloc(offsetof(struct ioctl_gntdev_dmabuf_imp_to_refs, refs) + refs_length);
    if (!req)
        return -1;
    req->fd = fd;
    req->count = count;
    req->domid = domid;
    req->reserved = 0;

    rc = xgt->backend->ioctl(xgt, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS, req);
    if (rc)
        gnt_error(xgt, "ioctl DMABUF_IMP_TO_REFS failed");
    else
        memcpy(refs, req->refs, refs_length);
    free(req);
    return rc;
}

int xengnttab_dmabuf_imp_release(xengnttab_handle *xgt, uint32_t fd)
{
    struct ioctl_gntdev_dmabuf_imp_release release = { .fd = fd };
    int rc = xgt->backend->ioctl(xgt, IOCTL_GNTDEV_DMABUF_IMP_RELEASE, &release);

    if (rc)
        gnt_error(xgt, "ioctl DMABUF_IMP_RELEASE failed");
    return rc;
}
