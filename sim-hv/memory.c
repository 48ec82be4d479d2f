/* SPDX-License-Identifier: MIT */
/* A domain's memory: adds and removes pages, and pages them out and in. */
#include "hv_i.h"
#include "paging_i.h"
#include "sharing_i.h"

bool domain_may_grow(const struct hv_domain *d, uint64_t nr)
{
    return nr <= d->max_pages && domain_tot_pages(d) <= d->max_pages - nr;
}

/* What was paged out is given up: a real machine has no frame left for it. */
int memory_make_room(struct hv_domain *d, uint64_t gfn, struct p2m_entry e)
{
    struct frame *f;

    assert(!p2m_is_grant(e.type));
    if (e.type == P2M_INVALID) {
        /* The nodes for it. */
        int rc = p2m_set(d->hv, &d->p2m, gfn, P2M_RAM_PAGED, HV_INVALID_MFN);

        if (!rc)
            p2m_clear(&d->p2m, gfn);
        return rc;
    }
    if (e.type == P2M_RAM_SHARED) {
        if (sharing_unshare(d, gfn))
            return -ENOMEM;
        e = p2m_get(&d->p2m, gfn);
    }
    if (e.mfn == HV_INVALID_MFN) {
        d->paged_pages--;
        return 0;
    }
    f = frame_of(d->hv, e.mfn);
    f->gfn = NO_GFN;
    if (f->flags & FRAME_PAGED)
        frame_drop_allocated(d->hv, e.mfn);
    return 0;
}

int64_t hv_page_alloc(struct hv *hv, domid_t dom, uint64_t *mfn)
{
    return hv_page_alloc_run(hv, dom, 1, mfn);
}

int64_t hv_page_alloc_run(struct hv *hv, domid_t dom, uint64_t nr, uint64_t *first_mfn)
{
    struct hv_domain *d = domain_lookup(hv, dom);
    uint64_t gfn, first, i;
    int rc = 0;

    if (!d)
        return -ESRCH;
    if (domain_dying(d) || nr == 0)
        return -EINVAL;
    if (!domain_may_grow(d, nr) || nr > hv->pool.nr_free)
        return -ENOMEM;
    gfn = p2m_find_hole(&d->p2m, nr);
    if (frame_alloc_run(hv, nr, &first))
        return -ENOMEM;
    for (i = 0; i < nr && !rc; i++)
        rc = p2m_set(hv, &d->p2m, gfn + i, P2M_RAM_RW, first + i);
    if (rc) {
        while (--i > 0)
            p2m_clear(&d->p2m, gfn + i - 1);
        for (i = 0; i < nr; i++)
            frame_put(hv, first + i);
        frames_flush_freed(hv);
        return -ENOMEM;
    }
    for (i = 0; i < nr; i++) {
        frame_assign(d, first + i);
        frame_of(hv, first + i)->gfn = gfn + i;
    }
    if (first_mfn)
        *first_mfn = first;
    return (int64_t)gfn;
}

int hv_page_free(struct hv *hv, domid_t dom, uint64_t gfn)
{
    struct hv_domain *d = domain_lookup(hv, dom);
    struct p2m_entry e;

    if (!d)
        return -ESRCH;
    e = p2m_get(&d->p2m, gfn);
    if (e.type == P2M_INVALID) {
        p2m_give_up(&d->p2m, gfn);
        return -EINVAL;
    }
    if (p2m_is_grant(e.type))
        return -ENXIO;
    if (e.type == P2M_RAM_SHARED) {
        if (sharing_unshare(d, gfn))
            return -ENOMEM;
        e = p2m_get(&d->p2m, gfn);
    }
    p2m_clear(&d->p2m, gfn);
    if (e.type == P2M_RAM_PAGED || e.type == P2M_RAM_PAGING_IN)
        paging_forget(d, gfn);
    if (e.mfn == HV_INVALID_MFN) {
        d->paged_pages--;
        return 0;
    }
    frame_of(hv, e.mfn)->gfn = NO_GFN;
    /* One of the hypervisor's frames is only taken out of sight. */
    if (!(frame_of(hv, e.mfn)->flags & FRAME_XENHEAP))
        frame_drop_allocated(hv, e.mfn);
    frames_flush_freed(hv);
    return 0;
}

/* What is at gfn, whatever it is: 0, -ESRCH, -ENOENT. */
static int look_up(const struct hv *hv, domid_t dom, uint64_t gfn, const struct hv_domain **d,
                   struct p2m_entry *e)
{
    *d = domain_lookup(hv, dom);
    if (!*d)
        return -ESRCH;
    *e = p2m_get(&(*d)->p2m, gfn);
    return e->type == P2M_INVALID ? -ENOENT : 0;
}

int hv_gfn_to_mfn(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *mfn)
{
    const struct hv_domain *d;
    struct p2m_entry e;
    int rc = look_up(hv, dom, gfn, &d, &e);

    if (rc)
        return rc;
    if (p2m_is_paging(e.type))
        return -EAGAIN;
    *mfn = e.mfn;
    return 0;
}

int hv_grant_frame_number(const struct hv *hv, domid_t dom, uint64_t gfn, uint64_t *frame)
{
    const struct hv_domain *d;
    struct p2m_entry e;
    int rc = look_up(hv, dom, gfn, &d, &e);

    if (rc)
        return rc;
    *frame = d->guest == &guest_pv ? e.mfn : gfn; /* a PV domain's page has a frame always */
    return 0;
}

/*
 * Nominate and evict in one: the same conditions, but the frame stays where it is, so that the domain's own
 * accesses, which a pager would serve on the fly, go on unharmed.
 */
int hv_page_out(struct hv *hv, domid_t dom, uint64_t gfn)
{
    struct hv_domain *d = domain_lookup(hv, dom);
    struct p2m_entry e;
    struct frame *f;

    if (!d)
        return -ESRCH;
    e = p2m_get(&d->p2m, gfn);
    if (e.type == P2M_INVALID)
        return -ENOENT;
    if (e.type != P2M_RAM_RW)
        return -EBUSY;
    f = frame_of(hv, e.mfn);
    /* f->held does not count: no guest knows of those references. */
    if (f->refs != 1 || f->types || f->flags & FRAME_XENHEAP)
        return -EBUSY;
    p2m_change(&d->p2m, gfn, P2M_RAM_PAGED, e.mfn);
    f->flags |= FRAME_PAGED;
    d->kept_pages++;
    d->paged_pages++;
    return 0;
}

int hv_page_in(struct hv *hv, domid_t dom, uint64_t gfn)
{
    struct hv_domain *d = domain_lookup(hv, dom);
    struct p2m_entry e;

    if (!d)
        return -ESRCH;
    e = p2m_get(&d->p2m, gfn);
    /* What a pager took, only it can bring back. */
    if (!p2m_is_paging(e.type) || e.mfn == HV_INVALID_MFN ||
        !(frame_of(hv, e.mfn)->flags & FRAME_PAGED))
        return -ENOENT;
    p2m_change(&d->p2m, gfn, P2M_RAM_RW, e.mfn);
    frame_of(hv, e.mfn)->flags &= (uint8_t)~FRAME_PAGED;
    d->kept_pages--;
    d->paged_pages--;
    return 0;
}
