/* SPDX-License-Identifier: MIT */
/* Dispatches the memory operations, and answers those that only ask for a number. */
#include "memory_i.h"

/* The domain whose numbers somebody asks for: 0 or an errno. */
static long asked_domain(const struct hv_call *c, uint64_t arg, const struct hv_domain **d)
{
    domid_t id;

    if (call_from_guest(c, &id, arg, sizeof id))
        return -EFAULT;
    *d = domain_lookup_any(c->d, id);
    if (!*d)
        return -ESRCH;
    return domain_may_control(c->d, *d) ? 0 : -EPERM;
}

long memory_current_reservation(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    const struct hv_domain *d;
    long rc = asked_domain(c, arg, &d);

    (void)start;
    return rc ? rc : (long)domain_tot_pages(d);
}

long memory_maximum_reservation(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    const struct hv_domain *d;
    long rc = asked_domain(c, arg, &d);

    (void)start;
    return rc ? rc : (long)d->max_pages;
}

long memory_maximum_gpfn(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    const struct hv_domain *d;
    long rc = asked_domain(c, arg, &d);

    (void)start;
    return rc ? rc : (long)d->p2m.max_gfn;
}

/* Nobody is refused these two. */
long memory_get_sharing_freed_pages(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    (void)arg;
    (void)start;
    return (long)c->hv->nr_saved;
}

long memory_get_sharing_shared_pages(const struct hv_call *c, uint64_t arg, uint64_t start)
{
    (void)arg;
    (void)start;
    return (long)c->hv->nr_shared;
}

long memory_hypercall(struct hv_call *c, const uint64_t args[5])
{
    static memory_handler *const handlers[] = {
#define ROW(op, size) [XENMEM_##op] = memory_##op,
        HV_MEMORY_OPS(ROW)
#undef ROW
    };
    unsigned cmd = (unsigned)args[0] & MEMOP_CMD_MASK;

    if (cmd >= sizeof handlers / sizeof *handlers || !handlers[cmd])
        return -ENOSYS;
    return handlers[cmd](c, args[1], args[0] >> MEMOP_EXTENT_SHIFT);
}
