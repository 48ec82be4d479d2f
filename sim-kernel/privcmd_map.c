/* SPDX-License-Identifier: MIT */
/*
 * privcmd's mappings of other domains' memory. An mmap makes an empty range, and a later ioctl
 * names the frames for it. The kernel puts the frames into the range last, when it touches no
 * caller's memory any more, because the range can go while it waits for such an access.
 */
#include "privcmd_i.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xen/memory.h>
#include <xen/sys/privcmd.h>

/* Pages of one mapping: 64 GiB. */
#define MAX_PAGES (1u << 24)
/* Elements of an array that are copied at a time. */
#define PIECE 512u

#define NOT_MAPPED (-1)
#define GONE (-2)              /* left the address space */

_Static_assert(sizeof(privcmd_mmap_t) == 16 && sizeof(privcmd_mmap_entry_t) == 24, "ABI");
_Static_assert(sizeof(privcmd_mmapbatch_t) == 24 && sizeof(privcmd_mmapbatch_v2_t) == 32, "ABI");
_Static_assert(sizeof(privcmd_mmap_resource_t) == 32, "ABI");

struct foreign_page {
    int64_t handle;            /* of hv_foreign_map, or NOT_MAPPED, GONE */
    unsigned generation;       /* of the kernel that the handle belongs to */
    uint64_t mfn;              /* HV_INVALID_MFN: nothing there */
};

static const struct foreign_page not_mapped = { .handle = NOT_MAPPED, .mfn = HV_INVALID_MFN };

/* A privcmd vma. */
struct foreign_vma {
    bool used;                 /* the first ioctl came, which must fill all of it */
    bool cut;                  /* pages have left */
    struct foreign_page *pages;    /* NULL before the first ioctl */
};

/* Frames on their way into a vma. */
struct batch {
    struct kernel *k;
    struct kreq *req;
    uint64_t addr, nr;
    uint64_t *frames;          /* as the caller names them */
    struct foreign_page *pages;
    int *errors;
};

/* ---- The vma --------------------------------------------------------------------------------- */

static void release(struct kernel *k, struct foreign_page *page)
{
    if (page->handle >= 0 && !k->dead && page->generation == k->generation)
        hv_foreign_unmap(k->hv, k->domid, (uint32_t)page->handle);
    page->handle = NOT_MAPPED;
}

/* A PV kernel's entries go with the pages; elsewhere they go with the vma. */
static void foreign_unmap(struct vma *vma, uint64_t first, uint64_t nr)
{
    struct foreign_vma *f = vma->priv;

    f->cut = true;
    for (uint64_t i = first; f->pages && i < first + nr; i++) {
        if (vma->file->kernel->space)
            release(vma->file->kernel, &f->pages[i]);
        if (f->pages[i].handle == NOT_MAPPED)
            f->pages[i].handle = GONE;
    }
}

static void foreign_close(struct vma *vma)
{
    struct foreign_vma *f = vma->priv;

    for (uint64_t i = 0; vma->file->kernel && f->pages && i < vma->nr_pages; i++)
        release(vma->file->kernel, &f->pages[i]);
    free(f->pages);
    free(f);
}

static const struct vma_ops foreign_vma_ops = { .unmap = foreign_unmap, .close = foreign_close };

static uint64_t nothing(const void *ctx, uint64_t i)
{
    (void)ctx;
    (void)i;
    return HV_INVALID_MFN;
}

static uint64_t page_mfn(const void *ctx, uint64_t i)
{
    return ((const struct foreign_page *)ctx)[i].mfn;
}

long privcmd_mmap(struct file *file, struct vma *vma, struct kreq *req)
{
    struct foreign_vma *f;

    (void)req;
    if (vma->nr_pages > MAX_PAGES)
        return -ENOMEM;
    f = calloc(1, sizeof *f);
    if (!f || vma_set_runs(vma, nothing, NULL)) {
        free(f);
        return -ENOMEM;
    }
    vma->ops = &foreign_vma_ops;
    vma->priv = f;
    vma->map_prot = vma->prot;
    vma->may_write = (file->flags & O_ACCMODE) != O_RDONLY;
    vma->is_private = !vma->shared;
    vma->dont_copy = true;
    return 0;
}

/* ---- Batches --------------------------------------------------------------------------------- */

static void batch_free(struct batch *b)
{
    for (uint64_t i = 0; b->pages && i < b->nr; i++)
        release(b->k, &b->pages[i]);
    free(b->frames);
    free(b->pages);
    free(b->errors);
}

