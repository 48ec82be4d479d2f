/* SPDX-License-Identifier: MIT */
/* map_grant_ref, unmap_grant_ref, unmap_and_replace, and what becomes of mappings when their maker dies. */
#include "hv_i.h"

#define UNMAP_BATCH 32u      /* elements between two TLB flushes */
#define MAP_PARTS (GNTMAP_device_map | GNTMAP_host_map)

static uint32_t pins_for(uint32_t flags)
{
    uint32_t pins = 0;

    if (flags & GNTMAP_device_map)
        pins += flags & GNTMAP_readonly ? PIN_DEV_READ : PIN_DEV_WRITE;
    if (flags & GNTMAP_host_map)
        pins += flags & GNTMAP_readonly ? PIN_HOST_READ : PIN_HOST_WRITE;
    return pins;
}

/* Whether the host part of such a mapping holds the frame's writable type. */
static bool host_part_types(const struct domain *ld, const struct domain *rd, uint32_t flags)
{
    return !(flags & GNTMAP_readonly) && (ld == rd || rd->guest->granter_keeps_type);
}

/* First pin: what is granted becomes active. Takes a reference to the frame. */
static int activate(struct domain *rd, uint32_t ref, struct active_entry *act, domid_t ldom)
{
    struct grant_frame_ref granted;
    uint64_t mfn;
    int status;

    gnttab_read_frame(&rd->gt, ref, &granted);
    status = rd->guest->get_frame(rd, granted.frame, false, &mfn);
    if (status)
        return status;
    act->mfn = (uint32_t)mfn;
    act->domid = ldom;
    act->start = 0;
    act->length = HV_PAGE_SIZE;
    act->is_sub_page = false;
    act->trans_domid = rd->id;
    act->trans_ref = ref;
    return GNTST_okay;
}

/* References of one mapping, the first of which may already be held. 0 or -EBUSY with nothing held. */
static int take_frame(struct domain *ld, struct domain *rd, uint32_t flags, uint64_t mfn, bool have_one)
{
    struct hv *hv = ld->hv;

    if (!have_one && !frame_get(hv, mfn, rd->id))
        return -EBUSY;
    if ((flags & MAP_PARTS) == MAP_PARTS && !frame_get(hv, mfn, rd->id)) {
        frame_put(hv, mfn);
        return -EBUSY;
    }
    if (flags & GNTMAP_device_map && !(flags & GNTMAP_readonly))
        frame_get_type(hv, mfn);
    if (flags & GNTMAP_host_map && host_part_types(ld, rd, flags))
        frame_get_type(hv, mfn);
    return 0;
}

/* The references of the parts in flags. */
static void drop_frame(struct domain *ld, struct domain *rd, uint32_t flags, uint64_t mfn)
{
    if (flags & GNTMAP_device_map) {
        if (!(flags & GNTMAP_readonly))
            frame_put_type(ld->hv, mfn);
        frame_put(ld->hv, mfn);
    }
    if (flags & GNTMAP_host_map) {
        if (host_part_types(ld, rd, flags))
            frame_put_type(ld->hv, mfn);
        frame_put(ld->hv, mfn);
    }
}

/* Pins the entry and takes the references; *mfn is what the mapping will show. */
static int pin_for_map(struct domain *ld, struct domain *rd, const struct gnttab_map_grant_ref *op, uint32_t pins,
                       uint64_t *mfn)
{
    bool readonly = op->flags & GNTMAP_readonly, first;
    struct active_entry *act;
    int status;

    if (op->ref >= nr_grant_entries(&rd->gt))
        return GNTST_bad_gntref;
    act = active_entry(&rd->gt, op->ref);
    first = act->pin == 0;
    if (!first && (act->domid != ld->id || act->pin & PIN_OVERFLOW(pins) || act->is_sub_page))
        return GNTST_general_error;
    if (first || (!readonly && !(act->pin & PIN_WRITE_MASK))) {
        status = gnttab_set_status(rd, op->ref, act, readonly, true, ld->id);
        if (status)
            return status;
    }
    if (first) {
        status = activate(rd, op->ref, act, ld->id);
        if (status) {
            gnttab_reduce_status(rd, op->ref, act, readonly);
            return status;
        }
    }
    *mfn = act->mfn;
    if (take_frame(ld, rd, op->flags, *mfn, first)) {
        gnttab_reduce_status(rd, op->ref, act, readonly);
        return GNTST_general_error;
    }
    act->pin += pins;
    return GNTST_okay;
}

