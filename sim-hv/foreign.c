/* SPDX-License-Identifier: MIT */
/* Maps another domain's frames without a grant, as a control domain does. */
#include "hv_i.h"
#include "paging_i.h"
#include "sharing_i.h"

/* One such mapping, or a link in the list of unused handles. */
struct foreign_map {
    uint64_t mfn;
    uint32_t next_free;
    bool used;
    bool typed; /* it is a reference as a writable page, too: of a PV domain's frame */
};

int foreign_next(const struct hv_domain *d, uint32_t from, uint64_t *mfn, bool *typed)
{
    for (; from < d->foreign.capacity; from++) {
        const struct foreign_map *map = &d->foreign.maps[from];

        if (!map->used)
            continue;
        *mfn = map->mfn;
        *typed = map->typed;
        return (int)from;
    }
    return -1;
}

static int take_handle(struct hv_domain *d, uint32_t *handle)
{
    struct foreign_maps *all = &d->foreign;
    uint32_t capacity = all->capacity ? all->capacity * 2 : 16;
    struct foreign_map *bigger;

    if (all->in_use == all->capacity) {
        if (capacity > INT32_MAX)
            return -ENOMEM;
        bigger = hv_grow(d->hv, all->maps, all->capacity, capacity, sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        for (uint32_t i = all->capacity; i < capacity; i++)
            bigger[i] = (struct foreign_map){ .next_free = i + 1 };
        all->maps = bigger;
        all->free = all->capacity;
        all->capacity = capacity;
    }
    *handle = all->free;
    all->free = all->maps[*handle].next_free;
    all->in_use++;
    return 0;
}

static void release(struct hv_domain *d, uint32_t handle)
{
    struct foreign_map *map = &d->foreign.maps[handle];

    if (map->typed)
        frame_put_types(frame_of(d->hv, map->mfn), 1);
    frame_put(d->hv, map->mfn);
    *map = (struct foreign_map){ .next_free = d->foreign.free };
    d->foreign.free = handle;
    d->foreign.in_use--;
}

/* Whether the page is out. One that is only meant to be, or comes back with its frame, is not. */
static bool is_out(const struct hv *hv, const struct p2m_entry *e)
{
    return p2m_is_paging(e->type) &&
           (e->mfn == HV_INVALID_MFN || frame_of(hv, e->mfn)->flags & FRAME_PAGED);
}

/* The frame at a gfn. */
static int find_gfn(struct hv_domain *target, uint64_t gfn, bool write, uint64_t *mfn)
{
    struct p2m_entry e;

    sharing_fork_fill(target, gfn, write);
    e = p2m_get(&target->p2m, gfn);
    if (is_out(target->hv, &e)) {
        if (e.type == P2M_RAM_PAGED)
            paging_populate(target, gfn, false);
        return -ENOENT;
    }
    if (write && e.type == P2M_RAM_SHARED) {
        if (sharing_unshare_or_notify(target, gfn, false))
            return -ENOENT;
        e = p2m_get(&target->p2m, gfn);
    }
    if (!p2m_is_ram(e.type) && !p2m_is_paging(e.type))
        return -EINVAL;
    *mfn = e.mfn;
    return 0;
}

/* One that is named by its machine number. */
static int find_mfn(struct hv_domain *target, uint64_t frame, uint64_t *mfn)
{
    const struct frame *f = frame_for(target->hv, frame, target->id, 0);

    if (f && f->flags & FRAME_PAGED) {
        paging_populate(target, f->gfn, false);
        return -ENOENT;
    }
    *mfn = frame;
    return 0;
}

/* A reference to the frame; -EINVAL: it is not target's. A shared one is only found by its gfn. */
static int get_frame(struct hv_domain *target, uint64_t mfn, bool by_gfn, bool typed)
{
    struct frame *f = by_gfn ? frame_shown(target->hv, mfn, target->id, 1)
                             : frame_for(target->hv, mfn, target->id, 1);

    if (!f)
        return -EINVAL;
    f->refs++;
    if (typed)
        frame_get_types(f, 1);
    return 0;
}

int64_t hv_foreign_map(struct hv *hv, domid_t caller, domid_t dom, uint64_t frame, unsigned flags,
                       uint64_t *mfn)
{
    struct hv_domain *d = domain_lookup(hv, caller), *target;
    uint32_t handle;
    bool typed, by_gfn;
    int rc;

    if (!d || domain_dying(d))
        return -ESRCH;
    target = domain_lookup_any(d, dom);
    if (!target)
        return -ESRCH;
    if (!domain_may_control(d, target))
        return -EPERM;
    by_gfn = target->guest == &guest_translated && !(flags & HV_FOREIGN_MFN);
    rc = by_gfn ? find_gfn(target, frame, flags & HV_FOREIGN_WRITE, mfn)
                : find_mfn(target, frame, mfn);
    if (rc)
        return rc;
    typed = flags & HV_FOREIGN_WRITE && target->guest->granter_keeps_type;
    rc = get_frame(target, *mfn, by_gfn, typed);
    if (rc)
        return rc;
    rc = take_handle(d, &handle);
    if (rc) {
        if (typed)
            frame_put_types(frame_of(hv, *mfn), 1);
        frame_put(hv, *mfn);
        return rc;
    }
    d->foreign.maps[handle] = (struct foreign_map){ .mfn = *mfn, .used = true, .typed = typed };
    return handle;
}

void hv_foreign_unmap(struct hv *hv, domid_t caller, uint32_t handle)
{
    struct hv_domain *d = domain_lookup(hv, caller);

    if (!d || handle >= d->foreign.capacity || !d->foreign.maps[handle].used)
        return;
    release(d, handle);
    hv_reap(hv);
}

void foreign_release_all(struct hv_domain *d)
{
    for (uint32_t i = 0; i < d->foreign.capacity; i++)
        if (d->foreign.maps[i].used)
            release(d, i);
    free(d->foreign.maps);
    d->foreign = (struct foreign_maps){ .maps = NULL };
}
