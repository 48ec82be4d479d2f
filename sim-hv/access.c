/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_access_op: what a domain's own accesses to its pages may do. It is kept and told, but no
 * program's access is stopped: the accesses of other domains never are.
 */
#include "memory_i.h"

/* Another page than any: the access of pages to come. */
#define DEFAULT_OF_DOMAIN UINT64_MAX

static bool is_access(const struct hv_domain *d, uint8_t wanted, uint8_t *access)
{
    if (wanted > XENMEM_access_default)
        return false;
    *access = wanted == XENMEM_access_default ? d->p2m.default_access : wanted;
    return true;
}

/* What is not there has no access, and nobody says so. */
static void set_page(struct hv_domain *d, uint64_t gfn, uint8_t access)
{
    if (p2m_get(&d->p2m, gfn).type != P2M_INVALID)
        p2m_set_access(&d->p2m, gfn, access);
}

static long set_range(struct hv_domain *d, const struct xen_mem_access_op *op)
{
    struct p2m_entry e;
    uint8_t access;

    /* Beyond the highest gfn, or around the end of all numbers. */
    if (op->pfn != DEFAULT_OF_DOMAIN &&
        (op->nr < 1 || op->pfn + op->nr < op->pfn || op->pfn + op->nr - 1 > d->p2m.max_gfn))
        return -EINVAL;
    if (!is_access(d, op->access, &access))
        return -EINVAL;
    if (op->pfn == DEFAULT_OF_DOMAIN) {
        d->p2m.default_access = access;
        return 0;
    }
    for (uint64_t gfn = op->pfn; p2m_next(&d->p2m, &gfn, &e) && gfn - op->pfn < op->nr; gfn++)
        p2m_set_access(&d->p2m, gfn, access);
    return 0;
}

static long set_listed(const struct hv_call *c, struct hv_domain *d,
                       const struct xen_mem_access_op *op)
{
    uint64_t pfns = (uintptr_t)op->pfn_list.p, accesses = (uintptr_t)op->access_list.p;

    for (uint32_t i = 0; i < op->nr; i++) {
        uint8_t wanted, access;
        uint64_t pfn;

        if (call_from_guest(c, &pfn, pfns + i * sizeof pfn, sizeof pfn) ||
            call_from_guest(c, &wanted, accesses + i, 1))
            return -EFAULT;
        if (!is_access(d, wanted, &access))
            return -EINVAL;
        set_page(d, pfn, access);
    }
    return 0;
}

static long get(const struct hv_call *c, const struct hv_domain *d, struct xen_mem_access_op *op,
                uint64_t arg)
{
    struct p2m_entry e;

    if (op->pfn > d->p2m.max_gfn && op->pfn != DEFAULT_OF_DOMAIN)
        return -EINVAL;
    if (op->pfn == DEFAULT_OF_DOMAIN) {
        op->access = d->p2m.default_access;
    } else {
        e = p2m_get(&d->p2m, op->pfn);
        if (e.type == P2M_INVALID)
            return -ESRCH;
        op->access = e.access;
    }
    return call_to_guest(c, arg + offsetof(struct xen_mem_access_op, access), &op->access, 1);
}

long memory_access_op(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    struct xen_mem_access_op op;
    struct hv_domain *d;
    long rc;

    (void)start;
    if (call_from_guest(c, &op, arg, sizeof op))
        return -EFAULT;
    rc = memory_live_remote(c, op.domid, &d);
    if (rc)
        return rc;
    if (d->guest != &guest_translated)
        return -EINVAL;
    if (!vm_event_is_on(&d->events[VM_EVENT_MONITOR]))
        return -ENODEV;
    switch (op.op) {
    case XENMEM_access_op_set_access:
        return set_range(d, &op);
    case XENMEM_access_op_set_access_multi:
        return set_listed(c, d, &op);
    case XENMEM_access_op_get_access:
        return get(c, d, &op, arg);
    }
    return -ENOSYS;
}
