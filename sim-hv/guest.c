/* SPDX-License-Identifier: MIT */
/*
 * The two kinds of guests: PV domains use machine frames and own page tables; auto-translated ones
 * use gfns.
 */
#include "hv_i.h"
#include "paging_i.h"
#include "sharing_i.h"

/* ---- PV -------------------------------------------------------------------------------------- */

static int pv_get_frame(struct hv_domain *d, uint64_t number, bool own, bool write, uint64_t *mfn)
{
    (void)write;
    if (!frame_get(d->hv, number, d->id))
        return GNTST_bad_page;
    if (frame_of(d->hv, number)->flags & FRAME_PAGED) {
        frame_put(d->hv, number);
        paging_populate(d, frame_of(d->hv, number)->gfn, own);
        return GNTST_eagain;
    }
    *mfn = number;
    return GNTST_okay;
}

static int pv_host_map(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    if (d->pv_ops)
        return d->pv_ops->map(d->pv_ctx, host_addr, flags, mfn) < 0 ? -EINVAL : 0;
    return hostmap_map(d, host_addr, flags, mfn);
}

static int pv_host_unmap(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn,
                         uint64_t new_addr)
{
    if (d->pv_ops)
        return d->pv_ops->unmap(d->pv_ctx, host_addr, flags, mfn, new_addr) < 0 ? -EINVAL : 0;
    return hostmap_unmap(d, host_addr, flags, mfn, new_addr);
}

static uint64_t pv_frame_number(const struct hv_domain *d, uint64_t mfn)
{
    (void)d;
    return mfn;
}

static int pv_steal(struct hv_domain *d, uint64_t number, uint64_t *mfn)
{
    struct frame *f;

    if (number >= d->hv->nr_frames)
        return GNTST_bad_page;
    f = frame_of(d->hv, number);
    /* References of servers (hv_frame_get) do not count: they are not the guests'. */
    if (f->owner != d->id || f->flags & (FRAME_XENHEAP | FRAME_PAGED) ||
        !(f->flags & FRAME_ALLOCATED) || f->refs != 1 || f->types)
        return GNTST_bad_page;
    if (f->gfn != NO_GFN)
        p2m_clear(&d->p2m, f->gfn);
    frame_unassign(d->hv, number);
    *mfn = number;
    return GNTST_okay;
}

/* A PV guest has its own gfn -> mfn table; this one serves those who name its pages by gfn. */
static int pv_place(struct hv_domain *d, uint64_t wanted, uint64_t mfn)
{
    uint64_t gfn = p2m_find_hole(&d->p2m, 1);
    int rc = p2m_set(d->hv, &d->p2m, gfn, P2M_RAM_RW, mfn);

    (void)wanted;
    if (!rc)
        frame_of(d->hv, mfn)->gfn = gfn;
    return rc;
}

static uint64_t pv_transferred_number(uint64_t mfn)
{
    return mfn;
}

const struct guest_ops guest_pv = {
    .refused_map_flags = 0,
    .granter_keeps_type = true,
    .get_frame = pv_get_frame,
    .host_map = pv_host_map,
    .host_unmap = pv_host_unmap,
    .frame_number = pv_frame_number,
    .steal = pv_steal,
    .place = pv_place,
    .transferred_number = pv_transferred_number,
};

/* ---- Auto-translated ------------------------------------------------------------------------- */

static int translated_get_frame(struct hv_domain *d, uint64_t number, bool own, bool write,
                                uint64_t *mfn)
{
    struct p2m_entry e;
    struct frame *f;

    sharing_fork_fill(d, number, write);
    e = p2m_get(&d->p2m, number);
    if (p2m_is_paging(e.type)) {
        paging_populate(d, number, own);
        return GNTST_eagain;
    }
    if (write && e.type == P2M_RAM_SHARED) {
        if (sharing_unshare_or_notify(d, number, own))
            return GNTST_eagain;
        e = p2m_get(&d->p2m, number);
    }
    f = p2m_is_ram(e.type) ? frame_shown(d->hv, e.mfn, d->id, 1) : NULL;
    if (!f)
        return GNTST_bad_page;
    f->refs++;
    *mfn = e.mfn;
    return GNTST_okay;
}

