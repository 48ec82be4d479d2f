/* SPDX-License-Identifier: MIT */
/* /dev/xen/gntalloc: pages that a process shares with another domain. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ioctls_i.h"
#include "kernel_i.h"
#include "unmap_notify_i.h"

_Static_assert(offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids) == 16,
               "ioctl structures are ABI");
_Static_assert(sizeof(struct ioctl_gntalloc_dealloc_gref) == 16, "ioctl structures are ABI");
_Static_assert(sizeof(struct ioctl_gntalloc_unmap_notify) == 16, "ioctl structures are ABI");

/* What the ioctl copies first: the fixed part and one reference. */
#define ALLOC_HEADER 24u

struct gntalloc_gref {
    struct gntalloc_gref *prev, *next;       /* all of the kernel */
    uint64_t file_index;                     /* byte offset in its file */
    struct kernel_page *page;
    grant_ref_t ref;
    unsigned users;                          /* 1 for the file, 1 per mmap */
    domid_t domid;
    bool readonly;
    bool ended; /* its entry went with a migration; nobody can use it any more */
    struct unmap_notify notify;              /* its byte counts from the start of the page */
};

/* The pages of one open file, in order of allocation, which is the order of their offsets. */
struct gntalloc_file {
    uint64_t next_index;
    struct gntalloc_gref **grefs;
    size_t nr, capacity;
};

/* What an mmap covers. */
struct gntalloc_vma {
    size_t nr;
    struct gntalloc_gref *grefs[];
};

/* ---- Pages ----------------------------------------------------------------------------------- */

static void gref_free(struct kernel *k, struct gntalloc_gref *gref)
{
    DL_DELETE(k->gntalloc.grefs, gref);
    k->gntalloc.nr--;
    free(gref);
}

static void fire_notification(struct kernel *k, struct gntalloc_gref *gref)
{
    unsigned char *page;

    if (unmap_notify_clears(k, &gref->notify) && !k->dead) {
        page = kernel_page_address(k, gref->page);
        if (page)
            __atomic_store_n(&page[gref->notify.at], 0, __ATOMIC_SEQ_CST);
    }
    unmap_notify_send(k, &gref->notify);
}

/* Nobody uses the page any more. False: it has to wait for the peer, and is dead until then. */
static bool delete_gref(struct kernel *k, struct gntalloc_gref *gref)
{
    assert(!gref->users);
    fire_notification(k, gref);
    if (k->profile->gntalloc_waits_for_peer) {
        if (gnttab_query_foreign_access(k, gref->ref) ||
            !gnttab_try_end_foreign_access(k, gref->ref))
            return false;
        kernel_page_put(k, gref->page);
    } else {
        gnttab_end_foreign_access(k, gref->ref, gref->page);
    }
    gref_free(k, gref);
    return true;
}

/* Deletes whatever nobody uses, as far as the peers let it, oldest first. */
static void cleanup(struct kernel *k)
{
    struct gntalloc *g = &k->gntalloc;
    struct gntalloc_gref *gref, *next;
    uint64_t left = g->nr_dead;

    for (gref = g->grefs; gref && left; gref = next) {
        next = gref->next;
        if (gref->users)
            continue;
        left--;
        if (delete_gref(k, gref))
            g->nr_dead--;
    }
}

static void put_gref(struct kernel *k, struct gntalloc_gref *gref)
{
    assert(gref->users);
    if (!--gref->users && !delete_gref(k, gref))
        k->gntalloc.nr_dead++;
}

void gntalloc_destroy(struct kernel *k)
{
    assert(k->dead);
    while (k->gntalloc.grefs) {
        kernel_page_put(k, k->gntalloc.grefs->page);
        gref_free(k, k->gntalloc.grefs);
    }
    k->gntalloc.nr_dead = 0;
}

/* The reference and the page stay the file's, but grant nothing: nobody writes the entry again. */
void gntalloc_migrated(struct kernel *k)
{
    for (struct gntalloc_gref *gref = k->gntalloc.grefs; gref; gref = gref->next) {
        gref->ended = true;
        gref->notify.holds_port = false;
    }
}

