/* SPDX-License-Identifier: MIT */
/*
 * The memory operations that bring grant frames to a guest. With XENMEM_add_to_physmap an
 * auto-translated domain places its own frames. With XENMEM_acquire_resource a control domain gets
 * another domain's.
 */
#include "memory_i.h"

/* Makes mfn, one of the hypervisor's frames of d, appear at gfn and nowhere else. */
static int place_frame(struct hv_domain *d, uint64_t gfn, uint64_t mfn)
{
    struct p2m_entry old = p2m_get(&d->p2m, gfn);
    struct frame *f = frame_of(d->hv, mfn);
    int rc;

    if (p2m_is_grant(old.type))
        return -ENXIO;
    if (old.mfn == mfn)
        return 0;
    rc = memory_make_room(d, gfn, old);
    if (rc)
        return rc;
    if (p2m_is_ram(old.type))
        old = p2m_get(&d->p2m, gfn);
    p2m_set(d->hv, &d->p2m, gfn, P2M_RAM_RW, mfn);
    /* Ordinary memory is freed, so as not to leak; the hypervisor's frames only go out of sight. */
    if (old.type == P2M_RAM_RW && !(frame_of(d->hv, old.mfn)->flags & FRAME_XENHEAP))
        frame_drop_allocated(d->hv, old.mfn);
    if (f->gfn != NO_GFN && f->gfn != gfn)
        p2m_clear(&d->p2m, f->gfn);
    f->gfn = gfn;
    return 0;
}

long memory_add_to_physmap(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct xen_add_to_physmap op;
    struct hv_domain *d;
    uint64_t mfn;
    long rc;

    (void)start;
    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    rc = memory_translated(c, op.domid, &d);
    if (rc)
        return rc;
    rc = -EINVAL;
    if (op.gpfn == UINT64_MAX)
        return rc;
    if (op.space == XENMAPSPACE_shared_info && op.idx == 0) {
        mfn = d->shared_info_mfn;
        rc = 0;
    } else if (op.space == XENMAPSPACE_grant_table) {
        rc = gnttab_get_frame(d, op.idx, &mfn);
    }
    return rc ? rc : place_frame(d, op.gpfn, mfn);
}

static unsigned resource_frames(const struct hv_domain *d, uint32_t id)
{
    switch (id) {
    case XENMEM_resource_grant_table_id_shared:
        return d->gt.max_frames;
    case XENMEM_resource_grant_table_id_status:
        return status_frames_for(d->gt.max_frames);
    }
    return 0;
}

/* The table grows to what is asked for before anything is written. */
static int resource_grow(struct hv_domain *d, uint32_t id, uint64_t frame, uint32_t nr)
{
    uint64_t last = frame + nr - 1, mfn;

    if (id == XENMEM_resource_grant_table_id_shared)
        return gnttab_get_shared_frame(d, last, &mfn);
    return d->gt.version == 2 ? gnttab_get_status_frame(d, last, &mfn) : -EINVAL;
}

static long acquire_frames(const struct hv_call *c, struct hv_domain *d,
                           const struct xen_mem_acquire_resource *op, uint64_t start)
{
    bool status = op->id == XENMEM_resource_grant_table_id_status;
    uint64_t list = (uintptr_t)op->frame_list.p;
    int rc;

    if (start >= op->nr_frames || op->nr_frames > UINT32_MAX >> MEMOP_EXTENT_SHIFT)
        return -EINVAL;
    rc = resource_grow(d, op->id, op->frame, op->nr_frames);
    if (rc)
        return rc;
    for (uint64_t i = start; i < op->nr_frames; i++) {
        uint64_t mfn = status ? d->gt.status[op->frame + i].mfn : d->gt.frames[op->frame + i].mfn;

        if (call_to_guest(c, list + i * sizeof mfn, &mfn, sizeof mfn))
            return -EFAULT;
    }
    return 0;
}

long memory_acquire_resource(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct xen_mem_acquire_resource op;
    struct hv_domain *d;

    /* A translated caller would have the frames put into its physmap, which Xen allows only its
     * hardware domain. */
    if (c->d->guest == &guest_translated)
        return -EACCES;
    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    if (op.pad || op.frame >> 32 || (op.frame + op.nr_frames) >> 32)
        return -EINVAL;
    d = domain_lookup_any(c->d, op.domid);
    if (!d)
        return -ESRCH;
    if (d == c->d || !c->d->privileged)
        return -EPERM;
    if (op.type != XENMEM_resource_grant_table || !resource_frames(d, op.id))
        return -EINVAL;
    if (op.frame_list.p)
        return acquire_frames(c, d, &op, start);
    if (op.nr_frames || start)
        return -EINVAL;
    op.nr_frames = resource_frames(d, op.id);
    return call_to_guest(c, arg + offsetof(struct xen_mem_acquire_resource, nr_frames),
                         &op.nr_frames, sizeof op.nr_frames);
}
