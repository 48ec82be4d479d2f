/* SPDX-License-Identifier: MIT */
/* Audits frames: owners, reference counts and the pool of free frames. */
#include <inttypes.h>

#include "audit_i.h"

static void check_xenheap(struct hv_audit *a, const struct hv_domain *d, uint64_t mfn,
                          const char *what)
{
    const struct frame *f;

    if (!audit_mfn_okay(a, mfn)) {
        audit_report(a, "d%u: %s is frame %" PRIu64 ", out of range", d->id, what, mfn);
        a->broken = true;
        return;
    }
    f = frame_of(a->hv, mfn);
    if (f->owner != d->id || !(f->flags & FRAME_XENHEAP) || !(f->flags & FRAME_ALLOCATED))
        audit_report(
            a, "d%u: %s in frame %" PRIu64 ", which is not the hypervisor's for it (owner d%u)",
            d->id, what, mfn, f->owner);
    if (a->seen[mfn]++)
        audit_report(a, "d%u: frame %" PRIu64 " of its %s is in use twice", d->id, mfn, what);
}

void audit_ownership(struct hv_audit *a, const struct hv_domain *d)
{
    uint64_t listed = 0, paged = 0;
    uint32_t mfn, prev = 0;

    check_xenheap(a, d, d->shared_info_mfn, "shared info");
    for (unsigned i = 0; i < d->gt.nr_frames && !a->broken; i++)
        check_xenheap(a, d, d->gt.frames[i].mfn, "grant table");
    for (unsigned i = 0; i < d->gt.nr_status && !a->broken; i++)
        check_xenheap(a, d, d->gt.status[i].mfn, "status frames");
    for (mfn = d->pages; mfn && !a->broken; prev = mfn, mfn = frame_of(a->hv, mfn)->next) {
        const struct frame *f;

        if (!audit_mfn_okay(a, mfn) || a->seen[mfn]) {
            audit_report(a, "d%u: its page list is broken at frame %u", d->id, mfn);
            a->broken = true;
            return;
        }
        f = frame_of(a->hv, mfn);
        a->seen[mfn] = 1;
        listed++;
        paged += !!(f->flags & FRAME_PAGED);
        if (f->owner != d->id || f->prev != prev || f->flags & FRAME_XENHEAP)
            audit_report(a, "d%u: frame %u in its page list belongs to d%u", d->id, mfn, f->owner);
        if (domain_dying(d) && f->flags & FRAME_ALLOCATED)
            audit_report(a, "d%u: frame %u was not given up at its death", d->id, mfn);
    }
    if (listed != d->nr_owned || paged != d->kept_pages)
        audit_report(a,
                     "d%u: owns %" PRIu64 " pages, %" PRIu64
                     " of them paged out, but counts %" PRIu64 " and %" PRIu64,
                     d->id, listed, paged, d->nr_owned, d->kept_pages);
}

/* From gfns to frames; audit_frames goes the other way. */
void audit_p2m(struct hv_audit *a, const struct hv_domain *d)
{
    struct p2m_entry e;

    for (uint64_t gfn = 0; p2m_next(&d->p2m, &gfn, &e); gfn++) {
        const struct frame *f;

        if (audit_is_without_frame(&e))
            continue;
        if (!audit_mfn_okay(a, e.mfn)) {
            audit_report(a, "d%u: gfn %#" PRIx64 " shows frame %" PRIu64 ", out of range", d->id,
                         gfn, e.mfn);
            continue;
        }
        f = frame_of(a->hv, e.mfn);
        if (p2m_is_grant(e.type)) {
            if (d->guest == &guest_pv)
                audit_report(a, "d%u: a grant at gfn %#" PRIx64 " of a PV domain", d->id, gfn);
            continue;
        }
        if (e.type == P2M_RAM_SHARED) {
            audit_shared_gfn(a, d, gfn, e.mfn);
            continue;
        }
        if (f->owner != d->id || f->gfn != gfn || !(f->flags & FRAME_ALLOCATED))
            audit_report(
                a, "d%u: gfn %#" PRIx64 " shows frame %" PRIu64 ", which is d%u's at gfn %#" PRIx64,
                d->id, gfn, e.mfn, f->owner, f->gfn);
        if (f->flags & FRAME_PAGED ? e.type != P2M_RAM_PAGED && e.type != P2M_RAM_PAGING_IN
                                   : e.type == P2M_RAM_PAGED)
            audit_report(a,
                         "d%u: gfn %#" PRIx64 " and frame %" PRIu64 " differ about being paged out",
                         d->id, gfn, e.mfn);
    }
    for (uint64_t gfn = 0; gfn < d->p2m.first_hole && gfn < a->hv->nr_frames; gfn++)
        if (p2m_is_hole(&d->p2m, gfn)) {
            audit_report(a, "d%u: gfn %#" PRIx64 " is a hole below the lowest one", d->id, gfn);
            break;
        }
}

