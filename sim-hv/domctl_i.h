/* SPDX-License-Identifier: MIT */
/* The handlers of the domctls: a new one needs a row of HV_DOMCTLS and one of these. */
#ifndef GNTSIM_HV_DOMCTL_I_H
#define GNTSIM_HV_DOMCTL_I_H

#include "hv_i.h"

/* d: the domain that is meant, NULL for createdomain. back: whether the argument goes back. */
typedef long domctl_handler(const struct hv_call *c, struct hv_domain *d, struct xen_domctl *op,
                            bool *back);
#define DOMCTL(name)                                                                               \
    static long domctl_##name(const struct hv_call *c, struct hv_domain *d, struct xen_domctl *op, \
                              bool *back)

/* sysctl.c: a set of processors, all that there are or none. 0, -EFAULT. */
long cpus_to_guest(const struct hv_call *c, const struct xenctl_bitmap *map, bool all);

#endif
