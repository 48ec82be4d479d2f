/* SPDX-License-Identifier: MIT */
/* The consumer's side: maps a peer's grants, and copies from and to them. */
#include "handle_i.h"

#include <assert.h>
#include <unistd.h>

#include <xen/sys/gntdev.h>

/* How long a paged-out grant is left alone before the next try. */
#define MMAP_RETRY_US 1000

static_assert(sizeof(struct ioctl_gntdev_map_grant_ref) == 24, "the fixed part of the request");
static_assert(offsetof(struct ioctl_gntdev_map_grant_ref, refs) == 16,
              "the references follow the index");
static_assert(sizeof(struct ioctl_gntdev_grant_copy_segment) ==
                  sizeof(struct xengnttab_grant_copy_segment),
              "the caller's segments are handed to the device as they are");
static_assert(offsetof(struct ioctl_gntdev_grant_copy_segment, status)
              == offsetof(struct xengnttab_grant_copy_segment, status), "field by field");

xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned open_flags)
{
    (void)open_flags;
    return gnt_handle_open(GNT_DEVICE_GNTDEV, logger);
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return gnt_handle_close(xgt);
}

int xengnttab_fd(xengnttab_handle *xgt)
{
    return xgt->fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
    struct ioctl_gntdev_set_max_grants max = { .count = nr_grants };
    int rc = xgt->backend->ioctl(xgt, IOCTL_GNTDEV_SET_MAX_GRANTS, &max);

    /* Kernels without the request have no such maximum: nothing to set is as good as set. */
    if (rc && errno == ENOTTY)
        rc = 0;
    if (rc)
        gnt_error(xgt, "ioctl SET_MAX_GRANTS failed");
    return rc;
}

/* What a caller wants mapped: `count` references, each of its own domain or all of one. */
struct wanted {
    uint32_t count;
    const uint32_t *domids;
    bool one_domid;
    const uint32_t *refs;
    int prot;
    uint32_t notify_offset;
    evtchn_port_t notify_port;
};

/* Room for a request of up to one page; longer ones get a mapping of their own. */
union request_room {
    struct ioctl_gntdev_map_grant_ref req;
    uint8_t page[GNT_PAGE_SIZE];
};

/* In whole pages, so that the same number goes to mmap and to munmap. */
static size_t request_length(uint32_t count)
{
    size_t length = offsetof(struct ioctl_gntdev_map_grant_ref, refs)
        + (size_t)count * sizeof(struct ioctl_gntdev_grant_ref);

    return (length + GNT_PAGE_SIZE - 1) & ~(size_t)(GNT_PAGE_SIZE - 1);
}

/* The request filled in, in *room or in new memory; NULL, errno and a log line if there is none. */
static struct ioctl_gntdev_map_grant_ref *new_request(xengnttab_handle *xgt, const struct wanted *w,
                                                      union request_room *room)
{
    size_t length = request_length(w->count);
    struct ioctl_gntdev_map_grant_ref *req = &room->req;
    struct ioctl_gntdev_grant_ref *refs;

    if (length > sizeof *room) {
        req = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (req == MAP_FAILED) {
            gnt_error(xgt, "mmap of map failed");
            return NULL;
        }
    }

    req->count = w->count;
    req->pad = 0;
    req->index = 0;
    refs = req->refs;
    for (uint32_t i = 0; i < w->count; i++) {
        refs[i].domid = w->domids[w->one_domid ? 0 : i];
        refs[i].ref = w->refs[i];
    }
    return req;
}

static void free_request(struct ioctl_gntdev_map_grant_ref *req, const struct wanted *w,
                         const union request_room *room)
{
    if (req != &room->req)
        munmap(req, request_length(w->count));
}