/* What d maps of others without a grant. */
void audit_foreign(struct hv_audit *a, const struct hv_domain *d)
{
    uint32_t found = 0;
    bool typed;
    uint64_t mfn;

    for (int at = -1; (at = foreign_next(d, (uint32_t)(at + 1), &mfn, &typed)) >= 0; found++) {
        if (!audit_mfn_okay(a, mfn)) {
            audit_report(a, "d%u: foreign mapping %d of frame %" PRIu64 ", out of range", d->id, at,
                         mfn);
            continue;
        }
        a->refs[mfn]++;
        a->types[mfn] += typed;
    }
    if (found != d->foreign.in_use)
        audit_report(a, "d%u: %u foreign mappings, %u are counted", d->id, found,
                     d->foreign.in_use);
}

static void check_used(struct hv_audit *a, uint64_t mfn, const struct frame *f)
{
    uint32_t refs = a->refs[mfn] + !!(f->flags & FRAME_ALLOCATED);
    const struct hv_domain *d = domain_lookup(a->hv, f->owner);
    struct p2m_entry e;

    if (f->owner == DOMID_COW) {
        audit_shared_frame(a, mfn, f);
        return;
    }
    if (!d) {
        audit_report(a, "frame %" PRIu64 " is in use and owned by nobody (d%u)", mfn, f->owner);
        return;
    }
    if (!a->seen[mfn])
        audit_report(a, "d%u: frame %" PRIu64 " says it is its, but it does not know it", d->id,
                     mfn);
    if (f->refs != refs)
        audit_report(a, "d%u: frame %" PRIu64 " has %u references, its users make %u", d->id, mfn,
                     f->refs, refs);
    if (f->types != a->types[mfn])
        audit_report(a, "d%u: frame %" PRIu64 " is writable for %u, its users make %u", d->id, mfn,
                     f->types, a->types[mfn]);
    if (f->gfn == NO_GFN)
        return;
    e = p2m_get(&d->p2m, f->gfn);
    if (e.mfn != mfn || p2m_is_grant(e.type))
        audit_report(
            a, "d%u: frame %" PRIu64 " says it is at gfn %#" PRIx64 ", where frame %" PRIu64 " is",
            d->id, mfn, f->gfn, e.mfn);
}

/* Pages with a frame of their ring. */
void audit_rings(struct hv_audit *a, const struct hv_domain *d)
{
    for (unsigned kind = 0; kind < NR_VM_EVENTS; kind++) {
        const struct vm_event *ev = &d->events[kind];

        if (!vm_event_is_on(ev))
            continue;
        if (!audit_mfn_okay(a, ev->mfn)) {
            audit_report(a, "d%u: the ring %u is in frame %" PRIu64 ", out of range", d->id, kind,
                         ev->mfn);
            continue;
        }
        a->refs[ev->mfn]++;
        a->types[ev->mfn]++;
        if (evtchn(&d->evtchns, ev->port)->consumer != kind + 1)
            audit_report(a, "d%u: port %u does not serve its ring %u", d->id, ev->port, kind);
    }
}

void audit_frames(struct hv_audit *a)
{
    const struct hv *hv = a->hv;
    uint64_t nr_free;

    /* Frames from the top on were never used. */
    nr_free = hv->nr_frames - hv->pool.top;
    for (uint64_t mfn = 1; mfn < hv->pool.top; mfn++) {
        const struct frame *f = frame_of(hv, mfn);

        nr_free += frame_is_free(hv, mfn);
        if (frame_is_free(hv, mfn) != (f->refs == 0 && f->held == 0))
            audit_report(a, "frame %" PRIu64 " is %s, but has %u references and is held %u times",
                         mfn, frame_is_free(hv, mfn) ? "free" : "not free", f->refs, f->held);
        if (f->refs)
            check_used(a, mfn, f);
        else if (f->types || f->flags & ~FRAME_DIRTY || a->refs[mfn] || a->seen[mfn])
            audit_report(
                a, "frame %" PRIu64 " has no references, but flags %#x, %u writable, %u users%s",
                mfn, f->flags, f->types, a->refs[mfn], a->seen[mfn] ? ", and an owner" : "");
    }
    if (nr_free != hv->pool.nr_free)
        audit_report(a, "%" PRIu64 " frames are free, %" PRIu64 " are counted", nr_free,
                     hv->pool.nr_free);
    if (frame_is_free(hv, 0))
        audit_report(a, "frame 0 is free");
}
