/* SPDX-License-Identifier: MIT */
/* What a toolstack does: domctl, sysctl, HVM parameters, and a domain's memory. */
#include "scene_hap.h"

SUITE("domctl");

#define HAP (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)

static struct xen_domctl_getdomaininfo describe(domid_t id)
{
    struct xen_domctl op = { .cmd = 0 };

    EQ(domctl(0, XEN_DOMCTL_getdomaininfo, id, &op), 0);
    return op.u.getdomaininfo;
}

TEST_PV("a toolstack makes a domain, which is paused and has nothing")
{
    domid_t id, next;

    EQ(create(HAP, &id), 0);
    EQ(describe(id).flags & 0xffff, XEN_DOMINF_hvm_guest | XEN_DOMINF_hap | XEN_DOMINF_paused);
    EQ(describe(id).tot_pages, 0);
    EQ(describe(id).max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
    EQ(change(XENMEM_populate_physmap, id, 0), 0); /* no memory allowed yet */
    EQ(set_max(id, 2), 0);
    EQ(change(XENMEM_populate_physmap, id, 7), 1);
    EQ(change(XENMEM_populate_physmap, id, 9), 1);
    EQ(change(XENMEM_populate_physmap, id, 8), 0);
    EQ(describe(id).tot_pages, 2);
    EQ(((uint8_t *)page(id, 7))[5], 0xc2); /* a new page is not zero */
    EQ(change(XENMEM_decrease_reservation, id, 7), 1);
    EQ(change(XENMEM_decrease_reservation, id, 7), 0);
    EQ(create(0, &next), 0);
    EQ(next, id + 1);
    EQ(domctl_plain(XEN_DOMCTL_unpausedomain, id), 0);
    EQ(domctl_plain(XEN_DOMCTL_unpausedomain, id), -EINVAL);
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    EQ(describe(id).domain, next); /* the next one there is */
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, id), -ESRCH);
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, next), 0);
}

TEST_PV("a domain that cannot be is refused")
{
    struct xen_domctl bad = { .u.createdomain = { .flags = HAP, .max_vcpus = 1 } };
    domid_t id;

    EQ(create(XEN_DOMCTL_CDF_hap, &id), -EINVAL);
    EQ(create(XEN_DOMCTL_CDF_hvm, &id), -EOPNOTSUPP);
    EQ(create(HAP | 1u << 30, &id), -EINVAL);
    EQ(create(HAP | XEN_DOMCTL_CDF_iommu, &id), -EINVAL);
    EQ(domctl(0, XEN_DOMCTL_createdomain, 1, &bad), -EEXIST);
    EQ(domctl(0, XEN_DOMCTL_createdomain, 0, &bad), -EINVAL); /* no LAPIC, no grant version */
    EQ(hv_domain_next(w.hv, 4), -1);
}

TEST_PV("who may not is told so, after whether there is such a domain")
{
    struct xen_domctl op = { .cmd = 0 };
    const uint64_t args[5] = { (uintptr_t)&op }, nowhere[5] = { 0 };

    EQ(domctl(1, XEN_DOMCTL_pausedomain, 2, &op), -EPERM);
    EQ(domctl(1, XEN_DOMCTL_pausedomain, 99, &op), -ESRCH);
    EQ(domctl(0, XEN_DOMCTL_pausedomain, DOMID_SELF, &op), -ESRCH);
    EQ(domctl(0, XEN_DOMCTL_pausedomain, 0, &op), -EINVAL);
    EQ(domctl(0, XEN_DOMCTL_destroydomain, 0, &op), -EINVAL);
    EQ(domctl(0, 12345, 1, &op), -ENOSYS);
    op.interface_version = 1;
    EQ(hv_hypercall(w.hv, 0, __HYPERVISOR_domctl, args, &hv_plain_memory), -EACCES);
    EQ(hv_hypercall(w.hv, 0, __HYPERVISOR_domctl, nowhere, &hv_plain_memory), -EFAULT);
}

