/* SPDX-License-Identifier: MIT */
/* map_grant_ref, unmap_grant_ref, unmap_and_replace, and what becomes of mappings when their maker dies. */
#include "gnttab_entry_i.h"

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

static unsigned types_of(const struct domain *ld, const struct domain *rd, uint32_t flags)
{
    if (flags & GNTMAP_readonly)
        return 0;
    return !!(flags & GNTMAP_device_map) + (flags & GNTMAP_host_map && (ld == rd || rd->guest->granter_keeps_type));
}

/* First pin: what is granted becomes active. Takes a reference to the frame. */
HOT int activate(const struct entry *e, domid_t ldom)
{
    struct grant_frame_ref granted = read_frame(e);
    uint64_t mfn;
    int status = domain_get_frame(e->rd, granted.frame, false, &mfn);

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

/* References of one mapping, the first of which may already be held. 0 or -EBUSY with nothing held. */
HOT int take_frame(struct domain *ld, struct domain *rd, uint32_t flags, uint64_t mfn, bool have_one)
{
    unsigned more = refs_of(flags) - have_one;
    struct frame *f = frame_for(ld->hv, mfn, rd->id, more);

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
HOT void drop_frame(struct domain *ld, struct domain *rd, uint32_t flags, uint64_t mfn)
{
    frame_put_types(frame_of(ld->hv, mfn), types_of(ld, rd, flags));
    frame_put_refs(ld->hv, mfn, refs_of(flags));
}

/* Pins the entry and takes the references; its mfn is what the mapping will show. */
HOT int pin_for_map(struct domain *ld, const struct entry *e, uint32_t flags, uint32_t pins)
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
        status = activate(e, ld->id);
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
    return GNTST_okay;
}

HOT void unpin(struct domain *ld, const struct entry *e, uint32_t parts)
{
    drop_frame(ld, e->rd, parts, e->act->mfn);
    e->act->pin -= pins_for(parts);
    reduce_status(e, parts & GNTMAP_readonly);
}

/* NULL: none left. */
HOT struct maptrack_entry *maptrack_take(struct domain *d, uint32_t *handle)
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

struct map_in {
    uint64_t host_addr;
    uint32_t flags, ref;
    domid_t dom;
};
struct map_out {
    uint64_t dev_bus_addr;
    uint32_t handle;
};

/* out: on success only. */
HOT int map_one(struct domain *ld, const struct map_in *op, struct map_out *out, struct last_domain *last)
{
    uint32_t pins = pins_for(op->flags), handle;
    struct maptrack_entry *track;
    struct domain *rd;
    struct entry e;
    int status = GNTST_bad_gntref;

    if (!pins)
        return GNTST_bad_gntref;
    if (op->flags & ld->guest->refused_map_flags)
        return GNTST_general_error;
    rd = domain_lookup_again(ld->hv, last, op->dom);
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
    if (op->flags & GNTMAP_host_map && domain_host_map(ld, op->host_addr, op->flags, e.act->mfn)) {
        unpin(ld, &e, op->flags);
        status = GNTST_general_error;
        goto give_back;
    }
    track->domid = op->dom;
    track->ref = op->ref;
    track->flags = (uint16_t)op->flags;
    out->handle = handle;
    out->dev_bus_addr = (uint64_t)e.act->mfn * HV_PAGE_SIZE;
    return GNTST_okay;

give_back:
    maptrack_give(&ld->maptrack, handle);
    return status;
}

HOT int map_plain(const struct call *c, uint64_t uop, struct last_domain *last)
{
    struct map_in in;
    struct map_out out = { .handle = NO_HANDLE };
    int16_t status;

    if (!uop)
        return -EFAULT;
    LOAD_FIELD(in.host_addr, uop, struct gnttab_map_grant_ref, host_addr);
    LOAD_FIELD(in.flags, uop, struct gnttab_map_grant_ref, flags);
    LOAD_FIELD(in.ref, uop, struct gnttab_map_grant_ref, ref);
    LOAD_FIELD(in.dom, uop, struct gnttab_map_grant_ref, dom);
    status = (int16_t)map_one(c->d, &in, &out, last);
    STORE_FIELD(uop, struct gnttab_map_grant_ref, status, status);
    if (status == GNTST_okay) {
        STORE_FIELD(uop, struct gnttab_map_grant_ref, handle, out.handle);
        STORE_FIELD(uop, struct gnttab_map_grant_ref, dev_bus_addr, out.dev_bus_addr);
    }
    return 0;
}

/* The whole element goes back. */
static __attribute__((noinline)) int map_guest(const struct call *c, uint64_t uop, unsigned left)
{
    struct gnttab_map_grant_ref op;
    struct map_out out = { .handle = NO_HANDLE };
    struct last_domain last = NO_DOMAIN_YET;
    struct map_in in;
    int decided;

    if (call_from_guest(c, &op, uop, sizeof op))
        return -EFAULT;
    in = (struct map_in){ .host_addr = op.host_addr, .flags = op.flags, .ref = op.ref, .dom = op.dom };
    decided = hook_element(c, left, &op, &op.status);
    if (decided < 0)
        return decided;
    if (!decided)
        op.status = (int16_t)map_one(c->d, &in, &out, &last);
    if (!decided && op.status == GNTST_okay) {
        op.handle = out.handle;
        op.dev_bus_addr = out.dev_bus_addr;
    }
    hook_element_answered(c, &op, op.status);
    return call_to_guest(c, uop, &op, sizeof op);
}

long gnttab_map_grant_ref(const struct call *c, uint64_t uop, unsigned count)
{
    bool plain = c->plain && !hv_is_hooked(c->hv);
    struct last_domain last = NO_DOMAIN_YET;
    long rc = 0;

    for (unsigned i = 0; i < count && !rc; i++, uop += sizeof(struct gnttab_map_grant_ref)) {
        if (plain && uop && i % GNTTAB_AHEAD == 0 && count - i > 1)
            gnttab_map_ahead(c, uop, count - i < GNTTAB_AHEAD ? count - i : GNTTAB_AHEAD);
        rc = plain ? map_plain(c, uop, &last) : map_guest(c, uop, count - i);
    }
    return rc;
}

struct unmap_in {
    uint64_t host_addr, dev_bus_addr;
    uint32_t handle;
};

/* One element of an unmap between its two passes. */
struct unmap {
    struct entry e;
    uint32_t done;           /* parts removed, with GNTMAP_readonly */
};

/* First pass: everything that can fail. */
HOT int unmap_one(struct domain *ld, const struct unmap_in *op, uint64_t new_addr, struct unmap *out,
                     struct last_domain *last)
{
    struct maptrack_entry *track;
    struct domain *rd;
    uint32_t flags;
    uint64_t mfn;

    if (op->handle >= maptrack_limit(&ld->maptrack))
        return GNTST_bad_handle;
    track = maptrack_entry(&ld->maptrack, op->handle);
    flags = track->flags;
    if (!flags)
        return GNTST_bad_handle;
    /* The mapping's frame keeps the granter, its pin the granter's version: neither of the two can fail here. */
    rd = domain_lookup_again(ld->hv, last, track->domid);
    assert(rd && grant_ref_okay(&rd->gt, track->ref));
    out->e = entry_at(rd, track->ref);
    mfn = out->e.act->mfn;
    if (op->dev_bus_addr && flags & GNTMAP_device_map && op->dev_bus_addr != mfn * HV_PAGE_SIZE)
        return GNTST_bad_dev_addr;
    if (op->host_addr && flags & GNTMAP_host_map) {
        if (domain_host_unmap(ld, op->host_addr, flags, mfn, new_addr))
            return GNTST_general_error;
        track->flags &= (uint16_t)~GNTMAP_host_map;
        out->done |= GNTMAP_host_map | (flags & GNTMAP_readonly);
    }
    if (op->dev_bus_addr && flags & GNTMAP_device_map) {
        track->flags &= (uint16_t)~GNTMAP_device_map;
        out->done |= GNTMAP_device_map | (flags & GNTMAP_readonly);
    }
    if (!(track->flags & MAP_PARTS))
        maptrack_give(&ld->maptrack, op->handle);
    return GNTST_okay;
}

/* Second pass, when no TLB holds the mapping any more. */
static void unmap_complete(struct domain *ld, const struct unmap *op)
{
    if (op->done)
        unpin(ld, &op->e, op->done);
}

/* Both operations have the same layout but for what the second address is. */
static_assert(sizeof(struct gnttab_unmap_and_replace) == sizeof(struct gnttab_unmap_grant_ref) &&
              offsetof(struct gnttab_unmap_and_replace, new_addr) ==
                  offsetof(struct gnttab_unmap_grant_ref, dev_bus_addr) &&
              offsetof(struct gnttab_unmap_and_replace, handle) == offsetof(struct gnttab_unmap_grant_ref, handle) &&
              offsetof(struct gnttab_unmap_and_replace, status) == offsetof(struct gnttab_unmap_grant_ref, status),
              "one loop reads both");

static int read_unmap(const struct call *c, uint64_t uop, struct unmap_in *in)
{
    struct gnttab_unmap_grant_ref op;

    if (c->plain && uop) {
        LOAD_FIELD(in->host_addr, uop, struct gnttab_unmap_grant_ref, host_addr);
        LOAD_FIELD(in->dev_bus_addr, uop, struct gnttab_unmap_grant_ref, dev_bus_addr);
        LOAD_FIELD(in->handle, uop, struct gnttab_unmap_grant_ref, handle);
        return 0;
    }
    if (call_from_guest(c, &op, uop, sizeof op))
        return -EFAULT;
    *in = (struct unmap_in){ .host_addr = op.host_addr, .dev_bus_addr = op.dev_bus_addr, .handle = op.handle };
    return 0;
}

/* What the hooks are shown is put together only if there are some. */
static int hook_unmap(const struct call *c, unsigned left, const struct unmap_in *in, struct gnttab_unmap_grant_ref *seen,
                      int16_t *status)
{
    if (__builtin_expect(!hv_is_hooked(c->hv), 1))
        return 0;
    *seen = (struct gnttab_unmap_grant_ref){ .host_addr = in->host_addr, .dev_bus_addr = in->dev_bus_addr, .handle = in->handle };
    return hook_inject_element(c, left, seen, status);
}

static long unmap_batches(const struct call *c, uint64_t uop, unsigned count, bool replace)
{
    struct last_domain last = NO_DOMAIN_YET;
    struct unmap batch[UNMAP_BATCH];
    const size_t size = sizeof(struct gnttab_unmap_grant_ref);
    struct unmap_in op;
    struct gnttab_unmap_grant_ref seen;
    uint64_t new_addr = 0;
    int16_t status;
    int decided;
    long rc = 0;

    while (count && !rc) {
        unsigned n = 0;

        for (; count && n < UNMAP_BATCH && !rc; count--, uop += size) {
            if (read_unmap(c, uop, &op)) {
                rc = -EFAULT;
                break;
            }
            decided = hook_unmap(c, count, &op, &seen, &status);
            if (decided < 0) {
                rc = decided;
                break;
            }
            if (replace) {
                new_addr = op.dev_bus_addr;
                op.dev_bus_addr = 0;
            }
            batch[n].done = 0;
            if (!decided)
                status = (int16_t)unmap_one(c->d, &op, new_addr, &batch[n++], &last);
            hook_element_done(c, status);
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
