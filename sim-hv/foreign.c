/* SPDX-License-Identifier: MIT */
/* Maps another domain's frames without a grant, as a control domain does. */
#include "hv_i.h"

/* One such mapping, or a link in the list of unused handles. */
struct foreign_map {
    uint64_t mfn;
    uint32_t next_free;
    bool used, writable;
};

int foreign_next(const struct hv_domain *d, uint32_t from, uint64_t *mfn, bool *writable)
{
    for (; from < d->foreign.capacity; from++) {
        const struct foreign_map *map = &d->foreign.maps[from];

        if (!map->used)
            continue;
        *mfn = map->mfn;
        *writable = map->writable;
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

    if (map->writable)
        frame_put_types(frame_of(d->hv, map->mfn), 1);
    frame_put(d->hv, map->mfn);
    *map = (struct foreign_map){ .next_free = d->foreign.free };
    d->foreign.free = handle;
    d->foreign.in_use--;
}

/* The machine frame behind what target calls frame. */
static int find_frame(struct hv_domain *target, uint64_t frame, unsigned flags, uint64_t *mfn)
{
    struct p2m_entry e = { .mfn = frame, .type = P2M_RAM_RW };

    if (target->guest == &guest_translated && !(flags & HV_FOREIGN_MFN)) {
        e = p2m_get(&target->p2m, frame);
    } else if (frame < target->hv->nr_frames && frame_of(target->hv, frame)->refs &&
               frame_of(target->hv, frame)->owner == target->id && frame_of(target->hv, frame)->flags & FRAME_PAGED) {
        e.type = P2M_RAM_PAGED;
        frame = frame_of(target->hv, frame)->gfn;
    }
    if (p2m_is_paging(e.type)) {
        mem_populate(target, frame, false);
        return -ENOENT;
    }
    if (!p2m_is_ram(e.type))
        return -EINVAL;
    *mfn = e.mfn;
    return 0;
}

int64_t hv_foreign_map(struct hv *hv, domid_t caller, domid_t dom, uint64_t frame, unsigned flags, uint64_t *mfn)
{
    struct hv_domain *d = domain_lookup(hv, caller), *target;
    uint32_t handle;
    int rc;

    if (!d || domain_dying(d))
        return -ESRCH;
    target = domain_lookup_any(d, dom);
    if (!target)
        return -ESRCH;
    if (!domain_may_control(d, target))
        return -EPERM;
    rc = find_frame(target, frame, flags, mfn);
    if (rc)
        return rc;
    if (!frame_get(hv, *mfn, target->id))
        return -EINVAL;
    rc = take_handle(d, &handle);
    if (rc) {
        frame_put(hv, *mfn);
        return rc;
    }
    if (flags & HV_FOREIGN_WRITE)
        frame_get_types(frame_of(hv, *mfn), 1);
    d->foreign.maps[handle] = (struct foreign_map){ .mfn = *mfn, .used = true, .writable = flags & HV_FOREIGN_WRITE };
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
