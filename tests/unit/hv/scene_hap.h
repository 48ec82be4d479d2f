/* SPDX-License-Identifier: MIT */
/* A toolstack in domain 0, and the domains with assisted paging that it makes and never runs. */
#ifndef GNTSIM_TEST_HV_SCENE_HAP_H
#define GNTSIM_TEST_HV_SCENE_HAP_H

#include "harness.h"

#include "hv_i.h"

#define HAP_PAGES 16
#define RING_GFN 0x40

static inline long domctl(domid_t caller, uint32_t cmd, domid_t id, struct xen_domctl *op)
{
    const uint64_t args[5] = { (uintptr_t)op };

    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = id;
    return hv_hypercall(w.hv, caller, __HYPERVISOR_domctl, args, &hv_plain_memory);
}

static inline long domctl_plain(uint32_t cmd, domid_t id)
{
    struct xen_domctl op = { .cmd = 0 };

    return domctl(0, cmd, id, &op);
}

static inline long memory_op(domid_t caller, uint64_t cmd, void *arg)
{
    const uint64_t args[5] = { cmd, (uintptr_t)arg };

    return hv_hypercall(w.hv, caller, __HYPERVISOR_memory_op, args, &hv_plain_memory);
}

static inline long create(uint32_t flags, domid_t *id)
{
    struct xen_domctl op = { .u.createdomain = { .flags = flags,
                                                 .max_vcpus = 1,
                                                 .max_evtchn_port = 1023,
                                                 .max_grant_frames = 4,
                                                 .max_maptrack_frames = 4,
                                                 .grant_opts = XEN_DOMCTL_GRANT_version(2),
                                                 .arch = arch_domain_config(
                                                     flags & XEN_DOMCTL_CDF_hvm, false) } };
    long rc = domctl(0, XEN_DOMCTL_createdomain, 0, &op);

    *id = op.domain;
    return rc;
}

static inline long change(uint64_t cmd, domid_t id, uint64_t gfn)
{
    xen_pfn_t number = gfn;
    struct xen_memory_reservation op = { .nr_extents = 1, .domid = id };

    set_xen_guest_handle(op.extent_start, &number);
    return memory_op(0, cmd, &op);
}

static inline long set_max(domid_t id, uint64_t pages)
{
    struct xen_domctl op = { .u.max_mem.max_memkb = pages * 4 };

    return domctl(0, XEN_DOMCTL_max_mem, id, &op);
}

/* One with 16 pages, a vCPU and sharing. */
static inline domid_t hap_domain(void)
{
    struct xen_domctl vcpus = { .u.max_vcpus.max = 1 }, on = { .u.mem_sharing_op.u.enable = 1 };
    domid_t id;

    EQ(create(XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, &id), 0);
    EQ(domctl(0, XEN_DOMCTL_max_vcpus, id, &vcpus), 0);
    EQ(set_max(id, 64), 0);
    for (uint64_t gfn = 0; gfn < HAP_PAGES; gfn++)
        EQ(change(XENMEM_populate_physmap, id, gfn), 1);
    EQ(domctl(0, XEN_DOMCTL_mem_sharing_op, id, &on), 0);
    return id;
}

/* ---- Rings ----------------------------------------------------------------------------------- */

struct ring {
    domid_t id;
    uint32_t port, local;
    vm_event_back_ring_t back;
};

static inline long ring_op(domid_t id, uint32_t mode, uint32_t what, uint32_t *port)
{
    struct xen_domctl op = { .u.vm_event_op = { .op = what, .mode = mode } };
    long rc = domctl(0, XEN_DOMCTL_vm_event_op, id, &op);

    if (port)
        *port = op.u.vm_event_op.u.enable.port;
    return rc;
}

static inline struct ring ring_open(domid_t id, uint32_t mode, uint32_t param)
{
    struct xen_hvm_param op = { .domid = id, .index = param, .value = RING_GFN + param };
    const uint64_t args[5] = { HVMOP_set_param, (uintptr_t)&op };
    struct ring r = { .id = id };

    EQ(hv_hypercall(w.hv, 0, __HYPERVISOR_hvm_op, args, &hv_plain_memory), 0);
    EQ(change(XENMEM_populate_physmap, id, op.value), 1);
    memset(page(id, op.value), 0, HV_PAGE_SIZE);
    BACK_RING_INIT(&r.back, (vm_event_sring_t *)page(id, op.value), HV_PAGE_SIZE);
    EQ(ring_op(id, mode, XEN_VM_EVENT_ENABLE, &r.port), 0);
    EQ(evt_bind(0, id, r.port, &r.local), 0);
    EQ(change(XENMEM_decrease_reservation, id, op.value), 1);
    return r;
}

/* The next request, which is read and not answered; false: there is none. */
static inline bool take(struct ring *r, vm_event_request_t *request)
{
    *request = (vm_event_request_t){ .version = 0 };
    if (r->back.req_cons == r->back.sring->req_prod)
        return false;
    *request = *RING_GET_REQUEST(&r->back, r->back.req_cons);
    r->back.req_cons++;
    return true;
}

static inline unsigned take_all(struct ring *r)
{
    vm_event_request_t request;
    unsigned nr = 0;

    while (take(r, &request))
        nr++;
    return nr;
}

static inline void answer(struct ring *r, vm_event_request_t request)
{
    *RING_GET_RESPONSE(&r->back, r->back.rsp_prod_pvt) = request;
    r->back.sring->rsp_prod = ++r->back.rsp_prod_pvt;
}

#endif
