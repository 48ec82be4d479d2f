/* SPDX-License-Identifier: MIT */
/* gntdev's mmap: maps the grants and says how the caller's address space must look. */
#include "gntdev_i.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

/* So that an entry that no hypercall has filled in counts as failed. */
#define NOT_DONE 1

static const struct vma_ops gntdev_vma_ops;

/* An mmap whose grants are being mapped. */
struct mmap_op {
    struct gnttab_batch batch;
    struct gntdev_map *map;
    struct vma *vma;
    struct kreq *req;
    struct gnttab_map_grant_ref *ops, *kops; /* user's mapping (or the only one), kernel's page */
};

static void mmap_op_free(struct mmap_op *op)
{
    if (!op)
        return;
    free(op->ops);
    free(op->kops);
    free(op);
}

static struct mmap_op *mmap_op_alloc(uint32_t count, bool pv)
{
    struct mmap_op *op = calloc(1, sizeof *op);

    if (!op)
        return NULL;
    op->ops = calloc(count, sizeof *op->ops);
    if (pv)
        op->kops = calloc(count, sizeof *op->kops);
    if (op->ops && (op->kops || !pv))
        return op;
    mmap_op_free(op);
    return NULL;
}

static void fill_ops(struct mmap_op *op)
{
    const struct gntdev_map *map = op->map;

    for (uint32_t i = 0; i < map->count; i++) {
        const struct gntdev_grant *grant = &map->grants[i];

        op->ops[i] = (struct gnttab_map_grant_ref){
            .host_addr = gnttab_page_addr(map->k, map->pages, i),
            .flags = map->flags,
            .ref = grant->ref,
            .dom = grant->domid,
            .status = NOT_DONE,
        };
        if (!op->kops)
            continue;
        op->kops[i] = op->ops[i];
        op->ops[i].host_addr = gnttab_page_pte(map->pages, i);
        /* guest_avail0 marks the entry as none of the kernel's ordinary pages. */
        op->ops[i].flags |= GNTMAP_application_map | GNTMAP_contains_pte |
                            1u << _GNTMAP_guest_avail0;
    }
}

/* Takes note of what was mapped. rc if not 0; -EINVAL for any bad grant; -EAGAIN if nothing is
 * worse than a page that is out (only a kernel that does not retry sees that). */
static long take_results(struct mmap_op *op, long rc)
{
    struct gntdev_map *map = op->map;
    bool bad = false, paged = false;

    for (uint32_t i = 0; i < map->count; i++) {
        struct gntdev_grant *grant = &map->grants[i];

        grant->removed = false;
        if (op->ops[i].status == GNTST_okay) {
            grant->handle = op->ops[i].handle;
            map->live_grants++;
        } else if (op->ops[i].status == GNTST_eagain) {
            paged = true;
        } else {
            bad = true;
        }
        if (!op->kops)
            continue;
        if (op->kops[i].status == GNTST_okay) {
            grant->khandle = op->kops[i].handle;
            map->live_grants++;
        } else if (op->kops[i].status == GNTST_eagain &&
                   map->k->profile->map_eagain == KERNEL_EAGAIN_TO_USER) {
            paged = true;
        } else {
            bad = true;        /* a kernel that retries does so for the first mapping only */
        }
    }
    if (rc)
        return rc;
    if (bad)
        return -EINVAL;
    return paged ? -EAGAIN : 0;
}

static uint64_t map_mfn(const void *ctx, uint64_t i)
{
    const struct gntdev_map *map = ctx;

    return map->pages->mfn[i];
}

static long finish_mmap(struct gntdev_map *map, struct vma *vma, long rc)
{
    bool pv = map->k->space;

    if (!rc)
        rc = vma_set_runs(vma, map_mfn, map);
    if (!rc) {
        /* The hypervisor writes a PV guest's page-table entries, and knows none without read. */
        vma->map_prot = pv ? vma->prot | PROT_READ : vma->prot;
        vma->may_write = !(map->flags & GNTMAP_readonly) &&
                         (vma->file->flags & O_ACCMODE) != O_RDONLY;
        vma->dont_copy = pv;
        return 0;
    }
    if (rc == -EAGAIN)
        map->in_use = false;
    if (pv || rc == -EAGAIN)
        gntdev_unmap_pages(map, 0, map->count);
    vma->ops = NULL;
    map->vmas--;
    gntdev_map_put(map);
    return rc;
}

