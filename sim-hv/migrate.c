/* SPDX-License-Identifier: MIT */
/* What becomes of a domain that goes on after a reset, or as another domain. */
#include "hv_i.h"

int hv_domain_soft_reset(struct hv *hv, domid_t id)
{
    struct domain *d = domain_lookup(hv, id);

    if (!d)
        return -ESRCH;
    if (domain_dying(d))
        return -EINVAL;
    /* The grant table, and what the domain itself maps, stay as they are. */
    evtchn_close_all(d);
    return 0;
}

/* The same contents at the same gfns. Pages that are out come back in. */
static int copy_memory(const struct domain *from, struct domain *to)
{
    struct hv *hv = from->hv;
    struct p2m_entry e;
    uint64_t mfn;
    int rc;

    for (uint64_t gfn = 0; p2m_next(&from->p2m, &gfn, &e); gfn++) {
        if (p2m_is_grant(e.type) || frame_of(hv, e.mfn)->flags & FRAME_XENHEAP)
            continue;
        rc = frame_alloc(hv, &mfn);
        if (rc)
            return rc;
        frame_assign(to, mfn);
        rc = p2m_set(hv, &to->p2m, gfn, P2M_RAM_RW, mfn);
        if (rc)
            return rc;
        frame_of(hv, mfn)->gfn = gfn;
        memcpy(frame_data(hv, mfn), frame_data(hv, e.mfn), HV_PAGE_SIZE);
    }
    return 0;
}

int hv_domain_migrate(struct hv *hv, domid_t from, domid_t to)
{
    struct domain *old = domain_lookup(hv, from), *new;
    struct hv_domain_config config;
    int rc;

    if (!old)
        return -ESRCH;
    if (domain_dying(old))
        return -EINVAL;
    config = old->config;
    config.nr_pages = 0;
    config.max_pages = old->max_pages;
    rc = hv_domain_create(hv, to, &config);
    if (rc)
        return rc;
    new = domain_lookup(hv, to);
    new->config = old->config;
    rc = copy_memory(old, new);
    hv_domain_destroy(hv, rc ? to : from);
    return rc;
}
