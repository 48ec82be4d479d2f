/* SPDX-License-Identifier: MIT */
/* The producer's side: shares pages that the device allocates, and maps them here. */
#include "handle_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xen/sys/gntalloc.h>

static_assert(sizeof(struct ioctl_gntalloc_alloc_gref) == 24, "the fixed part of the request");
static_assert(offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids) == 16,
              "the references follow the index");

xengntshr_handle *xengntshr_open(xentoollog_logger *logger, unsigned open_flags)
{
    (void)open_flags;
    return gnt_handle_open(GNT_DEVICE_GNTALLOC, logger);
}

int xengntshr_close(xengntshr_handle *xgs)
{
    return gnt_handle_close(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
    return xgs->fd;
}

/*
 * A request for `count` pages. A negative count (the interface has an int) is passed on for the
 * device to refuse, unless the length that it makes is one that no memory can be had for; the real
 * library draws the line at the same place.
 */
static struct ioctl_gntalloc_alloc_gref *new_request(uint32_t domid, int count, bool writable)
{
    size_t length = sizeof(struct ioctl_gntalloc_alloc_gref) +
                    sizeof(uint32_t) * (size_t)(ptrdiff_t)count;
    struct ioctl_gntalloc_alloc_gref *req;

    if (length < sizeof *req)
        length = sizeof *req;
    req = malloc(length);
    if (!req)
        return NULL;
    req->domid = (uint16_t)domid;
    req->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
    req->count = (uint32_t)count;
    req->index = 0;
    /* Also what the device fills in: all of it may be sent. In two parts, or gcc makes it a
     * calloc. */
    memset(req->gref_ids, 0, length - offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids));
    return req;
}

static void *share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
                         int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
    size_t length = (size_t)(ptrdiff_t)count << GNT_PAGE_SHIFT;
    struct ioctl_gntalloc_dealloc_gref dealloc = { .count = (uint32_t)count };
    struct ioctl_gntalloc_alloc_gref *req;
    void *area;
    int rc;

    req = new_request(domid, count, writable);
    if (!req)
        return NULL;
    area = xgs->backend->ioctl_mmap(xgs, IOCTL_GNTALLOC_ALLOC_GREF, req,
                                    (const uint64_t *)&req->index, length, PROT_READ | PROT_WRITE,
                                    &rc);
    if (rc) {
        gnt_error(xgs, "ioctl failed");
        area = NULL;
        goto out;
    }
    if (area == MAP_FAILED) {
        gnt_error(xgs, "mmap failed");
        area = NULL;
        goto dealloc;
    }
    if (gnt_set_unmap_notify(xgs, req->index, length, notify_offset, notify_port)) {
        munmap(area, length);
        area = NULL;
    }
    memcpy(refs, req->gref_ids, sizeof *refs * (size_t)(ptrdiff_t)count);

dealloc:
    /* Always: from now on the mapping alone keeps the pages, and unsharing them is one munmap. */
    dealloc.index = req->index;
    xgs->backend->ioctl(xgs, IOCTL_GNTALLOC_DEALLOC_GREF, &dealloc);
out:
    free(req);
    return area;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
                            int writable)
{
    return share_pages(xgs, domid, count, refs, writable, GNT_NO_NOTIFY, GNT_NO_NOTIFY);
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref,
                                  int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
    return share_pages(xgs, domid, 1, ref, writable, notify_offset, notify_port);
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
    (void)xgs;      /* not looked at: it may be closed already */
    return munmap(start_address, (size_t)count << GNT_PAGE_SHIFT);
}