static void mmap_done(struct gnttab_batch *batch, int result)
{
    struct mmap_op *op = batch->owner;
    struct kreq *req = op->req;
    long rc = finish_mmap(op->map, op->vma, take_results(op, result));

    mmap_op_free(op);
    kreq_complete(req, rc);
}

static long map_grants(struct gntdev_map *map, struct vma *vma, struct kreq *req)
{
    struct mmap_op *op = mmap_op_alloc(map->count, map->k->space);
    long rc;

    if (!op)
        return finish_mmap(map, vma, -ENOMEM);
    op->map = map;
    op->vma = vma;
    op->req = req;
    op->batch = (struct gnttab_batch){
        .k = map->k, .ops = op->ops, .nr = map->count, .done = mmap_done, .owner = op
    };
    fill_ops(op);
    rc = gnttab_map_refs(&op->batch, op->kops, map->pages);
    if (rc == KERNEL_PENDING)
        return kreq_pend(map->k, req, false, NULL, op);
    rc = finish_mmap(map, vma, take_results(op, rc));
    mmap_op_free(op);
    return rc;
}

/*
 * Old kernels let a map be mmapped again: auto-translated ones at any time, PV ones when the last
 * mapping is gone.
 */
static long check_use(const struct gntdev_map *map)
{
    if (map->k->profile->map_once)
        return map->in_use ? -EINVAL : 0;
    if (map->k->space)
        return map->vmas ? -EINVAL : map->live_grants ? -EAGAIN : 0;
    if (map->live_grants == map->count)
        return 0;
    return map->live_grants || map->vmas ? -EINVAL : 0;
}

long gntdev_mmap(struct file *file, struct vma *vma, struct kreq *req)
{
    bool writable = vma->prot & PROT_WRITE;
    struct gntdev_map *map;
    long rc;

    if (writable && !vma->shared)
        return -EINVAL;
    /* The driver keeps page numbers in an int: an offset beyond comes round again. */
    map = gntdev_file_find(file->priv, (uint32_t)vma->pgoff, vma->nr_pages);
    rc = map ? check_use(map) : -EINVAL;
    if (rc)
        return rc;
    map->in_use = true;
    map->users++;
    map->vmas++;
    vma->ops = &gntdev_vma_ops;
    vma->priv = map;
    if (map->flags & GNTMAP_readonly && writable)
        return finish_mmap(map, vma, -EINVAL);
    if (!map->flags)
        map->flags = GNTMAP_host_map | (writable ? 0 : GNTMAP_readonly);
    if (map->live_grants)
        return finish_mmap(map, vma, 0);
    return map_grants(map, vma, req);
}

/* ---- Mappings -------------------------------------------------------------------------------- */

/* A PV kernel must act when pages leave the address space: the entries are the hypervisor's. */
static void gntdev_vma_unmap(struct vma *vma, uint64_t first, uint64_t nr)
{
    struct gntdev_map *map = vma->priv;

    if (map->k->space)
        gntdev_unmap_pages(map, first, nr);
}

static void gntdev_vma_close(struct vma *vma)
{
    struct gntdev_map *map = vma->priv;

    if (!vma->file->kernel)
        return;
    gntdev_vma_unmap(vma, 0, vma->nr_pages);
    assert(map->vmas);
    map->vmas--;
    gntdev_map_put(map);
}

static void gntdev_unpin(struct kernel_pin *pin)
{
    if (pin->k)
        gnttab_page_release(pin->obj, (unsigned)pin->page);
}

static int gntdev_pin(struct vma *vma, uint64_t page, struct kernel_pin *pin)
{
    struct gntdev_map *map = vma->priv;

    if (map->grants[page].removed || map->grants[page].handle == INVALID_GRANT_HANDLE)
        return -EFAULT;
    pin->unpin = gntdev_unpin;
    pin->obj = map->pages;
    return gnttab_page_hold(map->pages, (unsigned)page);
}

static const struct vma_ops gntdev_vma_ops = {
    .unmap = gntdev_vma_unmap,
    .close = gntdev_vma_close,
    .pin = gntdev_pin,
};

struct gntdev_map *gntdev_map_of_vma(const struct vma *vma)
{
    return vma->ops == &gntdev_vma_ops ? vma->priv : NULL;
}