static int translated_host_map(struct hv_domain *d, uint64_t host_addr, uint32_t flags,
                               uint64_t mfn)
{
    uint64_t gfn = host_addr / HV_PAGE_SIZE;
    struct p2m_entry old = p2m_get(&d->p2m, gfn);
    struct frame *f = frame_of(d->hv, mfn);
    int rc;

    if ((flags & ~(uint32_t)GNTMAP_readonly) != GNTMAP_host_map)
        return -EINVAL;
    if (p2m_is_grant(old.type)) {
        domain_crash(d, "a grant was mapped on top of another one");
        return -EPERM;
    }
    /* No physmap shows another domain's shared frame. */
    if (f->owner == DOMID_COW)
        return -EINVAL;
    rc = memory_make_room(d, gfn, old);
    if (rc)
        return rc;
    p2m_set(d->hv, &d->p2m, gfn,
            flags & GNTMAP_readonly ? P2M_GRANT_MAP_RO : P2M_GRANT_MAP_RW, mfn);
    /* Mapping an own page takes it away from where it was. */
    if (f->owner == d->id && f->gfn != NO_GFN) {
        if (d->hv->hooks.took_own)
            d->hv->hooks.took_own(d->hv->hook_ctx, d->id, f->gfn);
        p2m_vacate(&d->p2m, f->gfn);
        f->gfn = NO_GFN;
    }
    return 0;
}

static int translated_host_unmap(struct hv_domain *d, uint64_t host_addr, uint32_t flags,
                                 uint64_t mfn, uint64_t new_addr)
{
    uint64_t gfn = host_addr / HV_PAGE_SIZE;
    struct p2m_entry e = p2m_get(&d->p2m, gfn);

    if (new_addr || flags & GNTMAP_contains_pte)
        return -EINVAL;
    if (!p2m_is_grant(e.type) || e.mfn != mfn)
        return -EINVAL;
    p2m_clear(&d->p2m, gfn);
    return 0;
}

static uint64_t translated_frame_number(const struct hv_domain *d, uint64_t mfn)
{
    return frame_of(d->hv, mfn)->gfn;
}

static int translated_steal(struct hv_domain *d, uint64_t number, uint64_t *mfn)
{
    (void)mfn;
    return p2m_is_ram(p2m_get(&d->p2m, number).type) ? GNTST_general_error : GNTST_bad_page;
}

static int translated_place(struct hv_domain *d, uint64_t wanted, uint64_t mfn)
{
    struct p2m_entry old = p2m_get(&d->p2m, wanted);
    int rc;

    if (p2m_is_grant(old.type)) {
        domain_crash(d, "a page was to be put where a grant is mapped");
        return -EPERM;
    }
    rc = memory_make_room(d, wanted, old);
    if (rc)
        return rc;
    p2m_set(d->hv, &d->p2m, wanted, P2M_RAM_RW, mfn);
    frame_of(d->hv, mfn)->gfn = wanted;
    return 0;
}

static uint64_t translated_transferred_number(uint64_t mfn)
{
    (void)mfn;
    return HV_INVALID_MFN;
}

const struct guest_ops guest_translated = {
    .refused_map_flags = GNTMAP_device_map | GNTMAP_application_map | GNTMAP_contains_pte,
    .granter_keeps_type = false,
    .get_frame = translated_get_frame,
    .host_map = translated_host_map,
    .host_unmap = translated_host_unmap,
    .frame_number = translated_frame_number,
    .steal = translated_steal,
    .place = translated_place,
    .transferred_number = translated_transferred_number,
};