/* ---- A file's pages -------------------------------------------------------------------------- */

/* Position of the page at a byte offset, nr if there is none. */
static size_t find_gref(const struct gntalloc_file *priv, uint64_t index)
{
    size_t low = 0, high = priv->nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (priv->grefs[mid]->file_index < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low < priv->nr && priv->grefs[low]->file_index == index ? low : priv->nr;
}

/* Position of the first of count pages with consecutive offsets, nr if there are none. */
static size_t find_grefs(const struct gntalloc_file *priv, uint64_t index, uint64_t count)
{
    size_t at = find_gref(priv, index);

    if (at == priv->nr || !count || count > priv->nr - at ||
        priv->grefs[at + count - 1]->file_index != index + (count - 1) * PAGE_SIZE)
        return priv->nr;
    return at;
}

static int make_room(struct gntalloc_file *priv, size_t extra)
{
    size_t capacity = priv->capacity ? priv->capacity : 16;
    struct gntalloc_gref **grefs;

    if (priv->nr + extra <= priv->capacity)
        return 0;
    while (capacity < priv->nr + extra)
        capacity *= 2;
    grefs = realloc(priv->grefs, capacity * sizeof *grefs);
    if (!grefs)
        return -ENOMEM;
    priv->grefs = grefs;
    priv->capacity = capacity;
    return 0;
}

/* ---- ioctls ---------------------------------------------------------------------------------- */

static int add_gref(struct kernel *k, struct gntalloc_file *priv, struct kernel_page *page,
                    uint64_t index, domid_t domid, bool readonly)
{
    struct gntalloc *g = &k->gntalloc;
    struct gntalloc_gref *gref = calloc(1, sizeof *gref);
    int64_t ref;

    if (!gref)
        return -ENOMEM;
    ref = gnttab_grant_foreign_access(k, domid, kernel_page_frame(page), readonly);
    if (ref < 0) {
        free(gref);
        return (int)ref;
    }
    *gref = (struct gntalloc_gref){
        .file_index = index, .page = page, .ref = (grant_ref_t)ref, .users = 1, .domid = domid,
        .readonly = readonly
    };
    DL_APPEND(g->grefs, gref);
    g->nr++;
    priv->grefs[priv->nr++] = gref;
    return 0;
}

/* Shares count new pages from index on; all or none. */
static int add_grefs(struct kernel *k, struct gntalloc_file *priv,
                     const struct ioctl_gntalloc_alloc_gref *op, uint64_t index)
{
    struct kernel_page **pages;
    uint32_t done = 0;
    int rc = -ENOMEM;

    if (!op->count)
        return 0;
    pages = malloc(op->count * sizeof *pages);
    if (!pages)
        return -ENOMEM;
    if (make_room(priv, op->count) || kernel_pages_alloc(k, op->count, pages))
        goto out;
    rc = 0;
    for (; !rc && done < op->count; done++)
        rc = add_gref(k, priv, pages[done], index + (uint64_t)done * PAGE_SIZE, op->domid,
                      !(op->flags & GNTALLOC_FLAG_WRITABLE));
    if (!rc)
        goto out;
    /* The one that failed is not in the file; the pages of the others go with them. */
    for (uint32_t i = done - 1; i < op->count; i++)
        kernel_page_put(k, pages[i]);
    for (uint32_t i = 0; i < done - 1; i++)
        put_gref(k, priv->grefs[priv->nr - done + 1 + i]);
    priv->nr -= done - 1;
out:
    free(pages);
    return rc;
}

static long ioctl_alloc(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct gntalloc_file *priv = file->priv;
    union {
        struct ioctl_gntalloc_alloc_gref op;
        unsigned char bytes[ALLOC_HEADER];
    } u;
    uint32_t *ids;
    int rc = user_read(k, req, &u, arg, sizeof u);

    if (rc)
        return rc;
    cleanup(k);
    if (k->gntalloc.limit >= 0 && k->gntalloc.nr + u.op.count > (uint64_t)k->gntalloc.limit)
        return -ENOSPC;
    if (u.op.count > KMALLOC_MAX / sizeof *ids)
        return -ENOMEM;
    ids = malloc((u.op.count + 1) * sizeof *ids);
    if (!ids)
        return -ENOMEM;
    u.op.index = priv->next_index;
    priv->next_index += (uint64_t)u.op.count * PAGE_SIZE;
    rc = add_grefs(k, priv, &u.op, u.op.index);
    if (rc)
        goto out;
    for (uint32_t i = 0; i < u.op.count; i++)
        ids[i] = priv->grefs[priv->nr - u.op.count + i]->ref;
    /* If these fail the pages stay until the file is closed, as on a real kernel. */
    rc = user_write(k, req, arg, &u, sizeof u);
    if (!rc && u.op.count)
        rc = user_write(k, req, arg + offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids), ids,
                        u.op.count * sizeof *ids);
out:
    free(ids);
    return rc;
}