static void unpin(struct domain *ld, struct domain *rd, uint32_t ref, uint32_t parts, uint64_t mfn)
{
    struct active_entry *act = active_entry(&rd->gt, ref);

    drop_frame(ld, rd, parts, mfn);
    act->pin -= pins_for(parts);
    gnttab_reduce_status(rd, ref, act, parts & GNTMAP_readonly);
}

/* On success op has handle and bus address. */
static int map_one(struct domain *ld, struct gnttab_map_grant_ref *op)
{
    uint32_t pins = pins_for(op->flags), handle;
    struct maptrack_entry *track;
    struct domain *rd;
    uint64_t mfn = 0;
    int status;

    if (!pins)
        return GNTST_bad_gntref;
    if (op->flags & ld->guest->refused_map_flags)
        return GNTST_general_error;
    rd = domain_lookup(ld->hv, op->dom);
    if (!rd)
        return GNTST_bad_domain;
    handle = maptrack_take(ld);
    if (handle == NO_HANDLE)
        return GNTST_no_space;

    status = pin_for_map(ld, rd, op, pins, &mfn);
    if (status)
        goto give_back;
    if (op->flags & GNTMAP_host_map && ld->guest->host_map(ld, op->host_addr, op->flags, mfn)) {
        unpin(ld, rd, op->ref, op->flags, mfn);
        status = GNTST_general_error;
        goto give_back;
    }
    track = maptrack_entry(&ld->maptrack, handle);
    track->domid = op->dom;
    track->ref = op->ref;
    track->flags = (uint16_t)op->flags;
    op->handle = handle;
    op->dev_bus_addr = mfn * HV_PAGE_SIZE;
    return GNTST_okay;

give_back:
    maptrack_give(ld, handle);
    return status;
}

/*
 * The whole element goes back. In our own memory its inputs are there already, and storing the outputs one by one saves
 * the processor from reading back what it has just written in other sizes, which costs more than all the rest.
 */
static int write_back(const struct call *c, uint64_t uop, const struct gnttab_map_grant_ref *op)
{
    char *out = (char *)(uintptr_t)uop;

    if (!c->plain)
        return call_to_guest(c, uop, op, sizeof *op);
    memcpy(out + offsetof(struct gnttab_map_grant_ref, status), &op->status, sizeof op->status);
    memcpy(out + offsetof(struct gnttab_map_grant_ref, handle), &op->handle, sizeof op->handle);
    memcpy(out + offsetof(struct gnttab_map_grant_ref, dev_bus_addr), &op->dev_bus_addr, sizeof op->dev_bus_addr);
    return 0;
}

long gnttab_map_grant_ref(const struct call *c, uint64_t uop, unsigned count)
{
    struct gnttab_map_grant_ref op;

    for (; count; count--, uop += sizeof op) {
        if (call_from_guest(c, &op, uop, sizeof op))
            return -EFAULT;
        op.status = (int16_t)map_one(c->d, &op);
        if (write_back(c, uop, &op))
            return -EFAULT;
    }
    return 0;
}

/* One element of an unmap between its two passes. */
struct unmap {
    uint64_t host_addr, dev_bus_addr, new_addr;
    uint32_t handle;
    uint32_t done;           /* parts removed, with GNTMAP_readonly */
    uint32_t ref;
    struct domain *rd;
    uint64_t mfn;
};

