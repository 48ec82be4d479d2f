/* SPDX-License-Identifier: MIT */
/* The operations of a toolstack on the machine (sysctl). */
#include "hv_i.h"

static long physinfo(const struct hv_call *c, struct xen_sysctl *op)
{
    op->u.physinfo = (struct xen_sysctl_physinfo){
        .threads_per_core = 1,
        .cores_per_socket = 1,
        .nr_cpus = 1,
        .nr_nodes = 1,
        .cpu_khz = 1000000,
        .capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_hap |
                        XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2,
        .total_pages = c->hv->nr_frames,
        .free_pages = c->hv->pool.nr_free,
        .max_mfn = c->hv->nr_frames - 1,
    };
    return 0;
}

/* What Xen printed: nothing. */
static long readconsole(const struct hv_call *c, struct xen_sysctl *op)
{
    (void)c;
    op->u.readconsole.count = 0;
    return 0;
}

static long sched_id(const struct hv_call *c, struct xen_sysctl *op)
{
    (void)c;
    op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
    return 0;
}

static long getdomaininfolist(const struct hv_call *c, struct xen_sysctl *op)
{
    struct xen_sysctl_getdomaininfolist *list = &op->u.getdomaininfolist;
    uint64_t buffer = (uintptr_t)list->buffer.p;

    list->num_domains = 0;
    for (int id = hv_domain_next(c->hv, list->first_domain);
         id >= 0 && list->num_domains < list->max_domains; id = hv_domain_next(c->hv, id + 1)) {
        struct xen_domctl_getdomaininfo info;

        domain_describe(domain_lookup(c->hv, (domid_t)id), &info);
        if (call_to_guest(c, buffer + list->num_domains * sizeof info, &info, sizeof info))
            return -EFAULT;
        list->num_domains++;
    }
    return 0;
}

long sysctl_hypercall(struct hv_call *c, const uint64_t args[5])
{
    static const struct {
        uint32_t cmd;
        long (*handler)(const struct hv_call *c, struct xen_sysctl *op);
    } handlers[] = {
#define ROW(name) { XEN_SYSCTL_##name, name },
        HV_SYSCTLS(ROW)
#undef ROW
    };
    struct xen_sysctl op;
    long rc;

    if (call_from_guest(c, &op, args[0], sizeof op))
        return -EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -EACCES;
    if (!c->d->privileged)
        return -EPERM;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].cmd != op.cmd)
            continue;
        rc = handlers[i].handler(c, &op);
        return !rc && call_to_guest(c, args[0], &op, sizeof op) ? -EFAULT : rc;
    }
    return -ENOSYS;
}