static long ioctl_dealloc(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct gntalloc_file *priv = file->priv;
    struct ioctl_gntalloc_dealloc_gref op;
    size_t at;
    int rc = user_read(k, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    at = find_grefs(priv, op.index, op.count);
    rc = at < priv->nr ? 0 : -EINVAL;
    if (!rc) {
        for (size_t i = at; i < at + op.count; i++)
            if (!--priv->grefs[i]->users)
                k->gntalloc.nr_dead++;
        priv->nr -= op.count;
        memmove(priv->grefs + at, priv->grefs + at + op.count,
                (priv->nr - at) * sizeof *priv->grefs);
    }
    cleanup(k);
    return rc;
}

static long ioctl_set_unmap_notify(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct gntalloc_file *priv = file->priv;
    struct ioctl_gntalloc_unmap_notify op;
    struct unmap_notify notify;
    size_t at;
    int rc = user_read(k, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    at = find_gref(priv, op.index & PAGE_MASK);
    if (at == priv->nr)
        return -ENOENT;
    rc = unmap_notify_init(k, &notify, op.action, op.event_channel_port);
    if (rc)
        return rc;
    notify.at = op.index & ~PAGE_MASK;
    unmap_notify_replace(k, &priv->grefs[at]->notify, &notify);
    return 0;
}

static long gntalloc_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req)
{
    static const struct ioctl_handler handlers[] = {
#define ROW(name, handler, ...) { IOCTL_GNTALLOC_##name, handler },
        KERNEL_GNTALLOC_IOCTLS(ROW)
#undef ROW
    };

    return ioctl_dispatch(handlers, sizeof handlers / sizeof *handlers, file, cmd, arg, req,
                          -ENOTTY);
}

/* ---- mmap ------------------------------------------------------------------------------------ */

static void gntalloc_vma_close(struct vma *vma)
{
    struct gntalloc_vma *v = vma->priv;

    for (size_t i = 0; vma->file->kernel && i < v->nr; i++)
        put_gref(vma->file->kernel, v->grefs[i]);
    free(v);
}

static void gntalloc_unpin(struct kernel_pin *pin)
{
    kernel_page_put(pin->k, pin->obj);
}

/* The page may outlive its grant, and the kernel. */
static int gntalloc_pin(struct vma *vma, uint64_t page, struct kernel_pin *pin)
{
    struct gntalloc_vma *v = vma->priv;

    pin->obj = v->grefs[page]->page;
    pin->unpin = gntalloc_unpin;
    kernel_page_get(pin->obj);
    return 0;
}

static const struct vma_ops gntalloc_vma_ops = {
    .close = gntalloc_vma_close,
    .pin = gntalloc_pin,
};

static uint64_t vma_mfn(const void *ctx, uint64_t i)
{
    const struct gntalloc_vma *v = ctx;

    return kernel_page_mfn(v->grefs[i]->page);
}

/* A program that maps pages may write to them at once, so none of them is shared from then on. */
static int own_pages(struct kernel *k, struct gntalloc_gref **grefs, size_t nr)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < nr; i++)
        rc = kernel_page_own(k, grefs[i]->page);
    return rc ? -ENOMEM : 0;
}

