/* SPDX-License-Identifier: MIT */
/* The operations of a toolstack on one domain (domctl). */
#include "domctl_i.h"
#include "sharing_i.h"
#include "xen_arch.h"

#define MAX_VCPUS_HVM 128u
#define MAX_VCPUS_PV 8192u
#define MAX_PAUSES 255u
#define MAX_PAGES UINT32_MAX
#define MAX_PAGE_INFO 1024u
#define POOL_NODES 256u /* of the paging pool, until a toolstack sets its size */

/* ---- Life ------------------------------------------------------------------------------------ */

static long check_flags(const struct xen_domctl_createdomain *create)
{
    bool hvm = create->flags & XEN_DOMCTL_CDF_hvm;

    if (create->flags & ~(uint32_t)(XEN_DOMCTL_CDF_MAX | (XEN_DOMCTL_CDF_MAX - 1)) ||
        create->grant_opts & ~XEN_DOMCTL_GRANT_version_mask || create->max_vcpus < 1)
        return -EINVAL;
    if (create->flags & XEN_DOMCTL_CDF_hap && !hvm)
        return -EINVAL;
    /* There is no IOMMU, and nothing that traces a vCPU. */
    if (create->flags & XEN_DOMCTL_CDF_iommu || create->iommu_opts || create->vmtrace_size)
        return -EINVAL;
    if (create->max_vcpus > (hvm ? MAX_VCPUS_HVM : MAX_VCPUS_PV))
        return -EINVAL;
    if (!arch_domain_is_possible(hvm, &create->arch))
        return -EINVAL;
    /* Nor is there any other kind of paging for it. */
    return hvm && !(create->flags & XEN_DOMCTL_CDF_hap) ? -EOPNOTSUPP : 0;
}

/* The id that the caller asks for, or the next one after the last: >= 0, -EEXIST, -ENOMEM. */
static int choose_id(struct hv *hv, domid_t wanted)
{
    domid_t id = hv->last_created;

    if (wanted > 0 && wanted < DOMID_FIRST_RESERVED)
        return domain_lookup(hv, wanted) ? -EEXIST : wanted;
    for (unsigned tries = 1; tries < DOMID_FIRST_RESERVED; tries++) {
        id = id + 1u < DOMID_FIRST_RESERVED ? (domid_t)(id + 1) : 1;
        if (!domain_lookup(hv, id)) {
            hv->last_created = id;
            return id;
        }
    }
    return -ENOMEM;
}

DOMCTL(createdomain)
{
    const struct xen_domctl_createdomain *create = &op->u.createdomain;
    struct hv_domain_config config = {
        .auto_translated = create->flags & XEN_DOMCTL_CDF_hvm,
        .max_grant_frames = create->max_grant_frames,
        .max_maptrack_frames = create->max_maptrack_frames,
        .max_grant_version = create->grant_opts & XEN_DOMCTL_GRANT_version_mask,
        .max_evtchn_port = create->max_evtchn_port,
    };
    int id = choose_id(c->hv, op->domain);
    long rc = id < 0 ? id : check_flags(create);

    if (!rc && !config.max_grant_version)
        rc = -EINVAL;
    if (!rc)
        rc = hv_domain_create(c->hv, (domid_t)id, &config);
    if (rc)
        return rc;
    d = domain_lookup(c->hv, (domid_t)id);
    d->is_bare = true;
    d->nr_vcpus = 0;
    d->max_vcpus = create->max_vcpus;
    d->max_pages = 0;
    d->p2m.max_nodes = POOL_NODES;
    d->pauses = 1;
    d->arch = create->arch;
    memcpy(d->handle, create->handle, sizeof d->handle);
    op->domain = d->id;
    *back = true;
    return 0;
}

DOMCTL(destroydomain)
{
    (void)op;
    (void)back;
    if (d == c->d)
        return -EINVAL;
    if (domain_dying(d))
        return 0;
    domain_kill(d);
    if (c->hv->hooks.destroyed)
        c->hv->hooks.destroyed(c->hv->hook_ctx, d->id);
    return 0;
}

DOMCTL(pausedomain)
{
    (void)op;
    (void)back;
    if (d == c->d)
        return -EINVAL;
    if (d->pauses == MAX_PAUSES)
        return -EOVERFLOW;
    d->pauses++;
    return 0;
}

DOMCTL(unpausedomain)
{
    (void)c;
    (void)op;
    (void)back;
    if (!d->pauses)
        return -EINVAL;
    d->pauses--;
    return 0;
}

DOMCTL(max_vcpus)
{
    (void)back;
    if (d == c->d || op->u.max_vcpus.max != d->max_vcpus)
        return -EINVAL;
    d->nr_vcpus = d->max_vcpus;
    return 0;
}

DOMCTL(setdomainhandle)
{
    (void)c;
    (void)back;
    memcpy(d->handle, op->u.setdomainhandle.handle, sizeof d->handle);
    return 0;
}