/* Undoes MAP_GRANT_REF; what the caller shall find in errno stays there. */
static void drop_map(xengnttab_handle *xgt, uint64_t index, uint32_t count)
{
    struct ioctl_gntdev_unmap_grant_ref unmap = { .index = index, .count = count };
    int saved_errno = errno;

    xgt->backend->ioctl(xgt, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
    errno = saved_errno;
}

/* The second half: `index` stands for the grants; its mmap gave `area`. NULL: it stays taken. */
static void *map_index(xengnttab_handle *xgt, const struct wanted *w, uint64_t index, void *area)
{
    size_t length = (size_t)w->count << GNT_PAGE_SHIFT;

    /* A paged-out grant. Nothing tells when the page is back, and nobody may block meanwhile: the
     * pager can be a process of this very domain. So ask again, however long it takes. */
    while (area == MAP_FAILED && errno == EAGAIN) {
        usleep(MMAP_RETRY_US);
        area = xgt->backend->mmap(xgt, length, w->prot, index);
    }
    if (area == MAP_FAILED)
        return NULL;

    if (gnt_set_unmap_notify(xgt, index, length, w->notify_offset, w->notify_port)) {
        munmap(area, length);
        return NULL;
    }
    return area;
}

static void *map_grants(xengnttab_handle *xgt, const struct wanted *w)
{
    union request_room room;
    struct ioctl_gntdev_map_grant_ref *req;
    void *area;
    int rc;

    req = new_request(xgt, w, &room);
    if (!req)
        return NULL;
    area = xgt->backend->ioctl_mmap(xgt, IOCTL_GNTDEV_MAP_GRANT_REF, req,
                                    (const uint64_t *)&req->index,
                                    (size_t)w->count << GNT_PAGE_SHIFT, w->prot, &rc);
    if (rc) {
        gnt_error(xgt, "ioctl MAP_GRANT_REF failed");
        area = NULL;
        goto out;
    }

    area = map_index(xgt, w, req->index, area);
    if (!area) {
        gnt_error(xgt, "mmap failed");
        drop_map(xgt, req->index, w->count);
    }
out:
    free_request(req, w, &room);
    return area;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
    return map_grants(xgt, &(struct wanted) {
        .count = 1, .domids = &domid, .refs = &ref, .prot = prot,
        .notify_offset = GNT_NO_NOTIFY, .notify_port = GNT_NO_NOTIFY,
    });
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids,
                               uint32_t *refs, int prot)
{
    return map_grants(xgt, &(struct wanted) {
        .count = count, .domids = domids, .refs = refs, .prot = prot,
        .notify_offset = GNT_NO_NOTIFY, .notify_port = GNT_NO_NOTIFY,
    });
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    return map_grants(xgt, &(struct wanted) {
        .count = count, .domids = &domid, .one_domid = true, .refs = refs, .prot = prot,
        .notify_offset = GNT_NO_NOTIFY, .notify_port = GNT_NO_NOTIFY,
    });
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t notify_offset, evtchn_port_t notify_port)
{
    return map_grants(xgt, &(struct wanted) {
        .count = 1, .domids = &domid, .refs = &ref, .prot = prot,
        .notify_offset = notify_offset, .notify_port = notify_port,
    });
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
    struct ioctl_gntdev_get_offset_for_vaddr where = { .vaddr = (uintptr_t)start_address };
    struct ioctl_gntdev_unmap_grant_ref unmap;
    int rc;

    if (!start_address) {
        errno = EINVAL;
        return -1;
    }

    /* The library remembers no mappings: the device is asked which one this is. */
    rc = xgt->backend->get_offset_for_vaddr(xgt, &where);
    if (rc)
        return rc;
    if (where.count != count) {     /* only all of it, or nothing */
        errno = EINVAL;
        return -1;
    }

    /* The memory first: the other way round the index could be another map's before it is gone. */
    rc = munmap(start_address, (size_t)count << GNT_PAGE_SHIFT);
    if (rc)
        return rc;
    unmap = (struct ioctl_gntdev_unmap_grant_ref) { .index = where.offset, .count = count };
    return xgt->backend->ioctl(xgt, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
                         xengnttab_grant_copy_segment_t *segs)
{
    struct ioctl_gntdev_grant_copy copy = {
        .count = count,
        .segments = (struct ioctl_gntdev_grant_copy_segment *)segs,
    };
    int rc = xgt->backend->grant_copy(xgt, &copy);

    if (rc)
        gnt_error(xgt, "ioctl GRANT COPY failed %d ", errno);
    return rc;
}