static long gntalloc_mmap(struct file *file, struct vma *vma, struct kreq *req)
{
    struct gntalloc_file *priv = file->priv;
    struct gntalloc_vma *v;
    size_t at;

    (void)req;
    if (!vma->shared) {
        kernel_log(file->kernel, "gntalloc: mapping must be shared");
        return -EINVAL;
    }
    if (vma->pgoff > UINT64_MAX >> PAGE_SHIFT)
        return -ENOENT;
    at = find_grefs(priv, vma->pgoff << PAGE_SHIFT, vma->nr_pages);
    if (at == priv->nr)
        return -ENOENT;
    if (own_pages(file->kernel, priv->grefs + at, vma->nr_pages))
        return -ENOMEM;
    v = malloc(sizeof *v + vma->nr_pages * sizeof *v->grefs);
    if (!v)
        return -ENOMEM;
    v->nr = vma->nr_pages;
    memcpy(v->grefs, priv->grefs + at, v->nr * sizeof *v->grefs);
    if (vma_set_runs(vma, vma_mfn, v)) {
        free(v);
        return -ENOMEM;
    }
    for (size_t i = 0; i < v->nr; i++)
        v->grefs[i]->users++;
    vma->map_prot = vma->prot;
    vma->may_write = true;
    vma->own = true;
    vma->dont_copy = false;
    vma->ops = &gntalloc_vma_ops;
    vma->priv = v;
    return 0;
}

/* ---- The file -------------------------------------------------------------------------------- */

static int gntalloc_open(struct file *file)
{
    file->priv = calloc(1, sizeof(struct gntalloc_file));
    return file->priv ? 0 : -ENOMEM;
}

static void gntalloc_release(struct file *file)
{
    struct gntalloc_file *priv = file->priv;

    for (size_t at = 0; file->kernel && at < priv->nr; at++)
        put_gref(file->kernel, priv->grefs[at]);
    free(priv->grefs);
    free(priv);
}

static const struct chardev_ops gntalloc_ops = {
    .open = gntalloc_open,
    .release = gntalloc_release,
    .ioctl = gntalloc_ioctl,
    .mmap = gntalloc_mmap,
};

const struct chardev gntalloc_chardev = { .name = "gntalloc", .ops = &gntalloc_ops };

/* ---- Audit ----------------------------------------------------------------------------------- */

void gntalloc_audit(struct kernel_audit *audit)
{
    const struct kernel *k = audit->k;
    const struct gntalloc_gref *gref;
    struct grant_entry_view entry;
    uint64_t nr = 0, dead = 0;

    for (gref = k->gntalloc.grefs; gref; gref = gref->next, nr++) {
        uint16_t flags = GTF_permit_access | (gref->readonly ? GTF_readonly : 0);

        dead += !gref->users;
        if (k->gnttab.state[gref->ref] != REF_USED)
            audit_fail(audit, "gntalloc page at %#llx has reference %u, which is free",
                       (unsigned long long)gref->file_index, gref->ref);
        if (k->gnttab.wiped || !grant_entry_read(k, gref->ref, &entry))
            continue;
        if (gref->ended) {
            if (entry.flags)
                audit_fail(
                    audit,
                    "gntalloc reference %u was ended by a migration, but its entry has flags %#x",
                    gref->ref, entry.flags);
            continue;
        }
        if ((entry.flags & (GTF_type_mask | GTF_readonly)) != flags || entry.domid != gref->domid ||
            entry.frame != kernel_page_frame(gref->page))
            audit_fail(audit, "gntalloc reference %u: entry is flags %#x domid %u frame %#llx",
                       gref->ref, entry.flags, entry.domid, (unsigned long long)entry.frame);
    }
    if (nr != k->gntalloc.nr)
        audit_fail(audit, "gntalloc counts %llu pages but has %llu",
                   (unsigned long long)k->gntalloc.nr, (unsigned long long)nr);
    if (dead != k->gntalloc.nr_dead)
        audit_fail(audit, "gntalloc counts %llu pages without users but has %llu",
                   (unsigned long long)k->gntalloc.nr_dead, (unsigned long long)dead);
}
