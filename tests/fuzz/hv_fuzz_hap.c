/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what a toolstack and its helpers do: domains made and destroyed by domctl, memory that
 * becomes more and less, and memory that is paged, shared and watched.
 */
#include "hv_fuzz_i.h"
#include "xen_arch.h"
#include "sharing_i.h"

/* Where the rings are, in a domain that has them: among its pages, and beyond. */
#define RING_GFN(kind) (2 + 5 * (kind))

/* Never the victim, whose pages nobody may touch: a control domain may do so. */
static domid_t pick_target(struct fuzz *f)
{
    domid_t dom = pick_domid(f);

    return dom == VICTIM ? 1 : dom;
}

static void memory_call(struct fuzz *f, domid_t caller, unsigned cmd, const void *op, size_t size)
{
    uint64_t at = pick_address(f, size);

    put_args(f, at, op, size);
    call(f, caller, __HYPERVISOR_memory_op, cmd, at, 0);
}

static void domctl(struct fuzz *f, domid_t caller, uint32_t cmd, struct xen_domctl *op)
{
    uint64_t at = pick_address(f, sizeof *op);

    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION - (u8(&f->in) >= 250);
    put_args(f, at, op, sizeof *op);
    call(f, caller, __HYPERVISOR_domctl, at, 0, 0);
}

/* ---- A toolstack ----------------------------------------------------------------------------- */

static void change_memory(struct fuzz *f, domid_t caller, domid_t dom)
{
    static const unsigned cmds[] = { XENMEM_populate_physmap, XENMEM_decrease_reservation };
    uint64_t numbers[2] = { pick_gfn(f), pick_gfn(f) }, list = pick_address(f, sizeof numbers);
    struct xen_memory_reservation op = { .domid = dom, .nr_extents = 1 + u8(&f->in) % 2 };
    struct xen_remove_from_physmap remove = { .domid = dom, .gpfn = numbers[0] };
    uint8_t b = u8(&f->in);

    op.extent_order = b >= 240 ? b % 4 : 0;
    op.extent_start.p = (void *)(uintptr_t)list;
    if (b % 3 == 2) {
        memory_call(f, caller, XENMEM_remove_from_physmap, &remove, sizeof remove);
        return;
    }
    put_args(f, list, numbers, sizeof numbers);
    memory_call(f, caller, cmds[b % 3], &op, sizeof op);
}

static void make_domain(struct fuzz *f, domid_t caller)
{
    bool hvm = u8(&f->in) % 2;
    domid_t dom = 1 + u8(&f->in) % (NR_DOMS - 1);
    struct xen_domctl op = { .domain = dom,
                             .u.createdomain = {
                                 .flags = hvm ? XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap : 0,
                                 .max_vcpus = 1,
                                 .max_grant_frames = 3,
                                 .max_maptrack_frames = 2,
                                 .grant_opts = XEN_DOMCTL_GRANT_version(2),
                                 .arch = arch_domain_config(hvm, false) } };

    if (hv_domain_state(f->hv, dom) != -ESRCH)
        return;
    f->pv[dom] = (struct pv_space){ .addr = { 0 } };
    f->lost[dom] = false;
    hv_domain_config_init(&f->config[dom]);
    f->config[dom].auto_translated = hvm;
    domctl(f, caller, XEN_DOMCTL_createdomain, &op);
}

static void manage(struct fuzz *f, domid_t caller, domid_t dom)
{
    struct xen_domctl op = { .domain = dom };

    switch (u8(&f->in) % 8) {
    case 0:
        make_domain(f, caller);
        break;
    case 1:
        op.u.max_vcpus.max = 1;
        domctl(f, caller, XEN_DOMCTL_max_vcpus, &op);
        break;
    case 2:
        op.u.max_mem.max_memkb = u8(&f->in) * 4;
        domctl(f, caller, XEN_DOMCTL_max_mem, &op);
        break;
    case 3:
        domctl(f, caller, u8(&f->in) % 2 ? XEN_DOMCTL_pausedomain : XEN_DOMCTL_unpausedomain, &op);
        break;
    case 4:
        domctl(f, caller, XEN_DOMCTL_getdomaininfo, &op);
        break;
    case 5:
        op.u.paging_mempool.size = (uint64_t)u8(&f->in) * HV_PAGE_SIZE;
        domctl(f, caller, XEN_DOMCTL_set_paging_mempool_size, &op);
        break;
    case 6:
        if (u8(&f->in) % 4 == 0)
            domctl(f, caller, XEN_DOMCTL_destroydomain, &op);
        break;
    default:
        domctl(f, caller, u8(&f->in), &op);
    }
}

/* ---- Helpers --------------------------------------------------------------------------------- */

static void set_ring(struct fuzz *f, domid_t caller, domid_t dom)
{
    static const struct {
        uint32_t mode, param;
    } kinds[] = {
        { XEN_DOMCTL_VM_EVENT_OP_PAGING, HVM_PARAM_PAGING_RING_PFN },
        { XEN_DOMCTL_VM_EVENT_OP_MONITOR, HVM_PARAM_MONITOR_RING_PFN },
        { XEN_DOMCTL_VM_EVENT_OP_SHARING, HVM_PARAM_SHARING_RING_PFN },
    };
    unsigned kind = u8(&f->in) % 3, b = u8(&f->in);
    struct xen_hvm_param param = { .domid = dom,
                                   .index = kinds[kind].param,
                                   .value = RING_GFN(kind) };
    struct xen_domctl op = { .domain = dom,
                             .u.vm_event_op = { .op = b % 4, .mode = kinds[kind].mode } };
    uint64_t at = pick_address(f, sizeof param);

    put_args(f, at, &param, sizeof param);
    call(f, caller, __HYPERVISOR_hvm_op, HVMOP_set_param, at, 0);
    domctl(f, caller, XEN_DOMCTL_vm_event_op, &op);
}