static int batch_alloc(struct batch *b)
{
    b->pages = calloc(b->nr, sizeof *b->pages);
    b->errors = calloc(b->nr, sizeof *b->errors);
    for (uint64_t i = 0; b->pages && i < b->nr; i++)
        b->pages[i] = not_mapped;
    return b->pages && b->errors ? 0 : -ENOMEM;
}

/* The caller's array, read piece by piece: a wild number fails before it takes memory. */
static int gather(struct kernel *k, const struct kreq *req, uint64_t from, uint64_t nr, size_t size,
                  void **out)
{
    char *array = NULL;
    int rc = 0;

    if (nr > MAX_PAGES)
        return -ENOMEM;
    for (uint64_t done = 0, piece; done < nr && !rc; done += piece) {
        char *bigger = array;

        if (!(done & (done - 1)))
            bigger = realloc(array, (done ? done * 2 : PIECE) * size);
        if (!bigger) {
            rc = -ENOMEM;
            break;
        }
        array = bigger;
        piece = nr - done < PIECE ? nr - done : PIECE;
        rc = user_read(k, req, array + done * size, from + done * size, piece * size);
    }
    if (rc)
        free(array);
    else
        *out = array;
    return rc;
}

/* The vma with all of the batch's addresses. -EINVAL: there is none, or it is filled otherwise. */
static int find_range(const struct batch *b, bool first_fills_all, struct vma **vma,
                      uint64_t *first)
{
    const struct foreign_vma *f;
    int rc;

    if (b->addr % PAGE_SIZE)
        return -EINVAL;
    rc = user_vma_at(b->k, b->req, b->addr, vma, first);
    if (rc)
        return rc;
    if (!*vma || (*vma)->ops != &foreign_vma_ops || b->nr > (*vma)->nr_pages - *first)
        return -EINVAL;
    f = (*vma)->priv;
    if (!f->pages && f->cut)
        return -EINVAL;
    if (!f->used && first_fills_all && (*first || b->nr != (*vma)->nr_pages))
        return -EINVAL;
    for (uint64_t i = 0; f->pages && i < b->nr; i++)
        if (f->pages[*first + i].handle != NOT_MAPPED)
            return -EINVAL;
    return 0;
}

static void map_frames(struct batch *b, domid_t dom, bool writable, bool by_mfn)
{
    unsigned flags = (writable ? HV_FOREIGN_WRITE : 0) | (by_mfn ? HV_FOREIGN_MFN : 0);

    for (uint64_t i = 0; i < b->nr; i++) {
        /* The hypervisor knows no foreign domain that is oneself under its number. */
        struct foreign_page *page = &b->pages[i];
        int64_t rc = -ESRCH;

        if (dom != b->k->domid)
            rc = hv_foreign_map(b->k->hv, b->k->domid, dom, b->frames[i], flags, &page->mfn);
        if (rc < 0)
            *page = not_mapped;
        else
            page->handle = rc;
        page->generation = b->k->generation;
        b->errors[i] = rc < 0 ? (int)rc : 0;
    }
}

/* A migration came while the caller's memory was touched: what was mapped is nowhere. */
static void forget_gone(struct batch *b)
{
    for (uint64_t i = 0; i < b->nr; i++)
        if (b->pages[i].generation != b->k->generation)
            b->pages[i] = not_mapped;
}

/* Puts the frames into the range, and says so in the request. Nothing comes in between any more. */
static int commit(struct batch *b, struct vma *vma, uint64_t first)
{
    struct foreign_vma *f = vma->priv;
    struct vma filled = { .nr_pages = b->nr };
    struct vma_run *runs = vma->runs;
    size_t nr_runs = vma->nr_runs;

    if (!f->pages) {
        f->pages = malloc(vma->nr_pages * sizeof *f->pages);
        for (uint64_t i = 0; f->pages && i < vma->nr_pages; i++)
            f->pages[i] = not_mapped;
    }
    if (!f->pages || vma_set_runs(&filled, page_mfn, b->pages))
        return -ENOMEM;
    memcpy(&f->pages[first], b->pages, b->nr * sizeof *b->pages);
    if (vma_set_runs(vma, page_mfn, f->pages)) {
        vma->runs = runs;
        vma->nr_runs = nr_runs;
        for (uint64_t i = 0; i < b->nr; i++)
            f->pages[first + i] = not_mapped;
        free(filled.runs);
        return -ENOMEM;
    }
    free(runs);
    for (uint64_t i = 0; i < b->nr; i++)
        b->pages[i].handle = NOT_MAPPED;          /* the vma's now */
    f->used = true;
    b->req->fill = (struct vma_fill){ vma, first, filled.runs, filled.nr_runs };
    return 0;
}

