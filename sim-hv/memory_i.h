/* SPDX-License-Identifier: MIT */
/* The memory operations: their handlers, and what these share. */
#ifndef GNTSIM_HV_MEMORY_I_H
#define GNTSIM_HV_MEMORY_I_H

#include "hv_i.h"

/* arg: where its structure is. start: how many extents a continued call has done. */
typedef long memory_handler(const struct hv_call *c, uint64_t arg, uint64_t start);
#define ROW(op, size) memory_handler memory_##op;
HV_MEMORY_OPS(ROW)
#undef ROW

/*
 * The living domain on whose memory a helper in another domain works, as paging, sharing and access
 * find it: 0, -ESRCH (also for DOMID_SELF), -EPERM (the caller itself, or not the caller's to work
 * on), -EINVAL (dying).
 */
static inline long memory_live_remote(const struct hv_call *c, domid_t id, struct hv_domain **d)
{
    *d = domain_lookup(c->hv, id);
    if (!*d)
        return -ESRCH;
    if (*d == c->d)
        return -EPERM;
    if (domain_dying(*d))
        return -EINVAL;
    return domain_may_control(c->d, *d) ? 0 : -EPERM;
}

/*
 * The auto-translated domain whose physmap somebody changes, perhaps the caller's own: 0, -ESRCH,
 * -EACCES (a PV domain has none), -EPERM.
 */
static inline long memory_translated(const struct hv_call *c, domid_t id, struct hv_domain **d)
{
    *d = domain_lookup_any(c->d, id);
    if (!*d)
        return -ESRCH;
    if ((*d)->guest != &guest_translated)
        return -EACCES;
    return domain_may_control(c->d, *d) ? 0 : -EPERM;
}

#endif
