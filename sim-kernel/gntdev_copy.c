/* SPDX-License-Identifier: MIT */
/*
 * IOCTL_GNTDEV_GRANT_COPY: copies between grants and a process's memory. A real kernel pins the
 * caller's pages and names them to the hypervisor. Here a process's memory is not machine memory.
 * So each operation uses a page of the domain instead, filled before the hypercall or copied out
 * after it.
 */
#include "gntdev_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <xen/sys/gntdev.h>

#define BATCH 16u

_Static_assert(sizeof(struct ioctl_gntdev_grant_copy) == 16, "ioctl structures are ABI");
_Static_assert(sizeof(struct ioctl_gntdev_grant_copy_segment) == 24, "ioctl structures are ABI");

struct copy_piece {
    uint64_t status;                 /* address of the segment's status */
    uint64_t local;                  /* address of the piece in the caller's memory */
    struct kernel_page
        *page; /* NULL: foreign to foreign, or a granted frame that is named itself */
    bool to_local;
    bool unchecked; /* whether the caller can write there is seen when it is written */
};

/* An ioctl in progress. */
struct copy {
    struct gnttab_batch batch;
    struct kernel *k;
    struct kreq *req;
    uint64_t next_segment;           /* address */
    uint32_t left;                   /* segments after the current one */
    struct ioctl_gntdev_grant_copy_segment seg;
    uint64_t seg_status;
    uint16_t done;                   /* bytes of the current segment that are queued */
    unsigned nr;                     /* operations queued */
    struct gnttab_copy ops[BATCH];
    struct copy_piece pieces[BATCH];
    unsigned char buffer[PAGE_SIZE]; /* on the way between the caller's memory and the machine's */
};

static void free_pieces(struct copy *c)
{
    for (unsigned i = 0; i < c->nr; i++)
        if (c->pieces[i].page)
            bounce_page_put(c->k, c->pieces[i].page);
    c->nr = 0;
}

static void copy_free(struct copy *c)
{
    free_pieces(c);
    free(c);
}

/* ---- Running a batch ------------------------------------------------------------------------- */

/* The first failure of a segment is the one that its status tells. */
static int report_status(struct copy *c, uint64_t addr, int16_t status)
{
    int16_t old;
    int rc = user_read(c->k, c->req, &old, addr, sizeof old);

    if (rc || old != GNTST_okay)
        return rc;
    return user_write(c->k, c->req, addr, &status, sizeof status);
}

static int copy_out(struct copy *c, unsigned i)
{
    const struct gnttab_copy *op = &c->ops[i];
    const unsigned char *from = kernel_page_address(c->k, c->pieces[i].page);
    int rc;

    if (!from)
        return -ENOMEM;
    memcpy(c->buffer, from + op->dest.offset, op->len);
    rc = user_write(c->k, c->req, c->pieces[i].local, c->buffer, op->len);
    /* The caller may have unmapped the page since it was looked at; a real kernel still holds it
     * and copies into it. */
    return rc == -EFAULT && !c->pieces[i].unchecked ? 0 : rc;
}

/* Can the caller write there? It will be overwritten anyhow. */
static int check_writable(struct copy *c, uint64_t addr)
{
    unsigned char byte;
    int rc = user_read(c->k, c->req, &byte, addr, sizeof byte);

    return rc ? rc : user_write(c->k, c->req, addr, &byte, sizeof byte);
}

/* What the hypervisor says counts only where the caller can write. */
static int check_failed(struct copy *c, unsigned i)
{
    int rc = c->pieces[i].unchecked ? check_writable(c, c->pieces[i].local) : 0;

    return rc ? rc : report_status(c, c->pieces[i].status, c->ops[i].status);
}

/* All operations of the batch have their final status. */
static long finish_batch(struct copy *c, long rc)
{
    for (unsigned i = 0; !rc && i < c->nr; i++)
        if (c->pieces[i].to_local && c->ops[i].status == GNTST_okay)
            rc = copy_out(c, i);
    for (unsigned i = 0; !rc && i < c->nr; i++)
        if (c->ops[i].status != GNTST_okay)
            rc = check_failed(c, i);
    free_pieces(c);
    return rc;
}

static long copy_run(struct copy *c);

static void batch_done(struct gnttab_batch *batch, int result)
{
    struct copy *c = batch->owner;
    struct kreq *req = c->req;
    long rc = finish_batch(c, result);

    if (!rc)
        rc = copy_run(c);
    if (rc == KERNEL_PENDING)
        return;
    copy_free(c);
    kreq_complete(req, rc);
}

static long run_batch(struct copy *c)
{
    long rc;

    if (!c->nr)
        return 0;
    c->batch = (struct gnttab_batch){
        .k = c->k, .ops = c->ops, .nr = c->nr, .done = batch_done, .owner = c
    };
    rc = gnttab_batch_copy(&c->batch);
    return rc == KERNEL_PENDING ? rc : finish_batch(c, rc);
}

/* ---- Queueing -------------------------------------------------------------------------------- */

/*
 * Where the caller has a grant mapped, its kernel can only name the frame behind it, and the
 * hypervisor copies to and from no frame of another domain. *gmfn is what it names, if *named.
 */
static int name_mapped_grant(struct copy *c, uint64_t addr, bool *named, uint64_t *gmfn)
{
    const struct gntdev_map *map;
    struct vma *vma;
    uint64_t page;
    int rc = user_vma_at(c->k, c->req, addr, &vma, &page);

    map = !rc && vma ? gntdev_map_of_vma(vma) : NULL;
    *named = map && page < map->count;
    if (*named)
        *gmfn = c->k->space ? map->pages->mfn[page]
                            : gnttab_page_addr(c->k, map->pages, (unsigned)page) >> PAGE_SHIFT;
    return rc;
}