TEST_PV("a domain that is destroyed while somebody maps it is listed as dying")
{
    domid_t id = hap_domain();
    uint64_t mfn;
    int64_t handle = hv_foreign_map(w.hv, 0, id, 3, 0, &mfn);

    OK(handle >= 0);
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, id), 0);
    EQ(describe(id).flags & XEN_DOMINF_dying, XEN_DOMINF_dying);
    EQ(describe(id).tot_pages, 1);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    EQ(hv_domain_state(w.hv, id), -ESRCH);
}

TEST_PV("a PV domain's pages come with their numbers, and go by them")
{
    xen_pfn_t number = 5;
    struct xen_memory_reservation more = { .nr_extents = 1 };
    domid_t id;

    EQ(create(0, &id), 0);
    EQ(set_max(id, 4), 0);
    more.domid = id;
    set_xen_guest_handle(more.extent_start, &number);
    EQ(memory_op(0, XENMEM_populate_physmap, &more), 1);
    EQ(number, mfn_of(id, 5));
    EQ(memory_op(0, XENMEM_decrease_reservation, &more), 1);
    EQ(describe(id).tot_pages, 0);
}

static long sysctl(domid_t caller, uint32_t cmd, struct xen_sysctl *op)
{
    const uint64_t args[5] = { (uintptr_t)op };

    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hv_hypercall(w.hv, caller, __HYPERVISOR_sysctl, args, &hv_plain_memory);
}

TEST_PV("all domains are listed from the first one on, as many as there is room for")
{
    struct xen_domctl_getdomaininfo list[8];
    struct xen_sysctl op = { .u.getdomaininfolist = { .first_domain = 1, .max_domains = 2 } };

    set_xen_guest_handle(op.u.getdomaininfolist.buffer, list);
    EQ(sysctl(0, XEN_SYSCTL_getdomaininfolist, &op), 0);
    EQ(op.u.getdomaininfolist.num_domains, 2);
    EQ(list[0].domain, 1);
    EQ(list[1].domain, 2);
    op.u.getdomaininfolist.max_domains = 8;
    EQ(sysctl(0, XEN_SYSCTL_getdomaininfolist, &op), 0);
    EQ(op.u.getdomaininfolist.num_domains, 3);
    EQ(sysctl(1, XEN_SYSCTL_getdomaininfolist, &op), -EPERM);
    EQ(sysctl(0, XEN_SYSCTL_physinfo, &op), 0);
    EQ(op.u.physinfo.total_pages, w.nr_frames);
    EQ(op.u.physinfo.free_pages, hv_nr_free_frames(w.hv));
    EQ(sysctl(0, 12345, &op), -ENOSYS);
}

TEST_PV("there is one processor, in one node and one pool, and it is told as far as asked")
{
    struct xen_sysctl_cputopo cpus[2] = { { .core = 7 }, { .core = 7 } };
    struct xen_sysctl_meminfo memory = { .memsize = 0 };
    struct xen_sysctl op = { .u.cputopoinfo = { .num_cpus = 0 } };
    uint32_t distance = 0, node = 0;
    uint8_t map[2] = { 0xff, 0xff }, dev = 0;

    EQ(sysctl(0, XEN_SYSCTL_cputopoinfo, &op), 0);      /* how many? */
    EQ(op.u.cputopoinfo.num_cpus, 1);
    set_xen_guest_handle(op.u.cputopoinfo.cputopo, cpus);
    op.u.cputopoinfo.num_cpus = 2;
    EQ(sysctl(0, XEN_SYSCTL_cputopoinfo, &op), 0);
    EQ(op.u.cputopoinfo.num_cpus, 1);
    OK(cpus[0].core == 0 && cpus[1].core == 7);
    op = (struct xen_sysctl){ .u.numainfo = { .num_nodes = 1 } };
    set_xen_guest_handle(op.u.numainfo.meminfo, &memory);
    set_xen_guest_handle(op.u.numainfo.distance, &distance);
    EQ(sysctl(0, XEN_SYSCTL_numainfo, &op), 0);
    OK(distance == 10 && memory.memsize == w.nr_frames * HV_PAGE_SIZE);
    op = (struct xen_sysctl){ .u.cpupool_op = { .op = XEN_SYSCTL_CPUPOOL_OP_INFO,
                                                .cpumap.nr_bits = 16 } };
    set_xen_guest_handle(op.u.cpupool_op.cpumap.bitmap, map);
    EQ(sysctl(0, XEN_SYSCTL_cpupool_op, &op), 0);
    OK(map[0] == 1 && map[1] == 0 && op.u.cpupool_op.n_dom == 4);
    op.u.cpupool_op.cpupool_id = 1;
    EQ(sysctl(0, XEN_SYSCTL_cpupool_op, &op), -ENOENT);
    op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    EQ(sysctl(0, XEN_SYSCTL_cpupool_op, &op), -EOPNOTSUPP);
    op = (struct xen_sysctl){ .u.pcitopoinfo = { .num_devs = 1 } };
    EQ(sysctl(0, XEN_SYSCTL_pcitopoinfo, &op), -EINVAL);
    op.u.pcitopoinfo.devs.p = (void *)&dev;
    set_xen_guest_handle(op.u.pcitopoinfo.nodes, &node);
    EQ(sysctl(0, XEN_SYSCTL_pcitopoinfo, &op), 0);
    EQ(node, XEN_INVALID_DEV);
}

