/* SPDX-License-Identifier: MIT */
/* The operations of a toolstack on the machine (sysctl). */
#include "domctl_i.h"

#define NR_CPUS 1u
#define NR_NODES 1u

static long physinfo(const struct hv_call *c, struct xen_sysctl *op)
{
    op->u.physinfo = (struct xen_sysctl_physinfo){
        .threads_per_core = 1,
        .cores_per_socket = 1,
        .nr_cpus = NR_CPUS,
        .nr_nodes = NR_NODES,
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

/* ---- Processors: one, in one node ------------------------------------------------------------ */

#define LOCAL_DISTANCE 10u       /* as ACPI counts */
#define MAX_MAP_BITS 65536u

long cpus_to_guest(const struct hv_call *c, const struct xenctl_bitmap *map, bool all)
{
    uint32_t bits = map->nr_bits < MAX_MAP_BITS ? map->nr_bits : MAX_MAP_BITS;

    for (uint32_t i = 0; i < (bits + 7) / 8; i++) {
        uint8_t byte = all && !i ? (1u << NR_CPUS) - 1 : 0;

        if (call_to_guest(c, (uintptr_t)map->bitmap.p + i, &byte, sizeof byte))
            return -EFAULT;
    }
    return 0;
}

static long cputopoinfo(const struct hv_call *c, struct xen_sysctl *op)
{
    static const struct xen_sysctl_cputopo first = { .core = 0 };
    struct xen_sysctl_cputopoinfo *info = &op->u.cputopoinfo;
    uint64_t list = (uintptr_t)info->cputopo.p;

    if (list && info->num_cpus && call_to_guest(c, list, &first, sizeof first))
        return -EFAULT;
    if (!list || info->num_cpus > NR_CPUS)
        info->num_cpus = NR_CPUS;
    return 0;
}

static long numainfo(const struct hv_call *c, struct xen_sysctl *op)
{
    const struct xen_sysctl_meminfo memory = {
        .memsize = c->hv->nr_frames * HV_PAGE_SIZE, .memfree = c->hv->pool.nr_free * HV_PAGE_SIZE
    };
    struct xen_sysctl_numainfo *info = &op->u.numainfo;
    uint64_t sizes = (uintptr_t)info->meminfo.p, distances = (uintptr_t)info->distance.p;
    static const uint32_t distance = LOCAL_DISTANCE;

    if (sizes && info->num_nodes && call_to_guest(c, sizes, &memory, sizeof memory))
        return -EFAULT;
    if (distances && info->num_nodes && call_to_guest(c, distances, &distance, sizeof distance))
        return -EFAULT;
    if ((!sizes && !distances) || info->num_nodes > NR_NODES)
        info->num_nodes = NR_NODES;
    return 0;
}

/* The hypervisor was told of no PCI device, whichever the host has. */
static long pcitopoinfo(const struct hv_call *c, struct xen_sysctl *op)
{
    struct xen_sysctl_pcitopoinfo *info = &op->u.pcitopoinfo;
    uint64_t nodes = (uintptr_t)info->nodes.p;
    const uint32_t none = XEN_INVALID_DEV;

    if (!info->devs.p || !nodes)
        return -EINVAL;
    for (uint32_t i = 0; i < info->num_devs; i++)
        if (call_to_guest(c, nodes + i * sizeof none, &none, sizeof none))
            return -EFAULT;
    return 0;
}

/* Pool 0 has all domains and the processor; nothing can be made or moved. */
static long cpupool_op(const struct hv_call *c, struct xen_sysctl *op)
{
    struct xen_sysctl_cpupool_op *pool = &op->u.cpupool_op;

    if (pool->op == XEN_SYSCTL_CPUPOOL_OP_FREEINFO)
        return cpus_to_guest(c, &pool->cpumap, false);
    if (pool->op != XEN_SYSCTL_CPUPOOL_OP_INFO)
        return -EOPNOTSUPP;
    if (pool->cpupool_id && pool->cpupool_id != XEN_SYSCTL_CPUPOOL_PAR_ANY)
        return -ENOENT;
    pool->cpupool_id = 0;
    pool->sched_id = XEN_SCHEDULER_CREDIT2;
    pool->n_dom = 0;
    for (int id = hv_domain_next(c->hv, 0); id >= 0; id = hv_domain_next(c->hv, id + 1))
        pool->n_dom++;
    return cpus_to_guest(c, &pool->cpumap, true);
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
