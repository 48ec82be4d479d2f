/* SPDX-License-Identifier: MIT */
/* Audits shared frames: their users against the physmaps, in both directions, and the counters. */
#include <inttypes.h>

#include "audit_i.h"
#include "sharing_i.h"

/* Stands for one user of a frame in a sum: two that are not the same differ but for odd chances. */
static uint64_t mixed(uint64_t mfn, domid_t domid, uint64_t gfn)
{
    uint64_t x = (mfn << 16 ^ domid) * UINT64_C(0x9e3779b97f4a7c15) ^ gfn;

    x = (x ^ x >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 29;
}

void audit_shared_gfn(struct hv_audit *a, const struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    const struct frame *f = frame_of(a->hv, mfn);

    a->shared_gfns++;
    a->shown_less_listed += mixed(mfn, d->id, gfn);
    if (f->owner != DOMID_COW || !(f->flags & FRAME_SHARED))
        audit_report(a, "d%u: gfn %#" PRIx64 " shows frame %" PRIu64 ", which is not shared", d->id,
                     gfn, mfn);
}

/* One that no gfn shows any more stays while somebody maps it. */
void audit_shared_frame(struct hv_audit *a, uint64_t mfn, const struct frame *f)
{
    bool allocated = f->flags & FRAME_ALLOCATED, shared = f->flags & FRAME_SHARED;
    uint64_t found = 0;

    if (f->refs != a->refs[mfn] + allocated || f->types || a->types[mfn])
        audit_report(a,
                     "frame %" PRIu64
                     ", which is shared, has %u references, %u writable, its users make %u",
                     mfn, f->refs, f->types, a->refs[mfn] + allocated);
    if (allocated != shared)
        audit_report(a, "frame %" PRIu64 " of nobody's is %s", mfn,
                     shared ? "shared" : "not shared");
    if (!shared)
        return;
    a->nr_shared++;
    for (const struct shared_user *user = f->shared->users; user; user = user->next) {
        const struct hv_domain *d = domain_lookup(a->hv, user->domid);
        struct p2m_entry e = d ? p2m_get(&d->p2m, user->gfn) : (struct p2m_entry){ .mfn = 0 };

        found++;
        a->lost_gfns += user->lost;
        if (!user->lost)
            a->shown_less_listed -= mixed(mfn, user->domid, user->gfn);
        if (!d || (!user->lost && (e.mfn != mfn || e.type != P2M_RAM_SHARED)))
            audit_report(a,
                         "frame %" PRIu64 ": its user, gfn %#" PRIx64 " of d%u, does not show it",
                         mfn, user->gfn, user->domid);
    }
    if (!found || found != f->shared->nr_users)
        audit_report(a, "frame %" PRIu64 " has %" PRIu64 " users, %" PRIu64 " are counted", mfn,
                     found, f->shared->nr_users);
}

/* What libxenctrl promises: the domains' shared pages are the shared frames and the saved ones. */
void audit_sharing(struct hv_audit *a)
{
    uint64_t counted = 0;

    for (int id = hv_domain_next(a->hv, 0); id >= 0; id = hv_domain_next(a->hv, id + 1))
        counted += domain_lookup(a->hv, (domid_t)id)->shared_pages;
    if (counted != a->shared_gfns + a->lost_gfns)
        audit_report(a, "%" PRIu64 " gfns are shared, %" PRIu64 " are counted",
                     a->shared_gfns + a->lost_gfns, counted);
    if (a->shown_less_listed)
        audit_report(a, "the users of shared frames are not the gfns that show them");
    if (counted != a->hv->nr_shared + a->hv->nr_saved || a->nr_shared != a->hv->nr_shared)
        audit_report(a,
                     "%" PRIu64 " frames are shared, %" PRIu64 " are counted and %" PRIu64
                     " saved by them",
                     a->nr_shared, a->hv->nr_shared, a->hv->nr_saved);
}
