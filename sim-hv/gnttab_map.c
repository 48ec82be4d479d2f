/* SPDX-License-Identifier: MIT */
/*
 * Maps and unmaps grants: map_grant_ref, unmap_grant_ref, unmap_and_replace, and the end of a
 * mapper.
 */
#include "gnttab_entry_i.h"
#include "sharing_i.h"

#define UNMAP_BATCH 32u      /* elements between two TLB flushes */
#define MAP_PARTS (GNTMAP_device_map | GNTMAP_host_map)

static uint32_t pins_for(uint32_t flags)
{
    static const uint32_t pins[8] = {
        [GNTMAP_device_map] = PIN_DEV_WRITE,
        [GNTMAP_device_map | GNTMAP_readonly] = PIN_DEV_READ,
        [GNTMAP_host_map] = PIN_HOST_WRITE,
        [GNTMAP_host_map | GNTMAP_readonly] = PIN_HOST_READ,
        [MAP_PARTS] = PIN_DEV_WRITE + PIN_HOST_WRITE,
        [MAP_PARTS | GNTMAP_readonly] = PIN_DEV_READ + PIN_HOST_READ,
    };

    static_assert((MAP_PARTS | GNTMAP_readonly) == 7, "an index");
    return pins[flags & (MAP_PARTS | GNTMAP_readonly)];
}

/* How many references such a mapping holds, and how many of them as a writable page. */
static unsigned refs_of(uint32_t flags)
{
    return !!(flags & GNTMAP_device_map) + !!(flags & GNTMAP_host_map);
}

static unsigned types_of(const struct hv_domain *ld, const struct hv_domain *rd, uint32_t flags)
{
    if (flags & GNTMAP_readonly)
        return 0;
    return !!(flags & GNTMAP_device_map) +
           (flags & GNTMAP_host_map && (ld == rd || rd->guest->granter_keeps_type));
}

/* First pin: what is granted becomes active. Takes a reference to the frame. */
static int activate(const struct entry *e, domid_t ldom, bool readonly)
{
    struct grant_frame_ref granted = read_frame(e);
    uint64_t mfn;
    int status = e->rd->guest->get_frame(e->rd, granted.frame, false, !readonly, &mfn);

    if (status)
        return status;
    e->act->mfn = (uint32_t)mfn;
    e->act->domid = ldom;
    e->act->start = 0;
    e->act->length = HV_PAGE_SIZE;
    e->act->is_sub_page = false;
    e->act->trans_domid = e->rd->id;
    e->act->trans_ref = e->ref;
    return GNTST_okay;
}

/* References of one mapping; the first may already be held. -EBUSY: nothing is held. */
static int take_frame(struct hv_domain *ld, struct hv_domain *rd, uint32_t flags, uint64_t mfn,
                      bool have_one)
{
    unsigned more = refs_of(flags) - have_one;
    struct frame *f = frame_shown(ld->hv, mfn, rd->id, more);

    /* Nobody writes to a frame that is shared, or was when it was mapped read-only. */
    if (f && f->owner == DOMID_COW && !(flags & GNTMAP_readonly))
        f = NULL;
    if (!f) {
        if (have_one)
            frame_put(ld->hv, mfn);
        return -EBUSY;
    }
    f->refs += more;
    frame_get_types(f, types_of(ld, rd, flags));
    return 0;
}

/* The references of the parts in flags. */
static void drop_frame(struct hv_domain *ld, struct hv_domain *rd, uint32_t flags, uint64_t mfn)
{
    frame_put_types(frame_of(ld->hv, mfn), types_of(ld, rd, flags));
    frame_put_refs(ld->hv, mfn, refs_of(flags));
}

/* Pins the entry and takes the references; its mfn is what the mapping will show. */
static int pin_for_map(struct hv_domain *ld, const struct entry *e, uint32_t flags, uint32_t pins)
{
    bool readonly = flags & GNTMAP_readonly, first = e->act->pin == 0;
    const struct active_entry *act = e->act;
    int status;

    if (!first && (act->domid != ld->id || act->pin & PIN_OVERFLOW(pins) || act->is_sub_page))
        return GNTST_general_error;
    if (first || (!readonly && !(act->pin & PIN_WRITE_MASK))) {
        status = set_status(e, readonly, true, ld->id);
        if (status)
            return status;
    }
    if (first) {
        status = activate(e, ld->id, readonly);
        if (status) {
            reduce_status(e, readonly);
            return status;
        }
    }
    if (take_frame(ld, e->rd, flags, act->mfn, first)) {
        reduce_status(e, readonly);
        return GNTST_general_error;
    }
    e->act->pin += pins;
    e->rd->gt.nr_mapped += refs_of(flags);
    return GNTST_okay;
}