/* Makes the local side of an operation: len bytes at most, within one page of the caller. */
static int queue_local(struct copy *c, uint64_t addr, bool to_local, size_t *len,
                       struct copy_piece *piece, uint64_t *gmfn)
{
    size_t room = PAGE_SIZE - (addr & ~PAGE_MASK);
    bool named;
    int rc;

    if (*len > room)
        *len = room;
    rc = name_mapped_grant(c, addr, &named, gmfn);
    if (rc)
        return rc;
    /* A fault keeps a batch from being run. If this is the only one, it may be seen later. */
    piece->unchecked = to_local && !named && !c->nr && !c->left && c->done + *len == c->seg.len;
    if (!to_local)
        rc = user_read(c->k, c->req, c->buffer, addr, *len);
    else if (!piece->unchecked)
        rc = check_writable(c, addr);
    if (rc || named)
        return rc;
    piece->page = bounce_page_get(c->k);
    if (!piece->page)
        return -ENOMEM;
    piece->local = addr;
    piece->to_local = to_local;
    if (!to_local) {
        unsigned char *to = kernel_page_address(c->k, piece->page);

        if (!to) {
            bounce_page_put(c->k, piece->page);
            piece->page = NULL;
            return -ENOMEM;
        }
        memcpy(to + (addr & ~PAGE_MASK), c->buffer, *len);
    }
    *gmfn = kernel_page_frame(piece->page);
    return 0;
}

/* Queues the next piece of the current segment. */
static int queue_piece(struct copy *c)
{
    const struct ioctl_gntdev_grant_copy_segment *seg = &c->seg;
    struct copy_piece piece = { .status = c->seg_status };
    struct gnttab_copy op = { .flags = seg->flags & (GNTCOPY_source_gref | GNTCOPY_dest_gref) };
    size_t len = (size_t)(seg->len - c->done);
    int rc = 0;

    if (seg->flags & GNTCOPY_source_gref) {
        op.source.u.ref = seg->source.foreign.ref;
        op.source.domid = seg->source.foreign.domid;
        op.source.offset = (uint16_t)(seg->source.foreign.offset + c->done);
    } else {
        uint64_t addr = (uintptr_t)seg->source.virt + c->done, gmfn;

        rc = queue_local(c, addr, false, &len, &piece, &gmfn);
        if (rc)
            return rc;
        op.source.u.gmfn = gmfn;
        op.source.domid = DOMID_SELF;
        op.source.offset = (uint16_t)(addr & ~PAGE_MASK);
    }
    if (seg->flags & GNTCOPY_dest_gref) {
        op.dest.u.ref = seg->dest.foreign.ref;
        op.dest.domid = seg->dest.foreign.domid;
        op.dest.offset = (uint16_t)(seg->dest.foreign.offset + c->done);
    } else {
        uint64_t addr = (uintptr_t)seg->dest.virt + c->done, gmfn;

        rc = queue_local(c, addr, true, &len, &piece, &gmfn);
        if (rc)
            return rc;
        op.dest.u.gmfn = gmfn;
        op.dest.domid = DOMID_SELF;
        op.dest.offset = (uint16_t)(addr & ~PAGE_MASK);
    }
    op.len = (uint16_t)len;
    c->ops[c->nr] = op;
    c->pieces[c->nr] = piece;
    c->nr++;
    c->done = (uint16_t)(c->done + len);
    return 0;
}

static int start_segment(struct copy *c)
{
    const int16_t okay = GNTST_okay;
    struct ioctl_gntdev_grant_copy_segment *seg = &c->seg;
    int rc = user_read(c->k, c->req, seg, c->next_segment, sizeof *seg);

    if (rc)
        return rc;
    c->seg_status = c->next_segment + offsetof(struct ioctl_gntdev_grant_copy_segment, status);
    c->next_segment += sizeof *seg;
    c->left--;
    c->done = 0;
    /* There would be two local pages, and a memcpy does that better. */
    if (!(seg->flags & (GNTCOPY_source_gref | GNTCOPY_dest_gref)))
        return -EINVAL;
    if (seg->flags & GNTCOPY_source_gref && seg->source.foreign.offset + seg->len > PAGE_SIZE)
        return -EINVAL;
    if (seg->flags & GNTCOPY_dest_gref && seg->dest.foreign.offset + seg->len > PAGE_SIZE)
        return -EINVAL;
    return user_write(c->k, c->req, c->seg_status, &okay, sizeof okay);
}

/* Goes on until the end, a failure, or a batch that has to wait (whose end comes back here). */
static long copy_run(struct copy *c)
{
    long rc = 0;

    for (;;) {
        while (c->done < c->seg.len) {
            if (c->nr == BATCH)
                rc = run_batch(c);
            if (!rc)
                rc = queue_piece(c);
            if (rc)
                return rc;
        }
        if (!c->left)
            break;
        rc = start_segment(c);
        if (rc)
            return rc;
    }
    return run_batch(c);
}

long gntdev_ioctl_grant_copy(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct ioctl_gntdev_grant_copy op;
    struct copy *c;
    long rc = user_read(k, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    c = malloc(sizeof *c);
    if (!c)
        return -ENOMEM;
    c->k = k;
    c->req = req;
    c->next_segment = (uintptr_t)op.segments;
    c->left = op.count;
    c->seg.len = 0;
    c->done = 0;
    c->nr = 0;
    rc = copy_run(c);
    if (rc == KERNEL_PENDING)
        return kreq_pend(k, req, false, NULL, c);
    copy_free(c);
    return rc;
}
