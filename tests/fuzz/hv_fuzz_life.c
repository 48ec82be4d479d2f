/* SPDX-License-Identifier: MIT */
/* Fuzzes event channels, memory, the life of domains, and queries. */
#include "hv_fuzz_i.h"

/* ---- Event channels -------------------------------------------------------------------------- */

static uint32_t pick_port(struct fuzz *f)
{
    uint8_t b = u8(&f->in);

    if (b < 224)
        return b % 8;
    return b < 245 ? u16(&f->in) % 5000 : u32(&f->in);
}

void do_evtchn(struct fuzz *f)
{
    union {
        struct evtchn_alloc_unbound alloc_unbound;
        struct evtchn_bind_interdomain bind_interdomain;
        struct evtchn_bind_virq bind_virq;
        struct evtchn_bind_ipi bind_ipi;
        struct evtchn_bind_vcpu bind_vcpu;
        struct evtchn_status status;
        struct evtchn_reset reset;
        uint32_t port;                 /* close, send, unmask, set_priority */
        uint64_t words[8];
    } op = { .words = { 0 } };
    domid_t caller = pick_own(f);
    uint8_t b = u8(&f->in);
    unsigned cmd = b % 16;
    uint64_t at;

    if (b >= 224) {
        do_channel(f);
        return;
    }
    at = pick_address(f, sizeof op);
    switch (cmd) {
    case EVTCHNOP_alloc_unbound:
        op.alloc_unbound.dom = u8(&f->in) % 4 ? DOMID_SELF : pick_domid(f);
        op.alloc_unbound.remote_dom = pick_domid(f);
        break;
    case EVTCHNOP_bind_interdomain:
        op.bind_interdomain.remote_dom = pick_domid(f);
        op.bind_interdomain.remote_port = pick_port(f);
        break;
    case EVTCHNOP_bind_virq:
        op.bind_virq.virq = u8(&f->in) % 28;
        op.bind_virq.vcpu = u8(&f->in) % 8 ? 0 : u32(&f->in);
        break;
    case EVTCHNOP_bind_ipi:
        op.bind_ipi.vcpu = u8(&f->in) % 8 ? 0 : u32(&f->in);
        break;
    case EVTCHNOP_bind_vcpu:
        op.bind_vcpu.port = pick_port(f);
        op.bind_vcpu.vcpu = u8(&f->in) % 8 ? 0 : u32(&f->in);
        break;
    case EVTCHNOP_status:
        op.status.dom = pick_domid(f);
        op.status.port = pick_port(f);
        break;
    case EVTCHNOP_reset:
        op.reset.dom = u8(&f->in) % 4 ? DOMID_SELF : pick_domid(f);
        break;
    case EVTCHNOP_close:
    case EVTCHNOP_send:
    case EVTCHNOP_unmask:
    case EVTCHNOP_set_priority:
        op.port = pick_port(f);
        break;
    default:
        op.words[0] = u64(&f->in);
        break;
    }
    put_args(f, at, &op, sizeof op);
    call(f, caller, __HYPERVISOR_event_channel_op, cmd, at, 0);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

void do_physmap(struct fuzz *f)
{
    domid_t caller = pick_own(f), dom = pick_domid(f);
    uint64_t start = u8(&f->in) < 224 ? 0 : u8(&f->in) % 4,
        at = pick_address(f, sizeof(struct xen_mem_acquire_resource));
    uint8_t b = u8(&f->in);

    if (b % 2) {
        struct xen_add_to_physmap op = { .domid = dom,
                                         .space = b % 16 < 12 ? XENMAPSPACE_grant_table : b % 5 };

        op.idx = u8(&f->in) % 8 ? u8(&f->in) % 4 : u64(&f->in);
        if (u8(&f->in) % 2)
            op.idx |= XENMAPIDX_grant_table_status;
        op.gpfn = pick_gfn(f);
        put_args(f, at, &op, sizeof op);
        call(f, caller, __HYPERVISOR_memory_op, XENMEM_add_to_physmap | start << 6, at, 0);
    } else {
        struct xen_mem_acquire_resource op = { .domid = dom, .type = XENMEM_resource_grant_table };

        op.id = u8(&f->in) % 3;
        op.nr_frames = u8(&f->in) % 8 ? u8(&f->in) % 5 : u32(&f->in);
        op.frame = u8(&f->in) % 8 ? u8(&f->in) % 5 : u64(&f->in);
        op.pad = b >= 250;
        if (b >= 244)
            op.type = b % 8;
        op.frame_list.p = NULL;
        if (u8(&f->in) % 8)
            op.frame_list.p = (void *)(uintptr_t)pick_address(f, 4 * sizeof(uint64_t));
        put_args(f, at, &op, sizeof op);
        call(f, caller, __HYPERVISOR_memory_op, XENMEM_acquire_resource | start << 6, at, 0);
    }
}

/* New memory shows nothing of what was there. */
static void check_zeroed(const struct fuzz *f, uint64_t mfn)
{
    static const uint8_t zeroes[HV_PAGE_SIZE];

    if (memcmp(hv_frame(f->hv, mfn), zeroes, HV_PAGE_SIZE))
        fuzz_fail(f, "frame %llu was handed out with somebody's data in it",
                  (unsigned long long)mfn);
}

static void page_alloc(struct fuzz *f, domid_t dom, uint64_t nr)
{
    uint64_t mfn;
    int64_t gfn = hv_page_alloc_run(f->hv, dom, nr, &mfn);

    fuzz_note(f, "d%u: %llu pages more: gfn %lld", dom, (unsigned long long)nr, (long long)gfn);
    for (uint64_t i = 0; gfn >= 0 && i < nr; i++) {
        check_zeroed(f, mfn + i);
        memset(hv_frame(f->hv, mfn + i), 0x10 + dom, 64);
    }
}

void do_page(struct fuzz *f)
{
    domid_t dom = pick_own(f);
    uint8_t b = u8(&f->in);
    uint64_t gfn;

    if (b < 64) {
        page_alloc(f, dom, b < 48 ? 1 : b < 62 ? b % 4 : u64(&f->in));
        return;
    }
    gfn = pick_gfn(f);
    if (b < 112)
        fuzz_note(f, "d%u frees gfn %#llx: %d", dom, (unsigned long long)gfn,
                  hv_page_free(f->hv, dom, gfn));
    else if (b < 192)
        fuzz_note(f, "d%u: gfn %#llx out: %d", dom, (unsigned long long)gfn,
                  hv_page_out(f->hv, dom, gfn));
    else
        fuzz_note(f, "d%u: gfn %#llx in: %d", dom, (unsigned long long)gfn,
                  hv_page_in(f->hv, dom, gfn));
}

/* A server of mappings holds frames, or lets go of one. */
void do_hold(struct fuzz *f)
{
    uint64_t mfn = u8(&f->in) % f->nr_frames;
    struct hv_frame_info info;

    if (f->nr_held == MAX_HELD || (f->nr_held && mfn % 2)) {
        mfn = f->held[--f->nr_held];
        fuzz_note(f, "frame %llu is let go", (unsigned long long)mfn);
        hv_frame_put(f->hv, mfn);
    } else if (mfn && hv_frame_info(f->hv, mfn, &info) == 0 && info.refs) {
        fuzz_note(f, "frame %llu is held", (unsigned long long)mfn);
        hv_frame_get(f->hv, mfn);
        f->held[f->nr_held++] = mfn;
    }
}

/* ---- Domains --------------------------------------------------------------------------------- */

void decode_domain(struct fuzz *f, domid_t dom)
{
    struct hv_domain_config *c = &f->config[dom];
    uint8_t kind = u8(&f->in), limits = u8(&f->in);

    hv_domain_config_init(c);
    c->auto_translated = kind & 1;
    c->privileged = kind & 2;
    if (kind & 4) {
        c->pv_ops = &fuzz_pv_ops;
        c->pv_ctx = &f->pv[dom];
    }
    c->nr_pages = kind >> 3 & 15;
    c->max_pages = kind & 128 ? c->nr_pages + 2 : 0;
    c->max_grant_frames = limits & 3 ? limits & 3 : 8;
    c->max_maptrack_frames = limits >> 2 & 3;
    c->max_grant_version = limits & 16 ? 1 : 2;
    c->max_evtchn_port = limits & 32 ? 4 : 0;
    if (limits >= 252)
        c->max_grant_frames = u8(&f->in) - 2;
}

int create_domain(struct fuzz *f, domid_t dom)
{
    int rc;

    if (hv_domain_state(f->hv, dom) == -ESRCH)
        f->pv[dom] = (struct pv_space){ .addr = { 0 } }, f->lost[dom] = false;
    rc = hv_domain_create(f->hv, dom, &f->config[dom]);
    fuzz_note(f, "d%u is created (%s%s, %llu pages): %d", dom,
              f->config[dom].auto_translated ? "auto-translated" : "PV",
              f->config[dom].privileged ? ", privileged" : "",
              (unsigned long long)f->config[dom].nr_pages, rc);
    return rc;
}

static void migrate(struct fuzz *f, domid_t dom)
{
    domid_t to = pick_own(f);
    struct hv_domain_config config = f->config[to];
    int rc;

    /* Both would have the same address space. */
    if (f->config[dom].pv_ops)
        return;
    if (hv_domain_state(f->hv, to) == -ESRCH)
        f->config[to] = f->config[dom];
    if (hv_domain_state(f->hv, to) == -ESRCH)
        f->lost[to] = false;
    rc = hv_domain_migrate(f->hv, dom, to);
    if (rc)
        f->config[to] = config;
    fuzz_note(f, "d%u goes on as d%u: %d", dom, to, rc);
}

void do_domain(struct fuzz *f)
{
    domid_t dom = pick_own(f);
    uint8_t b = u8(&f->in);

    if (hv_domain_state(f->hv, dom) == -ESRCH) {
        if (b % 2)
            decode_domain(f, dom);
        create_domain(f, dom);
    } else if (b < 96) {
        fuzz_note(f, "d%u is destroyed: %d", dom, hv_domain_destroy(f->hv, dom));
    } else if (b < 144) {
        migrate(f, dom);
    } else if (b < 176) {
        fuzz_note(f, "d%u is reset: %d", dom, hv_domain_soft_reset(f->hv, dom));
    } else if (b < 184) {
        fuzz_note(f, "d%u is created again: %d", dom,
                  hv_domain_create(f->hv, dom, &f->config[dom]));
    }
}

/* ---- Looking inside -------------------------------------------------------------------------- */

void do_look(struct fuzz *f)
{
    domid_t dom = pick_domid(f);
    struct hv_domain_info info = { .id = dom };
    struct hv_mapping_info mapping = { .handle = 0 };
    struct hv_port_info port = { .port = 0 };
    struct hv_entry_info entry;
    struct hv_frame_info frame;
    unsigned mappings = 0, ports = 0;

    hv_entry_info(f->hv, dom, pick_ref(f, dom), &entry);
    hv_frame_info(f->hv, pick_frame(f, dom), &frame);
    hv_grant_frame_mfn(f->hv, dom, u8(&f->in) % 10);
    hv_status_frame_mfn(f->hv, dom, u8(&f->in) % 10);
    hv_shared_info_mfn(f->hv, dom);
    if (hv_domain_info(f->hv, dom, &info))
        return;
    for (uint32_t from = 0; hv_mapping_next(f->hv, dom, from, &mapping) == 0;
         from = mapping.handle + 1)
        mappings++;
    for (uint32_t from = 0; hv_port_next(f->hv, dom, from, &port) == 0; from = port.port + 1)
        ports++;
    if (mappings != info.maptrack_in_use || ports != info.nr_ports ||
        info.nr_grant_frames != hv_nr_grant_frames(f->hv, dom))
        fuzz_fail(f, "d%u has %u mappings and %u ports, and says %u and %u", dom, mappings, ports,
                  info.maptrack_in_use, info.nr_ports);
}
