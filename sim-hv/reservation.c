/* SPDX-License-Identifier: MIT */
/*
 * The memory operations by which a domain's memory becomes more or less: populate_physmap,
 * decrease_reservation and remove_from_physmap.
 */
#include "memory_i.h"
#include "paging_i.h"
#include "sharing_i.h"

/* What a page from the toolstack holds: a debug build of Xen leaves this in what it scrubbed. */
#define SCRUBBED 0xc2

/* ---- Lists of extents ------------------------------------------------------------------------ */

/* The operation that is carried out extent by extent, and the number of those that are done. */
struct extents {
    const struct hv_call *c;
    struct xen_memory_reservation op;
    struct hv_domain *d;
    uint64_t done;
};

static uint64_t extent_at(const struct extents *x)
{
    return (uintptr_t)x->op.extent_start.p + x->done * sizeof(xen_pfn_t);
}

/* Each answer but the number of extents done is that of a caller with nothing to ask for. */
static bool read_extents(struct extents *x, const struct hv_call *c, uint64_t arg, uint64_t start)
{
    *x = (struct extents){ .c = c, .done = start };
    if (call_from_guest(c, &x->op, arg, sizeof x->op))
        return false;
    if (x->op.nr_extents > UINT64_MAX >> MEMOP_EXTENT_SHIFT || start >= x->op.nr_extents)
        return false;
    x->d = domain_lookup_any(c->d, x->op.domid);
    return x->d && domain_may_control(c->d, x->d);
}

/* ---- More ------------------------------------------------------------------------------------ */

/* A PV domain's own table says where its page is; ours is for whoever names it from outside. */
static int place_page(struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    struct p2m_entry old = p2m_get(&d->p2m, gfn);
    int rc;

    if (p2m_is_grant(old.type)) {
        domain_crash(d, "a page was to be put where a grant is mapped");
        return -EINVAL;
    }
    rc = memory_make_room(d, gfn, old);
    if (!rc)
        p2m_set(d->hv, &d->p2m, gfn, P2M_RAM_RW, mfn);
    return rc;
}

static int add_page(struct hv_domain *d, uint64_t gfn, uint64_t *mfn)
{
    int rc;

    if (!domain_may_grow(d, 1) || frame_alloc(d->hv, mfn))
        return -ENOMEM;
    memset(frame_data(d->hv, *mfn), SCRUBBED, HV_PAGE_SIZE);
    rc = place_page(d, gfn, *mfn);
    if (rc) {
        frame_put(d->hv, *mfn);
        frames_flush_freed(d->hv);
        return rc;
    }
    frame_assign(d, *mfn);
    frame_of(d->hv, *mfn)->gfn = gfn;
    return 0;
}

static bool add_extent(const struct extents *x)
{
    uint64_t at = extent_at(x), nr = UINT64_C(1) << x->op.extent_order, mfn, first = 0;
    xen_pfn_t gfn;

    if (call_from_guest(x->c, &gfn, at, sizeof gfn) || !domain_may_grow(x->d, nr))
        return false;
    for (uint64_t i = 0; i < nr; i++) {
        if (add_page(x->d, gfn + i, &mfn))
            return false;
        if (i == 0)
            first = mfn;
    }
    return x->d->guest != &guest_pv || !call_to_guest(x->c, at, &first, sizeof first);
}

long memory_populate_physmap(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct extents x;

    if (!read_extents(&x, c, arg, start) || domain_dying(x.d) ||
        x.op.extent_order > (x.d->guest == &guest_pv ? 0u : P2M_BITS))
        return (long)start;
    while (x.done < x.op.nr_extents && add_extent(&x))
        x.done++;
    return (long)x.done;
}

/* ---- Less ------------------------------------------------------------------------------------ */

/* The gfn of a page as its domain names it. */
static bool find_gfn(const struct hv_domain *d, uint64_t number, uint64_t *gfn)
{
    const struct frame *f;

    *gfn = number;
    if (d->guest != &guest_pv)
        return true;
    f = frame_for(d->hv, number, d->id, 0);
    if (!f || f->gfn == NO_GFN)
        return false;
    *gfn = f->gfn;
    return true;
}

static int remove_page(struct hv_domain *d, uint64_t gfn)
{
    struct p2m_entry e = p2m_get(&d->p2m, gfn);

    if (e.type == P2M_RAM_PAGED || e.type == P2M_RAM_PAGING_IN)
        return paging_drop(d, gfn, e);
    if (e.type == P2M_INVALID || p2m_is_grant(e.type))
        return -EINVAL;
    if (e.type == P2M_RAM_SHARED) {
        if (sharing_unshare_or_notify(d, gfn, false))
            return -ENOMEM;
        e = p2m_get(&d->p2m, gfn);
    }
    p2m_clear(&d->p2m, gfn);
    frame_of(d->hv, e.mfn)->gfn = NO_GFN;
    if (!(frame_of(d->hv, e.mfn)->flags & FRAME_XENHEAP))
        frame_drop_allocated(d->hv, e.mfn);
    return 0;
}

static bool remove_extent(const struct extents *x)
{
    uint64_t nr = UINT64_C(1) << x->op.extent_order, gfn;
    xen_pfn_t number;

    if (call_from_guest(x->c, &number, extent_at(x), sizeof number))
        return false;
    for (uint64_t i = 0; i < nr; i++)
        if (!find_gfn(x->d, number + i, &gfn) || remove_page(x->d, gfn))
            return false;
    return true;
}

long memory_decrease_reservation(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct extents x;

    if (!read_extents(&x, c, arg, start) || domain_dying(x.d) || x.op.extent_order > P2M_BITS)
        return (long)start;
    while (x.done < x.op.nr_extents && remove_extent(&x))
        x.done++;
    frames_flush_freed(c->hv);
    return (long)x.done;
}

/* The domain keeps the frame, which it does not see any more. */
long memory_remove_from_physmap(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct xen_remove_from_physmap op;
    struct hv_domain *d;
    struct p2m_entry e;
    long rc;

    (void)start;
    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    rc = memory_translated(c, op.domid, &d);
    if (rc)
        return rc;
    e = p2m_get(&d->p2m, op.gpfn);
    if (e.type == P2M_INVALID || p2m_is_grant(e.type) || e.mfn == HV_INVALID_MFN ||
        frame_of(c->hv, e.mfn)->flags & FRAME_PAGED)
        return -ENOENT;
    if (e.type == P2M_RAM_SHARED) {
        sharing_lose(d, op.gpfn);
        return 0;
    }
    p2m_clear(&d->p2m, op.gpfn);
    frame_of(c->hv, e.mfn)->gfn = NO_GFN;
    return 0;
}