/* First pass: everything that can fail. */
static int unmap_one(struct domain *ld, struct unmap *op)
{
    struct maptrack_entry *track;
    uint32_t flags;

    if (op->handle >= maptrack_limit(&ld->maptrack))
        return GNTST_bad_handle;
    track = maptrack_entry(&ld->maptrack, op->handle);
    flags = track->flags;
    if (!flags)
        return GNTST_bad_handle;
    /* The mapping's frame keeps the granter, its pin the granter's version: neither of the two can fail here. */
    op->rd = domain_lookup(ld->hv, track->domid);
    assert(op->rd && track->ref < nr_grant_entries(&op->rd->gt));
    op->ref = track->ref;
    op->mfn = active_entry(&op->rd->gt, op->ref)->mfn;
    if (op->dev_bus_addr && flags & GNTMAP_device_map && op->dev_bus_addr != op->mfn * HV_PAGE_SIZE)
        return GNTST_bad_dev_addr;
    if (op->host_addr && flags & GNTMAP_host_map) {
        if (ld->guest->host_unmap(ld, op->host_addr, flags, op->mfn, op->new_addr))
            return GNTST_general_error;
        track->flags &= (uint16_t)~GNTMAP_host_map;
        op->done |= GNTMAP_host_map | (flags & GNTMAP_readonly);
    }
    if (op->dev_bus_addr && flags & GNTMAP_device_map) {
        track->flags &= (uint16_t)~GNTMAP_device_map;
        op->done |= GNTMAP_device_map | (flags & GNTMAP_readonly);
    }
    if (!(track->flags & MAP_PARTS))
        maptrack_give(ld, op->handle);
    return GNTST_okay;
}

/* Second pass, when no TLB holds the mapping any more. */
static void unmap_complete(struct domain *ld, const struct unmap *op)
{
    if (op->done)
        unpin(ld, op->rd, op->ref, op->done, op->mfn);
}

/* Both operations have the same layout but for what the second address is. */
static_assert(sizeof(struct gnttab_unmap_and_replace) == sizeof(struct gnttab_unmap_grant_ref) &&
              offsetof(struct gnttab_unmap_and_replace, new_addr) ==
                  offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
              offsetof(struct gnttab_unmap_and_replace, handle) == offsetof(struct gnttab_unmap_grant_ref, handle) &&
              offsetof(struct gnttab_unmap_and_replace, status) == offsetof(struct gnttab_unmap_grant_ref, status),
              "one loop reads both");

static long unmap_batches(const struct call *c, uint64_t uop, unsigned count, bool replace)
{
    struct unmap batch[UNMAP_BATCH];
    struct gnttab_unmap_grant_ref op;
    int16_t status;
    long rc = 0;

    while (count && !rc) {
        unsigned n = 0;

        for (; count && n < UNMAP_BATCH && !rc; count--, uop += sizeof op) {
            if (call_from_guest(c, &op, uop, sizeof op)) {
                rc = -EFAULT;
                break;
            }
            batch[n] = (struct unmap){ .host_addr = op.host_addr, .handle = op.handle,
                                       .dev_bus_addr = replace ? 0 : op.dev_bus_addr,
                                       .new_addr = replace ? op.dev_bus_addr : 0 };
            status = (int16_t)unmap_one(c->d, &batch[n++]);
            rc = call_to_guest(c, uop + offsetof(struct gnttab_unmap_grant_ref, status), &status, sizeof status);
        }
        for (unsigned i = 0; i < n; i++)
            unmap_complete(c->d, &batch[i]);
    }
    return rc;
}

long gnttab_unmap_grant_ref(const struct call *c, uint64_t uop, unsigned count)
{
    return unmap_batches(c, uop, count, false);
}

long gnttab_unmap_and_replace(const struct call *c, uint64_t uop, unsigned count)
{
    return unmap_batches(c, uop, count, true);
}

/*
 * Highest handle first, as Xen. The dying domain's address space goes as a whole, so nothing is taken out of it
 * piece by piece and hv_pv_ops are not asked.
 */
void gnttab_release_mappings(struct domain *d)
{
    struct maptrack *mt = &d->maptrack;

    assert(domain_dying(d));
    for (uint32_t handle = maptrack_limit(mt); handle-- > 0;) {
        struct maptrack_entry *track = maptrack_entry(mt, handle);
        struct domain *rd;

        if (!track->flags)
            continue;
        rd = domain_lookup(d->hv, track->domid);
        assert(rd);
        unpin(d, rd, track->ref, track->flags & (MAP_PARTS | GNTMAP_readonly),
              active_entry(&rd->gt, track->ref)->mfn);
        track->flags = 0;
        mt->in_use--;
    }
    maptrack_destroy(d);
}