TEST_PV("a domain's vCPUs are told of, and where they may run")
{
    uint8_t hard = 0, soft = 0xff;
    struct xen_domctl op = { .u.getvcpuinfo = { .vcpu = 0 } };

    EQ(domctl(0, XEN_DOMCTL_getvcpuinfo, 1, &op), 0);
    OK(op.u.getvcpuinfo.online && op.u.getvcpuinfo.blocked && !op.u.getvcpuinfo.running);
    op.u.getvcpuinfo.vcpu = 1;
    EQ(domctl(0, XEN_DOMCTL_getvcpuinfo, 1, &op), -EINVAL);
    op = (struct xen_domctl){ .u.vcpuaffinity = { .vcpu = 0 } };
    EQ(domctl(0, XEN_DOMCTL_getvcpuaffinity, 1, &op), -EINVAL);   /* none is asked for */
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    op.u.vcpuaffinity.cpumap_hard.nr_bits = 8;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &hard);
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, &soft);
    EQ(domctl(0, XEN_DOMCTL_getvcpuaffinity, 1, &op), 0);
    OK(hard == 1 && soft == 0xff);
}

static long param(domid_t caller, unsigned cmd, domid_t id, uint32_t index, uint64_t *value)
{
    struct xen_hvm_param op = { .domid = id, .index = index, .value = *value };
    const uint64_t args[5] = { cmd, (uintptr_t)&op };
    long rc = hv_hypercall(w.hv, caller, __HYPERVISOR_hvm_op, args, &hv_plain_memory);

    *value = op.value;
    return rc;
}

TEST_HVM("a parameter is read and written by who may")
{
    uint64_t value = 77;

    EQ(param(0, HVMOP_set_param, 1, HVM_PARAM_STORE_PFN, &value), 0);
    value = 0;
    EQ(param(1, HVMOP_get_param, DOMID_SELF, HVM_PARAM_STORE_PFN, &value), 0);
    EQ(value, 77);
    EQ(param(1, HVMOP_set_param, DOMID_SELF, HVM_PARAM_STORE_PFN, &value), -EPERM);
    EQ(param(1, HVMOP_set_param, DOMID_SELF, HVM_PARAM_CONSOLE_EVTCHN, &value), 0);
    EQ(param(1, HVMOP_get_param, 2, HVM_PARAM_STORE_PFN, &value), -EPERM);
    EQ(param(1, HVMOP_get_param, 99, HVM_PARAM_STORE_PFN, &value), -ESRCH);
    EQ(param(0, HVMOP_get_param, 1, HVM_NR_PARAMS, &value), -EINVAL);
    EQ(param(0, HVMOP_set_param, 1, HVM_PARAM_IOREQ_PFN, &value), 0);
    value++;
    EQ(param(0, HVMOP_set_param, 1, HVM_PARAM_IOREQ_PFN, &value), -EEXIST);
    EQ(param(0, HVMOP_set_param, 1, 4, &value), -EINVAL);
}

TEST_PV("a PV domain has no parameters")
{
    uint64_t value = 1;

    EQ(param(0, HVMOP_set_param, 1, HVM_PARAM_STORE_PFN, &value), -EINVAL);
}