/* Maps the batch's frames: report is told about errors of single frames before any appears. */
static long fill(struct batch *b, domid_t dom, bool first_fills_all, bool by_mfn,
                 int (*report)(struct batch *b, void *ctx), void *ctx)
{
    struct vma *vma;
    uint64_t first;
    bool paged = false;
    int rc = find_range(b, first_fills_all, &vma, &first);

    if (!rc)
        rc = batch_alloc(b);
    if (rc)
        return rc;
    map_frames(b, dom, vma->prot & PROT_WRITE && vma->shared, by_mfn);
    for (uint64_t i = 0; i < b->nr; i++)
        paged |= b->errors[i] == -ENOENT;
    rc = report(b, ctx);
    if (!rc)
        rc = find_range(b, first_fills_all, &vma, &first);
    forget_gone(b);
    if (!rc)
        rc = commit(b, vma, first);
    return rc ? rc : paged ? -ENOENT : 0;
}

/* ---- MMAPBATCH ------------------------------------------------------------------------------- */

static int clear_errors(struct kernel *k, const struct kreq *req, uint64_t to, uint64_t nr)
{
    static const int none[PIECE];
    int rc = 0;

    for (uint64_t done = 0, piece; done < nr && !rc; done += piece) {
        piece = nr - done < PIECE ? nr - done : PIECE;
        rc = user_write(k, req, to + done * sizeof *none, none, piece * sizeof *none);
    }
    return rc;
}

/* Version 2 has an array for the errors, version 1 puts them into the array of frames. */
static int report_errors(struct batch *b, void *ctx)
{
    uint64_t at = *(uint64_t *)ctx;
    int rc = 0;

    for (uint64_t i = 0; i < b->nr && !rc; i++)
        if (b->errors[i])
            rc = user_write(b->k, b->req, at + i * sizeof(int), &b->errors[i], sizeof(int));
    return rc;
}

static int report_in_frames(struct batch *b, void *ctx)
{
    uint64_t at = *(uint64_t *)ctx, frame;
    int rc = 0;

    for (uint64_t i = 0; i < b->nr && !rc; i++) {
        if (!b->errors[i])
            continue;
        frame = b->frames[i];
        frame |= b->errors[i] == -ENOENT ? PRIVCMD_MMAPBATCH_PAGED_ERROR
                                         : PRIVCMD_MMAPBATCH_MFN_ERROR;
        rc = user_write(b->k, b->req, at + i * sizeof frame, &frame, sizeof frame);
    }
    return rc;
}

static long map_batch(struct file *file, struct kreq *req, const privcmd_mmapbatch_v2_t *op,
                      bool v2)
{
    struct batch b = { .k = file->kernel, .req = req, .addr = op->addr, .nr = op->num };
    uint64_t array = v2 ? (uintptr_t)op->err : (uintptr_t)op->arr;
    void *frames = NULL;
    long rc;

    if (privcmd_is_denied(file, op->dom))
        return -EPERM;
    if (op->num == 0 || op->num > INT32_MAX)
        return -EINVAL;
    rc = gather(b.k, req, (uintptr_t)op->arr, op->num, sizeof *b.frames, &frames);
    b.frames = frames;
    if (!rc && v2)
        rc = clear_errors(b.k, req, array, op->num);
    if (!rc)
        rc = fill(&b, op->dom, true, false, v2 ? report_errors : report_in_frames, &array);
    batch_free(&b);
    return rc;
}

