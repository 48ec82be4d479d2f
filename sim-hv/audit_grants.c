/* SPDX-License-Identifier: MIT */
/* Audits grants: handles against pins, entry flags and actual mappings. */
#include <inttypes.h>

#include "audit_i.h"

static uint32_t pin_of(const struct recount *r)
{
    return r->host_write * PIN_HOST_WRITE + r->host_read * PIN_HOST_READ +
           r->dev_write * PIN_DEV_WRITE + r->dev_read * PIN_DEV_READ;
}

/* Counts one handle for its granter, its frame and its address space. */
static void count_handle(struct hv_audit *a, const struct hv_domain *d, uint32_t handle,
                         const struct maptrack_entry *e)
{
    const struct hv_domain *rd = domain_lookup(a->hv, e->domid);
    bool readonly = e->flags & GNTMAP_readonly, host = e->flags & GNTMAP_host_map,
         dev = e->flags & GNTMAP_device_map;
    const struct active_entry *act;
    struct recount *r;

    if (!rd || e->ref >= nr_grant_entries(&rd->gt)) {
        audit_report(a, "d%u: handle %u names reference %u of d%u, which does not exist", d->id,
                     handle, e->ref, e->domid);
        return;
    }
    if (!host && !dev)
        audit_report(a, "d%u: handle %u (reference %u of d%u) maps nothing", d->id, handle, e->ref,
                     rd->id);
    if (!a->pins[rd->id])
        a->pins[rd->id] = calloc(nr_grant_entries(&rd->gt), sizeof *r);
    if (!a->pins[rd->id]) {
        audit_report(a, "audit: out of memory");
        a->broken = true;
        return;
    }
    r = &a->pins[rd->id][e->ref];
    if (pin_of(r) && r->grantee != d->id)
        audit_report(a, "d%u: reference %u is mapped by d%u (handle %u) and by d%u (handle %u)",
                     rd->id, e->ref, r->grantee, r->handle, d->id, handle);
    r->grantee = d->id;
    r->handle = handle;
    r->host_write += host && !readonly;
    r->host_read += host && readonly;
    r->dev_write += dev && !readonly;
    r->dev_read += dev && readonly;
    act = active_entry(&rd->gt, e->ref);
    if (!audit_mfn_okay(a, act->mfn)) {
        audit_report(a, "d%u: reference %u is active with frame %u, out of range", rd->id, e->ref,
                     act->mfn);
        return;
    }
    a->refs[act->mfn] += host + dev;
    if (!readonly)
        a->types[act->mfn] += dev + (host && (d == rd || rd->guest->granter_keeps_type));
}

void audit_maptrack(struct hv_audit *a, const struct hv_domain *d)
{
    const struct maptrack *mt = &d->maptrack;
    uint32_t limit = maptrack_limit(mt), used = 0, listed = 0, last = NO_HANDLE;

    if (d->life == DOMAIN_DEAD && limit)
        audit_report(a, "d%u: dead, but has handles", d->id);
    for (uint32_t handle = 0; handle < limit && !a->broken; handle++) {
        const struct maptrack_entry *e = maptrack_entry(mt, handle);

        if (!e->flags)
            continue;
        used++;
        count_handle(a, d, handle, e);
    }
    for (uint32_t h = mt->head; h != NO_HANDLE && listed <= limit; h = maptrack_entry(mt, h)->ref) {
        if (h >= limit || maptrack_entry(mt, h)->flags) {
            audit_report(a, "d%u: handle %u is in the free list, but not free", d->id, h);
            return;
        }
        listed++;
        last = h;
    }
    if (used != mt->in_use || used + listed != limit || last != mt->tail)
        audit_report(a, "d%u: %u handles used and %u free of %u, %u counted as used", d->id, used,
                     listed, limit, mt->in_use);
}

static void place(struct hv_audit *a, uint64_t mfn, int by)
{
    if (audit_mfn_okay(a, mfn))
        a->placed[mfn] += by;
}

static void walk_placements(struct hv_audit *a, const struct hv_domain *d,
                            void (*visit)(struct hv_audit *, const struct hv_domain *, uint64_t,
                            uint64_t, bool))
{
    struct p2m_entry e;

    for (uint64_t gfn = 0; d->guest == &guest_translated && p2m_next(&d->p2m, &gfn, &e); gfn++)
        if (p2m_is_grant(e.type))
            visit(a, d, e.mfn, gfn * HV_PAGE_SIZE, e.type == P2M_GRANT_MAP_RO);
    for (uint64_t i = 0; i < d->hostmap.size; i++)
        if (d->hostmap.slots[i].state)
            visit(a, d, d->hostmap.slots[i].mfn, d->hostmap.slots[i].key,
                  d->hostmap.slots[i].state & SLOT_READONLY);
}

static void subtract(struct hv_audit *a, const struct hv_domain *d, uint64_t mfn, uint64_t addr,
                     bool readonly)
{
    (void)d;
    (void)addr;
    (void)readonly;
    place(a, mfn, -1);
}