/* Whether the domain has the vCPU: 0, -EINVAL (it never can), -ESRCH (not yet). */
static long find_vcpu(const struct hv_domain *d, uint32_t vcpu)
{
    uint32_t most = d->max_vcpus > d->nr_vcpus ? d->max_vcpus : d->nr_vcpus;

    return vcpu >= most ? -EINVAL : vcpu >= d->nr_vcpus ? -ESRCH : 0;
}

/* What it does is done by processes of the host: it always waits. */
DOMCTL(getvcpuinfo)
{
    struct xen_domctl_getvcpuinfo *info = &op->u.getvcpuinfo;
    long rc = find_vcpu(d, info->vcpu);

    (void)c;
    if (rc)
        return rc;
    info->online = !d->is_bare;
    info->blocked = !d->is_bare;
    info->running = 0;
    info->cpu_time = 0;
    info->cpu = 0;
    *back = true;
    return 0;
}

DOMCTL(getvcpuaffinity)
{
    struct xen_domctl_vcpuaffinity *affinity = &op->u.vcpuaffinity;
    long rc = find_vcpu(d, affinity->vcpu);

    (void)back;
    if (!rc && !(affinity->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
        rc = -EINVAL;
    if (!rc && affinity->flags & XEN_VCPUAFFINITY_HARD)
        rc = cpus_to_guest(c, &affinity->cpumap_hard, true);
    if (!rc && affinity->flags & XEN_VCPUAFFINITY_SOFT)
        rc = cpus_to_guest(c, &affinity->cpumap_soft, true);
    return rc;
}

DOMCTL(getdomaininfo)
{
    (void)c;
    domain_describe(d, &op->u.getdomaininfo);
    op->domain = d->id;
    *back = true;
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

DOMCTL(max_mem)
{
    uint64_t pages = op->u.max_mem.max_memkb / (HV_PAGE_SIZE / 1024);

    (void)c;
    (void)back;
    d->max_pages = pages < MAX_PAGES ? pages : MAX_PAGES;
    return 0;
}

/* Of what the maps of a page tables' emulation take, only the nodes of the physmap are there. */
DOMCTL(get_paging_mempool_size)
{
    (void)c;
    if (d->guest != &guest_translated)
        return -EOPNOTSUPP;
    op->u.paging_mempool.size = d->p2m.max_nodes * HV_PAGE_SIZE;
    *back = true;
    return 0;
}

DOMCTL(set_paging_mempool_size)
{
    uint64_t size = op->u.paging_mempool.size;

    (void)c;
    (void)back;
    if (d->guest != &guest_translated)
        return -EOPNOTSUPP;
    if (size % HV_PAGE_SIZE)
        return -EINVAL;
    if (size / HV_PAGE_SIZE > c->hv->nr_frames || size / HV_PAGE_SIZE < d->p2m.nr_nodes)
        return -ENOMEM;
    d->p2m.max_nodes = size / HV_PAGE_SIZE;
    return 0;
}

/* What is at a frame number of a domain, but for page tables: nothing of those is modelled. */
static uint64_t page_info(const struct hv_domain *d, uint64_t number)
{
    struct p2m_entry e;

    if (d->guest == &guest_pv)
        return frame_for(d->hv, number, d->id, 0) ? XEN_DOMCTL_PFINFO_NOTAB
                                                  : XEN_DOMCTL_PFINFO_XTAB;
    e = p2m_get(&d->p2m, number);
    return e.mfn == HV_INVALID_MFN || frame_of(d->hv, e.mfn)->flags & FRAME_PAGED
             ? XEN_DOMCTL_PFINFO_XTAB
             : XEN_DOMCTL_PFINFO_NOTAB;
}

DOMCTL(getpageframeinfo3)
{
    uint64_t array = (uintptr_t)op->u.getpageframeinfo3.array.p, nr = op->u.getpageframeinfo3.num;

    (void)back;
    if (nr > MAX_PAGE_INFO)
        return -E2BIG;
    for (uint64_t i = 0; i < nr; i++) {
        xen_pfn_t number;

        if (call_from_guest(c, &number, array + i * sizeof number, sizeof number))
            return -EFAULT;
        number = page_info(d, number);
        if (call_to_guest(c, array + i * sizeof number, &number, sizeof number))
            return -EFAULT;
    }
    return 0;
}

/* ---- Helpers that look after a domain's memory ----------------------------------------------- */

DOMCTL(vm_event_op)
{
    *back = true;
    return vm_event_control(c, d, &op->u.vm_event_op);
}

DOMCTL(mem_sharing_op)
{
    (void)c;
    (void)back;
    if (op->u.mem_sharing_op.op != XEN_DOMCTL_MEM_SHARING_CONTROL)
        return -ENOSYS;
    if (op->u.mem_sharing_op.u.enable && d->guest != &guest_translated)
        return -EOPNOTSUPP;
    d->sharing = op->u.mem_sharing_op.u.enable;
    return 0;
}

/* What an access that is not allowed does while nobody listens; no access is stopped here. */
DOMCTL(set_access_required)
{
    (void)back;
    if (d == c->d)
        return -EPERM;
    d->access_required = op->u.access_required.access_required;
    return 0;
}

/* Of the events that a vCPU can cause, only the guest's own requests are there to be asked for. */
static uint32_t monitor_capabilities(const struct hv_domain *d)
{
    return d->guest == &guest_translated ? 1u << XEN_DOMCTL_MONITOR_EVENT_GUEST_REQUEST : 0;
}

/* The features of a vCPU that a monitor asks for in vain, each told to the embedder. */
static long missing_event(const struct hv_call *c, uint32_t event)
{
    static const char *const names[32] = {
        [XEN_DOMCTL_MONITOR_EVENT_WRITE_CTRLREG] = "writes of a vCPU's control registers",
        [XEN_DOMCTL_MONITOR_EVENT_MOV_TO_MSR] = "writes of a vCPU's model-specific registers",
        [XEN_DOMCTL_MONITOR_EVENT_SINGLESTEP] = "single steps of a vCPU",
        [XEN_DOMCTL_MONITOR_EVENT_SOFTWARE_BREAKPOINT] = "software breakpoints of a vCPU",
        [XEN_DOMCTL_MONITOR_EVENT_DEBUG_EXCEPTION] = "debug exceptions of a vCPU",
        [XEN_DOMCTL_MONITOR_EVENT_CPUID] = "the CPUID instructions of a vCPU",
        [XEN_DOMCTL_MONITOR_EVENT_PRIVILEGED_CALL] = "privileged calls of a vCPU",
        [XEN_DOMCTL_MONITOR_EVENT_INTERRUPT] = "interrupts of a vCPU",
        [XEN_DOMCTL_MONITOR_EVENT_DESC_ACCESS] = "a vCPU's accesses to descriptor tables",
        [XEN_DOMCTL_MONITOR_EVENT_EMUL_UNIMPLEMENTED] = "what the emulator of a vCPU has not",
        [XEN_DOMCTL_MONITOR_EVENT_INGUEST_PAGEFAULT] = "page faults in a vCPU's guest",
    };

    if (c->hv->hooks.unmodelled && names[event])
        c->hv->hooks.unmodelled(c->hv->hook_ctx, c->d->id, __HYPERVISOR_domctl,
                                XEN_DOMCTL_monitor_op, names[event]);
    return -EOPNOTSUPP;
}

DOMCTL(monitor_op)
{
    struct xen_domctl_monitor_op *monitor = &op->u.monitor_op;
    bool on = monitor->op == XEN_DOMCTL_MONITOR_OP_ENABLE;

    if (d == c->d)
        return -EPERM;
    if (monitor->op == XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES) {
        monitor->event = monitor_capabilities(d);
        *back = true;
        return 0;
    }
    if (!on && monitor->op != XEN_DOMCTL_MONITOR_OP_DISABLE)
        return -EOPNOTSUPP;
    if (monitor->event > 31)
        return -EINVAL;
    if (!(monitor_capabilities(d) & 1u << monitor->event))
        return missing_event(c, monitor->event);
    if (d->guest_requests == on)
        return -EEXIST;
    d->guest_requests = on;
    return 0;
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

static const struct {
    uint32_t cmd;
    domctl_handler *handler;
} handlers[] = {
#define ROW(name) { XEN_DOMCTL_##name, domctl_##name },
    HV_DOMCTLS(ROW)
#undef ROW
};

static domctl_handler *find_handler(uint32_t cmd)
{
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (handlers[i].cmd == cmd)
            return handlers[i].handler;
    return NULL;
}

/* The domain that is meant: 0, or -ESRCH and others. A few commands mean none, or another one. */
static long find_domain(const struct hv *hv, const struct xen_domctl *op, struct hv_domain **d)
{
    int id = op->domain;

    *d = NULL;
    if (op->cmd == XEN_DOMCTL_createdomain ||
        (op->cmd == XEN_DOMCTL_vm_event_op && op->domain == DOMID_INVALID))
        return 0;
    if (op->cmd == XEN_DOMCTL_getdomaininfo) {
        if (op->domain >= DOMID_FIRST_RESERVED)
            return -EINVAL;
        id = hv_domain_next(hv, id);
    }
    *d = id < 0 ? NULL : domain_lookup(hv, (domid_t)id);
    return *d ? 0 : -ESRCH;
}

long domctl_hypercall(struct hv_call *c, const uint64_t args[5])
{
    domctl_handler *handler;
    struct xen_domctl op;
    struct hv_domain *d;
    bool back = false;
    long rc;

    if (call_from_guest(c, &op, args[0], sizeof op))
        return -EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    rc = find_domain(c->hv, &op, &d);
    if (rc)
        return rc;
    if (!c->d->privileged)
        return -EPERM;
    handler = find_handler(op.cmd);
    if (!handler)
        return -ENOSYS;
    rc = handler(c, d, &op, &back);
    if (back && call_to_guest(c, args[0], &op, sizeof op))
        rc = -EFAULT;
    return rc;
}