/* A helper writes whatever it likes into its ring. */
static void scribble(struct fuzz *f, domid_t dom)
{
    struct hv_domain *d = domain_lookup(f->hv, dom);
    struct vm_event *ev = d ? &d->events[u8(&f->in) % NR_VM_EVENTS] : NULL;
    uint8_t *page;

    if (!ev || !vm_event_is_on(ev))
        return;
    page = hv_frame(f->hv, ev->mfn);
    for (unsigned i = 0; i < 16; i++)
        page[u16(&f->in) % (i < 8 ? 16u : HV_PAGE_SIZE)] = u8(&f->in);
}

static void page_op(struct fuzz *f, domid_t caller, domid_t dom)
{
    uint8_t b = u8(&f->in);
    struct xen_mem_paging_op op = { .op = b % 4, .domain = dom, .gfn = pick_gfn(f) };

    if (b >= 64)
        op.buffer.p = (void *)(uintptr_t)pick_address(f, HV_PAGE_SIZE);
    memory_call(f, caller, XENMEM_paging_op, &op, sizeof op);
}

static uint64_t pick_handle(struct fuzz *f, domid_t dom, uint64_t gfn)
{
    const struct hv_domain *d = domain_lookup(f->hv, dom);
    struct p2m_entry e = d ? p2m_get(&d->p2m, gfn) : (struct p2m_entry){ .mfn = 0 };

    if (d && e.type == P2M_RAM_SHARED && u8(&f->in) < 224)
        return frame_of(f->hv, e.mfn)->shared->handle;
    return f->hv->last_handle - u8(&f->in) % 4;
}

static void share_op(struct fuzz *f, domid_t caller, domid_t dom)
{
    struct xen_mem_sharing_op op = { .op = u8(&f->in) % 12, .domain = dom };
    uint64_t gfn = pick_gfn(f), other = pick_gfn(f);
    domid_t client = pick_target(f);

    if (op.op == XENMEM_sharing_op_share || op.op == XENMEM_sharing_op_add_physmap) {
        op.u.share.source_gfn = gfn;
        op.u.share.client_gfn = other;
        op.u.share.client_domain = client;
        op.u.share.source_handle = pick_handle(f, dom, gfn);
        op.u.share.client_handle = pick_handle(f, client, other);
    } else if (op.op == XENMEM_sharing_op_range_share) {
        op.u.range.first_gfn = gfn;
        op.u.range.last_gfn = other;
        op.u.range.client_domain = client;
    } else if (op.op == XENMEM_sharing_op_nominate_gref || op.op == XENMEM_sharing_op_debug_gref) {
        op.u.nominate.u.grant_ref = pick_ref(f, dom);
    } else {
        op.u.nominate.u.gfn = gfn;
    }
    memory_call(f, caller, XENMEM_sharing_op, &op, sizeof op);
}

static void share_control(struct fuzz *f, domid_t caller, domid_t dom)
{
    struct xen_domctl op = { .domain = dom,
                             .u.mem_sharing_op = { .op = XEN_DOMCTL_MEM_SHARING_CONTROL,
                                                   .u.enable = u8(&f->in) % 4 != 0 } };

    domctl(f, caller, XEN_DOMCTL_mem_sharing_op, &op);
}

static void access_op(struct fuzz *f, domid_t caller, domid_t dom)
{
    struct xen_mem_access_op op = { .op = u8(&f->in) % 5,
                                    .domid = dom,
                                    .access = u8(&f->in) % 12,
                                    .nr = u8(&f->in) % 8,
                                    .pfn = pick_gfn(f) };

    op.pfn_list.p = (void *)(uintptr_t)pick_address(f, 8 * sizeof(uint64_t));
    op.access_list.p = (void *)(uintptr_t)pick_address(f, 8);
    memory_call(f, caller, XENMEM_access_op, &op, sizeof op);
}

/* A program of the domain writes to its page. */
static void page_write(struct fuzz *f, domid_t dom)
{
    uint64_t gfn = pick_gfn(f);
    int rc = hv_page_write(f->hv, dom, gfn);
    const struct hv_domain *d = domain_lookup(f->hv, dom);

    fuzz_note(f, "a program of d%u writes to gfn %#llx: %d", dom, (unsigned long long)gfn, rc);
    /* Whoever may write has a page of its own. */
    assert(rc || p2m_get(&d->p2m, gfn).type != P2M_RAM_SHARED);
}

void do_hap(struct fuzz *f)
{
    static void (*const acts[])(struct fuzz * f, domid_t caller, domid_t dom) = {
        change_memory, manage,   set_ring, set_ring, page_op,       page_op,
        page_op,       share_op, share_op, share_op, share_control, access_op,
    };
    domid_t caller = pick_own(f), dom = pick_target(f);
    uint8_t b = u8(&f->in) % (sizeof acts / sizeof *acts + 1);

    if (b == sizeof acts / sizeof *acts && u8(&f->in) % 4 == 0)
        page_write(f, dom);
    else if (b == sizeof acts / sizeof *acts)
        scribble(f, dom);
    else
        acts[b](f, caller, dom);
}