static void check_and_clear(struct hv_audit *a, const struct hv_domain *d, uint64_t mfn,
                            uint64_t addr, bool readonly)
{
    if (!audit_mfn_okay(a, mfn)) {
        audit_report(a, "d%u: frame %" PRIu64 " is mapped at %#" PRIx64 ", out of range", d->id,
                     mfn, addr);
        return;
    }
    if (a->placed[mfn] < 0)
        audit_report(a,
                     "d%u: frame %" PRIu64
                     " is mapped %d times without a handle, maybe the one %s at %#" PRIx64,
                     d->id, mfn, -a->placed[mfn], readonly ? "read-only" : "writable", addr);
    if (a->placed[mfn] <= 0)
        a->placed[mfn] = 0;
}

/* Calls visit for the frame of every handle with a host mapping. */
static void walk_handles(struct hv_audit *a, const struct hv_domain *d, bool check)
{
    for (uint32_t handle = 0; handle < maptrack_limit(&d->maptrack); handle++) {
        const struct maptrack_entry *e = maptrack_entry(&d->maptrack, handle);
        const struct hv_domain *rd = e->flags ? domain_lookup(a->hv, e->domid) : NULL;
        uint64_t mfn;

        if (!rd || !(e->flags & GNTMAP_host_map) || e->ref >= nr_grant_entries(&rd->gt))
            continue;
        mfn = active_entry(&rd->gt, e->ref)->mfn;
        if (!check) {
            place(a, mfn, 1);
        } else if (audit_mfn_okay(a, mfn) && a->placed[mfn]) {
            if (a->placed[mfn] > 0)
                audit_report(
                    a, "d%u: handle %u (reference %u of d%u, frame %" PRIu64 ") is mapped nowhere",
                    d->id, handle, e->ref, rd->id, mfn);
            a->placed[mfn] = 0;
        }
    }
}

/*
 * Host mappings that handles stand for, against those in the domain's address space, where the
 * model keeps it. They are matched by frame: a handle does not hold its address.
 */
void audit_placements(struct hv_audit *a, const struct hv_domain *d)
{
    if (d->pv_ops)
        return;
    walk_handles(a, d, false);
    walk_placements(a, d, subtract);
    walk_placements(a, d, check_and_clear);
    walk_handles(a, d, true);
}

static void check_flags(struct hv_audit *a, const struct hv_domain *d, uint32_t ref, uint32_t pin)
{
    uint16_t header = gnttab_header_flags(&d->gt, ref), type = header & GTF_type_mask;
    uint16_t flags =
        d->gt.version == 1 ? header : __atomic_load_n(status_word(&d->gt, ref), __ATOMIC_RELAXED);
    uint16_t want = (pin ? GTF_reading : 0) | (pin & PIN_WRITE_MASK ? GTF_writing : 0);

    /* The bits mean something else there. */
    if (!pin && d->gt.version == 1 && (type == GTF_accept_transfer || type == GTF_invalid))
        return;
    /*
     * A change of version takes them along, to where they look like ours, in the entries kept. A
     * swap may have moved these.
     */
    for (unsigned i = 0; !pin && i < GNTTAB_NR_RESERVED_ENTRIES; i++)
        if ((d->gt.moved[i] ^ i) == ref)
            return;
    if ((flags & (GTF_reading | GTF_writing)) != want)
        audit_report(a, "d%u: reference %u has flags %#x, but pins %08x", d->id, ref, flags, pin);
}

void audit_table(struct hv_audit *a, const struct hv_domain *d)
{
    static const struct recount none;
    const struct grant_table *gt = &d->gt;
    unsigned status = gt->version == 2 ? status_frames_for(gt->nr_frames) : 0;

    if ((gt->version != 1 && gt->version != 2) || gt->version > gt->max_version ||
        gt->nr_frames < 1 || gt->nr_frames > gt->max_frames) {
        audit_report(a, "d%u: grant table of version %u (at most %u) with %u frames (at most %u)",
                     d->id, gt->version, gt->max_version, gt->nr_frames, gt->max_frames);
        return;
    }
    if (gt->nr_status != status) {
        audit_report(a, "d%u: %u status frames instead of %u", d->id, gt->nr_status, status);
        return;
    }
    if (gt->nr_v2_ops)
        audit_report(a, "d%u: %u copies of version 2 never ended", d->id, gt->nr_v2_ops);
    for (uint32_t ref = 0; ref < gt->nr_frames * V1_PER_FRAME; ref++) {
        const struct active_entry *act = active_entry(gt, ref);
        bool exists = ref < nr_grant_entries(gt);
        const struct recount *r = exists && a->pins[d->id] ? &a->pins[d->id][ref] : &none;
        uint32_t pin = pin_of(r);

        if (act->pin != pin) {
            audit_report(a,
                         "d%u: reference %u has pins %08x, handles make %08x (the last one: handle "
                         "%u of d%u)",
                         d->id, ref, act->pin, pin, r->handle, r->grantee);
            continue;
        }
        if (pin && (act->domid != r->grantee || act->is_sub_page))
            audit_report(a, "d%u: reference %u is in use by d%u, but handle %u is d%u's", d->id,
                         ref, act->domid, r->handle, r->grantee);
        if (pin && audit_mfn_okay(a, act->mfn) && frame_of(a->hv, act->mfn)->owner != d->id &&
            frame_of(a->hv, act->mfn)->owner != DOMID_COW)
            audit_report(a, "d%u: reference %u (handle %u of d%u) shows frame %u of d%u", d->id,
                         ref, r->handle, r->grantee, act->mfn, frame_of(a->hv, act->mfn)->owner);
        if (a->trust_guests && exists)
            check_flags(a, d, ref, pin);
    }
}