long privcmd_ioctl_mmapbatch(struct file *file, uint64_t arg, struct kreq *req)
{
    privcmd_mmapbatch_t op;
    privcmd_mmapbatch_v2_t v2;
    int rc = user_read(file->kernel, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    v2 = (privcmd_mmapbatch_v2_t){ (unsigned)op.num, op.dom, op.addr, op.arr, NULL };
    return map_batch(file, req, &v2, false);
}

long privcmd_ioctl_mmapbatch_v2(struct file *file, uint64_t arg, struct kreq *req)
{
    privcmd_mmapbatch_v2_t op;
    int rc = user_read(file->kernel, req, &op, arg, sizeof op);

    return rc ? rc : map_batch(file, req, &op, true);
}

/* ---- MMAP ------------------------------------------------------------------------------------ */

/* Adds an entry's frames; entries follow each other without a hole. */
static int add_entry(struct batch *b, const privcmd_mmap_entry_t *entry)
{
    uint64_t *bigger;

    if (!b->nr)
        b->addr = entry->va;
    if (entry->va != b->addr + b->nr * PAGE_SIZE || entry->npages > MAX_PAGES - b->nr)
        return -EINVAL;
    bigger = realloc(b->frames, (b->nr + entry->npages + 1) * sizeof *bigger);
    if (!bigger)
        return -ENOMEM;
    b->frames = bigger;
    for (uint64_t i = 0; i < entry->npages; i++)
        b->frames[b->nr + i] = entry->mfn + i;
    b->nr += entry->npages;
    return 0;
}

/* The first frame that cannot be mapped ends it; what came before stays. */
static int stop_at_error(struct batch *b, void *ctx)
{
    int *error = ctx;

    for (uint64_t i = 0; i < b->nr; i++) {
        if (!*error)
            *error = b->errors[i];
        if (!*error)
            continue;
        release(b->k, &b->pages[i]);
        b->pages[i].mfn = HV_INVALID_MFN;
    }
    return 0;
}

long privcmd_ioctl_mmap(struct file *file, uint64_t arg, struct kreq *req)
{
    struct batch b = { .k = file->kernel, .req = req };
    privcmd_mmap_t op;
    struct vma *vma;
    void *entries = NULL;
    uint64_t first;
    int error = 0;
    long rc;

    if (b.k->profile->auto_translated)
        return -ENOSYS;
    rc = user_read(b.k, req, &op, arg, sizeof op);
    if (rc)
        return rc;
    if (privcmd_is_denied(file, op.dom))
        return -EPERM;
    if (!op.num)
        return 0;
    rc = gather(b.k, req, (uintptr_t)op.entry, (unsigned)op.num, sizeof(privcmd_mmap_entry_t),
                &entries);
    for (int i = 0; i < op.num && !rc; i++)
        rc = add_entry(&b, &((privcmd_mmap_entry_t *)entries)[i]);
    free(entries);
    if (!rc)
        rc = find_range(&b, false, &vma, &first);
    /* It begins where the vma does, and only once. */
    if (!rc && (first || ((struct foreign_vma *)vma->priv)->used))
        rc = -EINVAL;
    if (!rc)
        rc = fill(&b, op.dom, false, false, stop_at_error, &error);
    batch_free(&b);
    return rc ? rc : error;
}

/* ---- MMAP_RESOURCE --------------------------------------------------------------------------- */

static int first_error(struct batch *b, void *ctx)
{
    (void)ctx;
    for (uint64_t i = 0; i < b->nr; i++)
        if (b->errors[i])
            return b->errors[i];
    return 0;
}

long privcmd_ioctl_mmap_resource(struct file *file, uint64_t arg, struct kreq *req)
{
    struct batch b = { .k = file->kernel, .req = req };
    struct xen_mem_acquire_resource acquire;
    privcmd_mmap_resource_t op;
    struct vma *vma;
    uint64_t first, num;
    long rc = user_read(b.k, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    if (privcmd_is_denied(file, op.dom))
        return -EPERM;
    if (!op.addr != !op.num)
        return -EINVAL;
    acquire = (struct xen_mem_acquire_resource){
        .domid = op.dom, .type = (uint16_t)op.type, .id = op.id, .nr_frames = (uint32_t)op.num,
        .frame = op.num ? op.idx : 0
    };
    if (!op.num) {               /* it asks for the resource's size */
        rc = kernel_memory_op(b.k, XENMEM_acquire_resource, &acquire);
        num = acquire.nr_frames;
        return rc < 0 ? rc : user_write(b.k, req, arg + offsetof(privcmd_mmap_resource_t, num),
                                        &num, sizeof num);
    }
    b.addr = op.addr & PAGE_MASK;
    b.nr = op.num;
    rc = find_range(&b, false, &vma, &first);
    if (rc)
        return rc;
    b.frames = calloc(op.num, sizeof *b.frames);
    if (!b.frames)
        return -ENOMEM;
    set_xen_guest_handle(acquire.frame_list, b.frames);
    rc = kernel_memory_op(b.k, XENMEM_acquire_resource, &acquire);
    if (!rc)
        rc = fill(&b, op.dom, false, true, first_error, NULL);
    batch_free(&b);
    return rc;
}