static void unpin(struct hv_domain *ld, const struct entry *e, uint32_t parts)
{
    uint64_t mfn = e->act->mfn;

    drop_frame(ld, e->rd, parts, mfn);
    shown_lose(e->rd, mfn);
    e->act->pin -= pins_for(parts);
    reduce_status(e, parts & GNTMAP_readonly);
    e->rd->gt.nr_mapped -= refs_of(parts);
    if (domain_dying(e->rd) && !e->rd->gt.nr_mapped)
        domain_queue_reap(e->rd);
}

/* NULL: none left. */
static struct maptrack_entry *maptrack_take(struct hv_domain *d, uint32_t *handle)
{
    struct maptrack *mt = &d->maptrack;
    struct maptrack_entry *track;

    if (mt->head != mt->tail) {
        *handle = mt->head;
        track = maptrack_entry(mt, *handle);
        mt->head = track->ref;
    } else {
        *handle = maptrack_add_frame(d);
        if (*handle == NO_HANDLE)
            return NULL;
        track = maptrack_entry(mt, *handle);
    }
    mt->in_use++;
    return track;
}

static int map_one(const struct hv_call *c, void *element, void *state)
{
    struct gnttab_map_grant_ref *op = element;
    uint32_t pins = pins_for(op->flags), handle;
    struct hv_domain *ld = c->d, *rd;
    struct maptrack_entry *track;
    struct entry e;
    int status = GNTST_bad_gntref;

    (void)state;
    if (!pins)
        return GNTST_bad_gntref;
    if (op->flags & ld->guest->refused_map_flags)
        return GNTST_general_error;
    rd = domain_lookup(ld->hv, op->dom);
    if (!rd)
        return GNTST_bad_domain;
    track = maptrack_take(ld, &handle);
    if (!track)
        return GNTST_no_space;

    if (!grant_ref_okay(&rd->gt, op->ref))
        goto give_back;
    e = entry_at(rd, op->ref);
    status = pin_for_map(ld, &e, op->flags, pins);
    if (status)
        goto give_back;
    if (op->flags & GNTMAP_host_map &&
        ld->guest->host_map(ld, op->host_addr, op->flags, e.act->mfn)) {
        unpin(ld, &e, op->flags);
        status = GNTST_general_error;
        goto give_back;
    }
    track->domid = op->dom;
    track->ref = op->ref;
    track->flags = (uint16_t)op->flags;
    op->handle = handle;
    op->dev_bus_addr = (uint64_t)e.act->mfn * HV_PAGE_SIZE;
    return GNTST_okay;

give_back:
    maptrack_give(&ld->maptrack, handle);
    return status;
}

long gnttab_map_grant_ref(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(c, uop, count,
                         &(struct element_kind){ ELEMENT(struct gnttab_map_grant_ref),
                                                 .answers = true, .act = map_one },
                         NULL);
}

/* One element of an unmap between its two passes. */
struct unmap {
    struct entry e;
    uint32_t done;           /* parts removed, with GNTMAP_readonly */
};
struct unmaps {
    struct unmap batch[UNMAP_BATCH];
    unsigned nr;
    bool replace;
};

