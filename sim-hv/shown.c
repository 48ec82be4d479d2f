/* SPDX-License-Identifier: MIT */
/* Tells the embedder what processes see of a domain's pages, and makes copies for their writes. */
#include "paging_i.h"
#include "sharing_i.h"

bool shown_can_change(const struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    const struct hv *hv = d->hv;

    if (!frame_of(hv, mfn)->held)
        return true;
    return hv->hooks.follows && hv->hooks.follows(hv->hook_ctx, d->id, gfn, mfn);
}

void shown_change(const struct hv_domain *d, uint64_t gfn, uint64_t from, uint64_t to,
                  bool writable)
{
    const struct hv *hv = d->hv;

    if (hv->hooks.shows)
        hv->hooks.shows(hv->hook_ctx, d->id, gfn, from, to, writable);
}

void shown_go_on(struct hv_domain *d)
{
    d->wants_slot = false;
    if (d->hv->hooks.goes_on)
        d->hv->hooks.goes_on(d->hv->hook_ctx, d->id);
}

/* The gfn that a page had before its own domain mapped it elsewhere. */
static bool find_lost(const struct hv_domain *d, uint64_t mfn, uint64_t *gfn)
{
    struct p2m_entry e;

    for (*gfn = 0; p2m_next_vacated(&d->p2m, gfn, &e); ++*gfn)
        if (e.mfn == mfn)
            return true;
    return false;
}

/* Its own domain mapped it, and has it nowhere now. */
static bool is_lost(const struct hv_domain *d, const struct frame *f)
{
    return d->guest != &guest_pv && f->owner == d->id && f->gfn == NO_GFN && f->refs == 1 &&
           (f->flags & (FRAME_ALLOCATED | FRAME_XENHEAP)) == FRAME_ALLOCATED;
}

void shown_lose(const struct hv_domain *d, uint64_t mfn)
{
    const struct frame *f = frame_of(d->hv, mfn);
    uint64_t gfn;

    if (domain_dying(d) || !is_lost(d, f))
        return;
    memset(frame_data(d->hv, mfn), 0xff, HV_PAGE_SIZE);
    if (f->held && find_lost(d, mfn, &gfn))
        shown_change(d, gfn, mfn, mfn, false);
}

bool hv_frame_lost(const struct hv *hv, uint64_t mfn, uint64_t *gfn)
{
    const struct frame *f = mfn < hv->nr_frames ? frame_of(hv, mfn) : NULL;
    const struct hv_domain *d =
        f && f->refs == 1 && f->owner < DOMID_FIRST_RESERVED ? domain_lookup(hv, f->owner) : NULL;

    return d && !domain_dying(d) && is_lost(d, f) && find_lost(d, mfn, gfn);
}

/* A page that is out, or on its way: the pager is asked. */
static int wait_for_pager(struct hv_domain *d, uint64_t gfn)
{
    int room = vm_event_claim(d, VM_EVENT_PAGING);

    paging_populate(d, gfn, true);
    d->wants_slot |= room == -EBUSY;
    if (!d->crashed)
        return room == -EBUSY ? -EAGAIN : -ENOMEM;
    hv_reap(d->hv);
    return -ESRCH;
}

int hv_page_touch(struct hv *hv, domid_t dom, uint64_t gfn)
{
    struct hv_domain *d = domain_lookup(hv, dom);

    if (d && !domain_dying(d) && !d->crashed && p2m_is_paging(p2m_get(&d->p2m, gfn).type))
        return wait_for_pager(d, gfn);
    return hv_page_write(hv, dom, gfn);
}

int hv_page_write(struct hv *hv, domid_t dom, uint64_t gfn)
{
    struct hv_domain *d = domain_lookup(hv, dom);
    enum p2m_type type;
    int room;

    if (!d || domain_dying(d) || d->crashed)
        return -ESRCH;
    type = p2m_get(&d->p2m, gfn).type;
    if (type != P2M_RAM_SHARED)
        return type == P2M_INVALID ? -ENOENT : 0;
    /* Before the attempt, which takes the last slot of the ring. */
    room = vm_event_claim(d, VM_EVENT_SHARING);
    if (!sharing_unshare_or_notify(d, gfn, true))
        return 0;
    d->wants_slot |= room == -EBUSY;
    if (room != -EOPNOTSUPP)
        return room ? -EAGAIN : -ENOMEM;
    domain_crash(d, "a shared page was written, there is no memory for a copy, and no helper");
    hv_reap(hv);
    return -ESRCH;
}
