/* SPDX-License-Identifier: MIT */
/* Sequences of operations that belong together and that random steps seldom make in order. */
#include "hv_fuzz_i.h"

static void set_version(struct fuzz *f, domid_t dom, uint32_t version)
{
    struct gnttab_set_version op = { .version = version };

    put_args(f, ARENA_BASE, &op, sizeof op);
    call(f, dom, __HYPERVISOR_grant_table_op, GNTTABOP_set_version, ARENA_BASE, 1);
}

/* inner grants to outer, outer passes it on to caller, who copies through it: on one side or both,
 * more than once. */
void do_transitive(struct fuzz *f)
{
    domid_t inner = pick_own(f), outer = pick_own(f), caller = pick_own(f), ignored;
    uint8_t b = u8(&f->in);
    uint32_t inner_ref = pick_ref(f, inner), outer_ref = pick_ref(f, outer);
    uint16_t inner_flags = GTF_permit_access | (b & 1 ? GTF_sub_page : 0) |
        (b & 2 ? GTF_readonly : 0);
    unsigned n = 1 + (b >> 2 & 3);
    struct gnttab_copy ops[4] = { 0 };

    if (b < 224) {
        set_version(f, outer, 2);
        if (b & 1)
            set_version(f, inner, 2);
    }
    write_entry(f, inner, inner_ref, inner_flags, outer, pick_frame(f, inner));
    write_entry(f, outer, outer_ref, GTF_transitive, caller, inner + 5u * (inner_ref % 20));
    for (unsigned i = 0; i < n; i++) {
        uint8_t sides = u8(&f->in);

        ops[i].len = sides & 128 ? 16 : 4096;
        ops[i].flags = (sides & 1 ? GNTCOPY_source_gref : 0) | (sides & 2 ? GNTCOPY_dest_gref : 0);
        ops[i].source.domid = sides & 1 ? outer : DOMID_SELF;
        ops[i].dest.domid = sides & 2 ? outer : DOMID_SELF;
        ops[i].source.u.gmfn = ops[i].dest.u.gmfn = pick_frame(f, caller);
        if (sides & 1)
            ops[i].source.u.ref = outer_ref;
        if (sides & 2)
            ops[i].dest.u.ref = outer_ref;
        /* One of the two named directly, or another entry in the same batch. */
        if (sides & 4)
            pick_granted(f, &ops[i].dest.domid, &ops[i].dest.u.ref, &ignored);
        if (sides & 8) {
            ops[i].source.domid = inner;
            ops[i].source.u.ref = inner_ref;
        }
        ops[i].source.offset = sides & 16 ? 100 : 0;
        ops[i].dest.offset = sides & 32 ? 100 : 0;
    }
    /* The guest changes its mind in the middle of it. */
    if (b & 64) {
        f->race.dom = b & 32 ? inner : outer;
        f->race.ref = b & 32 ? inner_ref : outer_ref;
        f->race.flags = u8(&f->in) % 2 ? GTF_permit_access : GTF_transitive;
        f->race.to = b & 32 ? outer : caller;
        f->races_left = u8(&f->in) % 4;
        f->race.moves = f->races_left > 1;
        /* Another frame, or another reference of another domain: the same bytes. */
        if (f->race.moves)
            f->race.frame = u8(&f->in) % 2 ? pick_frame(f, f->race.dom) : inner |
                (uint64_t)pick_ref(f, inner) << 32;
    }
    put_args(f, ARENA_BASE, ops, n * sizeof *ops);
    note_targets(f, caller, ops, n);
    call(f, caller, __HYPERVISOR_grant_table_op, GNTTABOP_copy, ARENA_BASE, n);
    get_args(f, ARENA_BASE, ops, n * sizeof *ops);
    note_copies(f, ops, n);
}

/* A status frame appears among a translated domain's pages, is granted and mapped from there, and
 * has to go with version 2. */
void do_status_frame(struct fuzz *f)
{
    domid_t dom = pick_own(f), other = pick_own(f);
    uint8_t b = u8(&f->in);
    uint64_t gfn = pick_gfn(f);
    uint32_t ref = pick_ref(f, dom);
    struct xen_add_to_physmap place = { .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table,
                                        .gpfn = gfn,
                                        .idx = XENMAPIDX_grant_table_status | (b >> 6) };
    struct gnttab_map_grant_ref map = { .flags = GNTMAP_host_map, .ref = ref, .dom = dom,
                                        .host_addr = pick_host_addr(f, other) };

    set_version(f, dom, 2);
    put_args(f, ARENA_BASE, &place, sizeof place);
    call(f, dom, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, ARENA_BASE, 0);
    if (b & 1) {
        write_entry(f, dom, ref, GTF_permit_access, other, gfn);
        put_args(f, ARENA_BASE, &map, sizeof map);
        call(f, other, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, ARENA_BASE, 1);
        get_args(f, ARENA_BASE, &map, sizeof map);
        if (f->copies_left == 0)
            f->lost[other] = true;
        else if (map.status == GNTST_okay)
            remember_handle(f, other, map.handle, map.host_addr);
        /* A pin would keep the version: it has no say in the reserved entries. */
    }
    if (b & 2)
        set_version(f, dom, 1);
    if (b & 4)
        fuzz_note(f, "d%u frees gfn %#llx: %d", dom, (unsigned long long)gfn,
                  hv_page_free(f->hv, dom, gfn));
}

/* Both ends of a channel, a few events through it, and what each end says of it. */
void do_channel(struct fuzz *f)
{
    domid_t a = pick_own(f), b = pick_own(f);
    uint8_t how = u8(&f->in);
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = b };
    struct evtchn_bind_interdomain bind = { .remote_dom = a };
    struct evtchn_status status = { .dom = DOMID_SELF };
    uint32_t port;

    put_args(f, ARENA_BASE, &alloc, sizeof alloc);
    call(f, a, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, ARENA_BASE, 0);
    get_args(f, ARENA_BASE, &alloc, sizeof alloc);
    bind.remote_port = alloc.port;
    put_args(f, ARENA_BASE, &bind, sizeof bind);
    call(f, b, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, ARENA_BASE, 0);
    get_args(f, ARENA_BASE, &bind, sizeof bind);
    for (unsigned i = 0; i < (how & 3u); i++) {
        bool first = how >> (2 + i) & 1;

        port = first ? alloc.port : bind.local_port;
        put_args(f, ARENA_BASE, &port, sizeof port);
        call(f, first ? a : b, __HYPERVISOR_event_channel_op,
             how & 32 ? EVTCHNOP_unmask : EVTCHNOP_send, ARENA_BASE, 0);
    }
    status.port = bind.local_port;
    put_args(f, ARENA_BASE, &status, sizeof status);
    call(f, b, __HYPERVISOR_event_channel_op, EVTCHNOP_status, ARENA_BASE, 0);
    if (how & 64) {
        put_args(f, ARENA_BASE, &alloc.port, sizeof alloc.port);
        call(f, a, __HYPERVISOR_event_channel_op, EVTCHNOP_close, ARENA_BASE, 0);
    }
    if (how & 128)
        fuzz_note(f, "d%u is destroyed: %d", how & 16 ? a : b,
                  hv_domain_destroy(f->hv, how & 16 ? a : b));
}