/* First pass: everything that can fail. */
static int unmap_one(struct hv_domain *ld, const struct gnttab_unmap_grant_ref *op,
                     uint64_t dev_bus_addr, uint64_t new_addr, struct unmap *out)
{
    struct maptrack_entry *track;
    struct hv_domain *rd;
    uint32_t flags;
    uint64_t mfn;

    if (op->handle >= maptrack_limit(&ld->maptrack))
        return GNTST_bad_handle;
    track = maptrack_entry(&ld->maptrack, op->handle);
    flags = track->flags;
    if (!flags)
        return GNTST_bad_handle;
    /* The mapping's frame keeps the granter, its pin the granter's version: neither can fail. */
    rd = domain_lookup(ld->hv, track->domid);
    assert(rd && grant_ref_okay(&rd->gt, track->ref));
    out->e = entry_at(rd, track->ref);
    mfn = out->e.act->mfn;
    if (dev_bus_addr && flags & GNTMAP_device_map && dev_bus_addr != mfn * HV_PAGE_SIZE)
        return GNTST_bad_dev_addr;
    if (op->host_addr && flags & GNTMAP_host_map) {
        if (ld->guest->host_unmap(ld, op->host_addr, flags, mfn, new_addr))
            return GNTST_general_error;
        track->flags &= (uint16_t)~GNTMAP_host_map;
        out->done |= GNTMAP_host_map | (flags & GNTMAP_readonly);
    }
    if (dev_bus_addr && flags & GNTMAP_device_map) {
        track->flags &= (uint16_t)~GNTMAP_device_map;
        out->done |= GNTMAP_device_map | (flags & GNTMAP_readonly);
    }
    if (!(track->flags & MAP_PARTS))
        maptrack_give(&ld->maptrack, op->handle);
    return GNTST_okay;
}

/* Second pass, when no TLB holds the mappings any more. */
static void complete_unmaps(struct hv_domain *ld, struct unmaps *u)
{
    for (unsigned i = 0; i < u->nr; i++)
        if (u->batch[i].done)
            unpin(ld, &u->batch[i].e, u->batch[i].done);
    u->nr = 0;
}

/* Both operations have the same layout but for what the second address is. */
static_assert(sizeof(struct gnttab_unmap_and_replace) == sizeof(struct gnttab_unmap_grant_ref) &&
                  offsetof(struct gnttab_unmap_and_replace, new_addr) ==
                      offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
                  offsetof(struct gnttab_unmap_and_replace, handle) ==
                      offsetof(struct gnttab_unmap_grant_ref, handle) &&
                  offsetof(struct gnttab_unmap_and_replace, status) ==
                      offsetof(struct gnttab_unmap_grant_ref, status),
              "one loop reads both");

static int unmap_element(const struct hv_call *c, void *element, void *state)
{
    const struct gnttab_unmap_grant_ref *op = element;
    struct unmaps *u = state;
    struct unmap *unmap;

    if (u->nr == UNMAP_BATCH)
        complete_unmaps(c->d, u);
    unmap = &u->batch[u->nr++];
    unmap->done = 0;
    return unmap_one(c->d, op, u->replace ? 0 : op->dev_bus_addr, u->replace ? op->dev_bus_addr : 0,
                     unmap);
}

static long unmap_batches(const struct hv_call *c, uint64_t uop, unsigned count, bool replace)
{
    struct unmaps unmaps;
    long rc;

    unmaps.nr = 0;
    unmaps.replace = replace;
    rc = call_elements(
        c, uop, count,
        &(struct element_kind){ ELEMENT(struct gnttab_unmap_grant_ref), .act = unmap_element },
        &unmaps);
    complete_unmaps(c->d, &unmaps);
    return rc;
}

long gnttab_unmap_grant_ref(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return unmap_batches(c, uop, count, false);
}

long gnttab_unmap_and_replace(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return unmap_batches(c, uop, count, true);
}

/*
 * Highest handle first, as Xen. The dying domain's address space goes as a whole, so nothing is
 * taken out of it piece by piece and hv_pv_ops are not asked.
 */
void gnttab_release_mappings(struct hv_domain *d)
{
    struct maptrack *mt = &d->maptrack;

    assert(domain_dying(d));
    for (uint32_t handle = maptrack_limit(mt); handle-- > 0;) {
        struct maptrack_entry *track = maptrack_entry(mt, handle);
        struct hv_domain *rd;
        struct entry e;

        if (!track->flags)
            continue;
        rd = domain_lookup(d->hv, track->domid);
        assert(rd && grant_ref_okay(&rd->gt, track->ref));
        e = entry_at(rd, track->ref);
        unpin(d, &e, track->flags & (MAP_PARTS | GNTMAP_readonly));
        track->flags = 0;
        mt->in_use--;
    }
    maptrack_destroy(d);
}
