/* SPDX-License-Identifier: MIT */
/* Soft reset, and suspend and resume of a domain under another id. */
#include "hv_i.h"

int hv_domain_soft_reset(struct hv *hv, domid_t id)
{
    struct hv_domain *d = domain_lookup(hv, id);

    if (!d)
        return -ESRCH;
    if (domain_dying(d))
        return -EINVAL;
    /* The grant table, and what the domain itself maps, stay as they are. */
    evtchn_close_all(d);
    return 0;
}

/* A page without its frame, or one that is not the domain's alone, cannot come along. */
static bool can_move(const struct hv_domain *d)
{
    struct p2m_entry e;

    for (uint64_t gfn = 0; p2m_next(&d->p2m, &gfn, &e); gfn++)
        if (e.mfn == HV_INVALID_MFN || e.type == P2M_RAM_SHARED)
            return false;
    return true;
}

/* Memory of the domain's own: no grant of another domain's, no frame of the hypervisor's. */
static bool is_own_memory(const struct hv *hv, const struct p2m_entry *e)
{
    return !p2m_is_grant(e->type) && !(frame_of(hv, e->mfn)->flags & FRAME_XENHEAP);
}

static int give_frame(struct hv_domain *to, uint64_t gfn)
{
    uint64_t mfn;
    int rc = frame_alloc(to->hv, &mfn);

    if (rc)
        return rc;
    frame_assign(to, mfn);
    frame_of(to->hv, mfn)->gfn = gfn;
    return p2m_set(to->hv, &to->p2m, gfn, P2M_RAM_RW, mfn);
}

/* All that can fail: to's map, with a frame of its own wherever somebody refers to from's. */
static int prepare_memory(const struct hv_domain *from, struct hv_domain *to)
{
    struct hv *hv = from->hv;
    struct p2m_entry e;
    int rc = 0;

    for (uint64_t gfn = 0; !rc && p2m_next(&from->p2m, &gfn, &e); gfn++) {
        if (!is_own_memory(hv, &e))
            continue;
        rc = frame_of(hv, e.mfn)->refs > 1 ? give_frame(to, gfn)
                                           : p2m_set(hv, &to->p2m, gfn, P2M_RAM_RW, e.mfn);
    }
    for (uint64_t gfn = 0; !rc && p2m_next_vacated(&from->p2m, &gfn, &e); gfn++)
        rc = give_frame(to, gfn);
    return rc;
}

/*
 * A frame that only its owner refers to becomes to's; of any other, which stays what it is for
 * those who see it, to has a copy.
 */
static void move_page(struct hv_domain *to, uint64_t gfn, uint64_t mfn)
{
    uint64_t own = p2m_get(&to->p2m, gfn).mfn;
    struct hv *hv = to->hv;

    if (frame_of(hv, mfn)->refs > 1) {
        assert(own != mfn);
        memcpy(frame_data(hv, own), frame_data(hv, mfn), HV_PAGE_SIZE);
        return;
    }
    if (own != mfn) {
        p2m_set(hv, &to->p2m, gfn, P2M_RAM_RW, mfn);
        frame_of(hv, own)->gfn = NO_GFN;
        frame_drop_allocated(hv, own);
    }
    frame_unassign(hv, mfn);
    frame_assign(to, mfn);
    frame_of(hv, mfn)->gfn = gfn;
}

/* from maps nothing any more, but others may map its pages. Paged-out ones come back in. */
static void move_memory(struct hv_domain *from, struct hv_domain *to)
{
    struct hv *hv = from->hv;
    struct p2m_entry e;

    for (uint64_t gfn = 0; p2m_next(&from->p2m, &gfn, &e); gfn++)
        if (is_own_memory(hv, &e))
            move_page(to, gfn, e.mfn);
    /* A page that its own domain mapped elsewhere returns to where the kernel believes it to be. */
    for (uint64_t gfn = 0; p2m_next_vacated(&from->p2m, &gfn, &e); gfn++) {
        const struct frame *f = frame_of(hv, e.mfn);

        if (f->refs && f->owner == from->id && f->flags & FRAME_ALLOCATED && f->gfn == NO_GFN)
            move_page(to, gfn, e.mfn);
    }
}

int hv_domain_migrate(struct hv *hv, domid_t from, domid_t to)
{
    struct hv_domain *old = domain_lookup(hv, from), *new;
    struct hv_domain_config config;
    int rc;

    if (!old)
        return -ESRCH;
    if (domain_dying(old))
        return -EINVAL;
    if (!can_move(old))
        return -EBUSY;
    config = old->config;
    config.nr_pages = 0;
    config.max_pages = old->max_pages;
    rc = hv_domain_create(hv, to, &config);
    if (rc)
        return rc;
    new = domain_lookup(hv, to);
    new->config = old->config;
    new->p2m.max_nodes = old->p2m.max_nodes;
    rc = prepare_memory(old, new);
    if (rc) {
        hv_domain_destroy(hv, to);
        return rc;
    }
    domain_kill_begin(old);
    move_memory(old, new);
    domain_kill_end(old);
    hv_reap(hv);
    return 0;
}
