/* SPDX-License-Identifier: MIT */
/* Forks: domains whose pages come from their parent, when somebody needs them. */
#include "memory_i.h"
#include "sharing_i.h"

/* A page of the parent's that others may have: neither a grant nor one of the hypervisor's. */
static bool is_forkable(const struct hv_domain *parent, const struct p2m_entry *e)
{
    return p2m_is_ram(e->type) && !(frame_of(parent->hv, e->mfn)->flags & FRAME_XENHEAP);
}

static void copy_page(struct hv_domain *d, uint64_t gfn, uint64_t from)
{
    uint64_t mfn;

    if (!domain_may_grow(d, 1) || frame_alloc(d->hv, &mfn))
        return;
    if (p2m_set(d->hv, &d->p2m, gfn, P2M_RAM_RW, mfn)) {
        frame_put(d->hv, mfn);
        return;
    }
    memcpy(frame_data(d->hv, mfn), frame_data(d->hv, from), HV_PAGE_SIZE);
    frame_assign(d, mfn);
    frame_of(d->hv, mfn)->gfn = gfn;
}

void sharing_fork_fill(struct hv_domain *d, uint64_t gfn, bool write)
{
    uint64_t handle;
    struct p2m_entry e;

    if (!d->parent || p2m_get(&d->p2m, gfn).type != P2M_INVALID)
        return;
    e = p2m_get(&d->parent->p2m, gfn);
    if (!is_forkable(d->parent, &e))
        return;
    /* A page that cannot be shared is copied, as one that is written. */
    if (write || sharing_nominate(d->parent, gfn, 0, &handle) || sharing_add_user(d, gfn, e.mfn))
        copy_page(d, gfn, e.mfn);
}

long sharing_fork(const struct hv_call *c, struct hv_domain *d,
                  const struct mem_sharing_op_fork *fork)
{
    struct hv_domain *parent;
    long rc;

    if (fork->pad || fork->flags & ~(XENMEM_FORK_WITH_IOMMU_ALLOWED | XENMEM_FORK_BLOCK_INTERRUPTS))
        return -EINVAL;
    rc = memory_live_remote(c, fork->parent_domain, &parent);
    if (rc)
        return rc;
    if (parent == d || parent->max_vcpus != d->max_vcpus)
        return -EINVAL;
    if (parent->guest != &guest_translated)
        return -EOPNOTSUPP;
    parent->sharing = true;
    if (!d->pauses)
        return -EBUSY;
    if (!d->parent) {
        d->parent = parent;
        parent->nr_forks++;
        parent->pauses++;
        d->max_pages = parent->max_pages;
    }
    d->nr_vcpus = d->max_vcpus;
    memcpy(d->params, parent->params, sizeof d->params);
    /* What the vCPU's state names is looked at: page 0, since none ever ran. */
    sharing_fork_fill(d, 0, false);
    return 0;
}

static void drop_private_pages(struct hv_domain *d)
{
    struct p2m_entry e;

    for (uint64_t gfn = 0; p2m_next(&d->p2m, &gfn, &e); gfn++) {
        if (e.type != P2M_RAM_RW || frame_of(d->hv, e.mfn)->refs != 1 ||
            frame_of(d->hv, e.mfn)->flags & FRAME_XENHEAP)
            continue;
        p2m_clear(&d->p2m, gfn);
        frame_of(d->hv, e.mfn)->gfn = NO_GFN;
        frame_drop_allocated(d->hv, e.mfn);
    }
    frames_flush_freed(d->hv);
}

long sharing_fork_reset(struct hv_domain *d, const struct mem_sharing_op_fork *fork)
{
    if (fork->pad || !fork->flags ||
        fork->flags & ~(XENMEM_FORK_RESET_STATE | XENMEM_FORK_RESET_MEMORY))
        return -EINVAL;
    if (!d->parent)
        return -ENOSYS;
    if (fork->flags & XENMEM_FORK_RESET_MEMORY)
        drop_private_pages(d);
    if (fork->flags & XENMEM_FORK_RESET_STATE)
        memcpy(d->params, d->parent->params, sizeof d->params);
    return 0;
}

void sharing_leave_parent(struct hv_domain *d)
{
    struct hv_domain *parent = d->parent;

    if (!parent)
        return;
    d->parent = NULL;
    parent->nr_forks--;
    if (parent->pauses)
        parent->pauses--;
    if (domain_dying(parent))
        domain_queue_reap(parent);
}
