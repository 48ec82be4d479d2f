/* SPDX-License-Identifier: MIT */
/* Life and death: who stays for how long, what is released and in which order, reset and
 * migration. */
#include "harness.h"

#include "hv_i.h"

SUITE("life");

#define HOST GNTMAP_host_map
#define RO GNTMAP_readonly

TEST_VERSIONS("a dying grantee leaves no trace in entries",
              "life:4/1 life:4/3 life:4/4 life:4/5 life:4/cleared life:4/pv ent:5.1/set-iff")
{
    uint32_t handle;

    for (uint32_t ref = 8; ref < 300; ref++) {
        if (ref >= 250 && version == 2)
            break;
        grant(1, ref, 2, ref % 16, ref % 2 ? GTF_readonly : 0);
        EQ(map(2, 1, ref, HOST | (ref % 2 ? RO : 0), A(ref), NULL), GNTST_okay);
    }
    grant(1, 8, 2, 8, version == 1 ? GTF_reading | GTF_writing : 0);
    if (kind == PV) {
        EQ(map(2, 1, 8, GNTMAP_device_map | HOST, A(700), &handle), GNTST_okay);
        EQ(unmap(2, handle, A(700)), GNTST_okay);            /* a part is left */
    }
    audit_clean();
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(hv_domain_state(w.hv, 2), -ESRCH);
    for (uint32_t ref = 8; ref < 250; ref++) {
        EQ(flags_of(1, ref), GTF_permit_access | (ref % 2 ? GTF_readonly : 0));
        EQ(entry(1, ref).pin_host_write + entry(1, ref).pin_host_read + entry(1, ref).pin_dev_write,
           0);
    }
    for (uint64_t gfn = 0; gfn < 16; gfn++) {
        EQ(frame(mfn_of(1, gfn)).refs, 1);
        EQ(frame(mfn_of(1, gfn)).writable_types, 0);
    }
    audit_clean();
}

struct order {
    uint16_t flags_at_upcall;
    bool called;
};
static struct order seen;

/* The hardware domain hears of the death when mappings are long released, and ports closed. */
static void look_at_upcall(void *ctx, domid_t dom)
{
    (void)ctx;
    if (dom == 0 && !seen.called) {
        seen.called = true;
        seen.flags_at_upcall = v1(1, 8)->flags;
    }
}

TEST_KINDS("mappings go before anybody hears of it", "life:4/order life:4/before-ports")
{
    seen = (struct order){ .called = false };
    EQ(evt_virq(0, VIRQ_DOM_EXC, 0, NULL), 0);
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    w.hv->hooks.upcall = look_at_upcall;
    EQ(hv_domain_destroy(w.hv, 2), 0);
    OK(seen.called);
    EQ(seen.flags_at_upcall, GTF_permit_access);
}

TEST_KINDS("nobody is told on a data port", "life:4/no-event evt:5/order")
{
    uint32_t p1, p2;

    EQ(evt_alloc(1, DOMID_SELF, 2, &p1), 0);
    EQ(evt_bind(2, 1, p1, &p2), 0);
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(w.upcalls[1], 0);
    EQ(evt_state(1, p1), EVTCHNSTAT_unbound);
}

TEST_VERSIONS("a dead granter's mappings work on",
              "life:5/torn-down life:5/zombie life:5/gone life:5/pages life:5/kept life:5/domid "
              "life:5/unmap ops:12/map ops:12/unmap ops:12/copy-first ops:12/copy-pinned ops:6.2/7")
{
    uint64_t mfn = mfn_of(1, 3), other = mfn_of(1, 4);
    uint32_t handle, more;
    struct gnttab_copy op = { .source = { .u.ref = 8, .domid = 1 },
                              .dest = { .u.gmfn = number(2, 1), .domid = DOMID_SELF },
                              .len = 8, .flags = GNTCOPY_source_gref };

    grant(1, 8, 2, 3, 0);
    grant(1, 9, 2, 4, 0);
    memset(page(1, 3), 0x42, 4096);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_state(w.hv, 1), 1);
    EQ(hv_domain_destroy(w.hv, 1), 0);               /* again: nothing */
    EQ(add_domain(1, kind, false, 0), -EEXIST);      /* its number stays taken */
    EQ(*(uint8_t *)hv_frame(w.hv, mfn), 0x42);
    EQ(frame(mfn).owner, 1);
    OK(!frame(mfn).allocated);
    EQ(frame(other).owner, -1);
    EQ(info(1).tot_pages, 1);
    OK(info(1).dying);
    audit_clean();
    /* What is pinned can be mapped again, what is not has no page any more; copies are refused. */
    EQ(map(2, 1, 8, HOST | RO, A(2), &more), GNTST_okay);
    EQ(map(2, 1, 9, HOST, A(3), NULL), GNTST_bad_page);
    EQ(copy_element(2, op), GNTST_bad_domain);
    op.source.u.ref = 9;
    EQ(copy_element(2, op), GNTST_bad_page);
    EQ(flags_of(1, 9), GTF_permit_access);
    audit_clean();
    /* Nothing of it can be changed from outside. */
    EQ(hv_page_alloc(w.hv, 1, NULL), -EINVAL);
    EQ(hv_page_free(w.hv, 1, 3), -EINVAL);
    EQ(hv_page_out(w.hv, 1, 3), -ENOENT);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), 1);
    EQ(unmap(2, more, A(2)), GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    EQ(frame(mfn).owner, -1);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_bad_domain);
    EQ(add_domain(1, kind, false, 4), 0);
    audit_clean();
}

TEST_PV("a granter is kept by its hypervisor frames too", "life:5/kept")
{
    uint32_t handle;

    *v1(1, 8) = (grant_entry_v1_t){ GTF_permit_access, 2,
                                    (uint32_t)hv_grant_frame_mfn(w.hv, 1, 0) };
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_state(w.hv, 1), 1);
    EQ(info(1).tot_pages, 0);
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    audit_clean();
    /* Shared info, and a status frame. */
    EQ(set_version(3, 2, NULL), 0);
    grant(3, 8, 2, 3, 0);
    v2(3, 8)->full_page.frame = hv_status_frame_mfn(w.hv, 3, 0);
    grant(3, 9, 2, 3, 0);
    v2(3, 9)->full_page.frame = hv_shared_info_mfn(w.hv, 3);
    EQ(map(2, 3, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(map(2, 3, 9, HOST, A(2), &handle), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 3), 0);
    EQ(unmap(2, handle, A(2)), GNTST_okay);
    EQ(hv_domain_state(w.hv, 3), 1);
    audit_clean();
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(hv_domain_state(w.hv, 3), -ESRCH);
    audit_clean();
}

TEST_KINDS("two that map each other can die in any order", "life:4/2")
{
    for (int order = 0; order < 2; order++) {
        uint64_t before = hv_nr_free_frames(w.hv);

        EQ(add_domain(5, kind, false, 8), 0);
        EQ(add_domain(6, kind, false, 8), 0);
        grant(5, 8, 6, 3, 0);
        grant(6, 8, 5, 3, 0);
        grant(5, 9, 5, 4, 0);
        EQ(map(6, 5, 8, HOST, A(1), NULL), GNTST_okay);
        EQ(map(5, 6, 8, HOST, A(1), NULL), GNTST_okay);
        EQ(map(5, 5, 9, HOST, A(2), NULL), GNTST_okay);
        EQ(hv_domain_destroy(w.hv, order ? 5 : 6), 0);
        audit_clean();
        EQ(hv_domain_destroy(w.hv, order ? 6 : 5), 0);
        EQ(hv_domain_state(w.hv, 5), -ESRCH);
        EQ(hv_domain_state(w.hv, 6), -ESRCH);
        EQ(hv_nr_free_frames(w.hv), before);
        audit_clean();
    }
}

TEST_KINDS("a batch may end its granter's life", "life:5/gone")
{
    struct gnttab_unmap_grant_ref ops[4];

    for (uint32_t i = 0; i < 4; i++) {
        grant(1, 8 + i, 2, i, 0);
        ops[i] = (struct gnttab_unmap_grant_ref){ .host_addr = A(1 + i), .status = 77 };
        EQ(map(2, 1, 8 + i, HOST, A(1 + i), &ops[i].handle), GNTST_okay);
    }
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_unmap_grant_ref, ops, 4), 0);
    for (int i = 0; i < 4; i++)
        EQ(ops[i].status, GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    audit_clean();
}

TEST_KINDS("a machine can end with everything in use")
{
    uint32_t port;

    grant(1, 8, 2, 3, 0);
    grant(2, 8, 1, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(map(1, 2, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(evt_alloc(1, DOMID_SELF, 2, &port), 0);
    EQ(evt_bind(2, 1, port, NULL), 0);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(hv_domain_state(w.hv, 2), 1);
    hv_frame_get(w.hv, mfn_of(1, 3));
}

TEST_VERSIONS("a soft reset closes ports and nothing else", "life:5.1")
{
    uint32_t p1, p2, handle, own;

    EQ(evt_alloc(1, DOMID_SELF, 2, &p1), 0);
    EQ(evt_bind(2, 1, p1, &p2), 0);
    grant(1, 8, 2, 3, 0);
    grant(2, 8, 1, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(map(1, 2, 8, HOST, A(1), &own), GNTST_okay);
    EQ(hv_domain_soft_reset(w.hv, 1), 0);
    EQ(info(1).nr_ports, 0);
    EQ(evt_state(2, p2), EVTCHNSTAT_unbound);
    EQ(info(1).grant_version, version);
    EQ(entry(1, 8).pin_host_write, 1);
    EQ(info(1).maptrack_in_use, 1);
    EQ(unmap(1, own, A(1)), GNTST_okay);
    EQ(hv_domain_soft_reset(w.hv, 999), -ESRCH);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_soft_reset(w.hv, 1), -EINVAL);
    audit_clean();
}

TEST_VERSIONS("a migrated domain starts anew with its memory")
{
    uint64_t old = mfn_of(1, 3), unshared = mfn_of(1, 4), own_gfn = 20, mfn;
    uint32_t theirs, p1, p2;

    EQ(hv_page_free(w.hv, 1, 5), 0);
    memset(page(1, 3), 0x33, 4096);
    EQ(hv_page_out(w.hv, 1, 6), 0);
    grant(1, 8, 2, 3, 0);
    grant(2, 8, 1, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &theirs), GNTST_okay);
    EQ(map(1, 2, 8, HOST, own_gfn * 4096, NULL), GNTST_okay);
    EQ(evt_alloc(1, DOMID_SELF, 2, &p1), 0);
    EQ(evt_bind(2, 1, p1, &p2), 0);
    EQ(hv_domain_migrate(w.hv, 1, 2), -EEXIST);
    EQ(hv_domain_migrate(w.hv, 999, 7), -ESRCH);
    EQ(hv_domain_migrate(w.hv, 1, 7), 0);
    EQ(hv_domain_state(w.hv, 1), 1);                  /* kept by domain 2's mapping */
    EQ(hv_domain_migrate(w.hv, 1, 9), -EINVAL);
    EQ(info(7).grant_version, 1);
    EQ(info(7).maptrack_in_use, 0);
    EQ(info(7).nr_ports, 0);
    EQ(info(7).tot_pages, 15);
    EQ(info(7).max_pages, 16 + 1024);
    EQ(info(7).auto_translated, kind == HVM);
    EQ(*(uint8_t *)page(7, 3), 0x33);
    /* what another sees stays as it is, the domain has a copy */
    OK(mfn_of(7, 3) != old);
    *(uint8_t *)page(7, 3) = 0x44;
    EQ(*(uint8_t *)hv_frame(w.hv, old), 0x33);
    EQ(mfn_of(7, 4), unshared);                       /* what nobody else sees is the same frame */
    /* a hole stays one, a page that was out comes in, grants go */
    EQ(hv_gfn_to_mfn(w.hv, 7, 5, &mfn), -ENOENT);
    EQ(hv_gfn_to_mfn(w.hv, 7, 6, &mfn), 0);
    EQ(hv_gfn_to_mfn(w.hv, 7, own_gfn, &mfn), -ENOENT);
    EQ(flags_of(7, 8), 0);
    EQ(flags_of(2, 8), GTF_permit_access);
    EQ(evt_state(2, p2), EVTCHNSTAT_unbound);
    audit_clean();
    EQ(unmap(2, theirs, A(1)), GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    grant(7, 8, 2, 3, 0);
    EQ(map(2, 7, 8, HOST, A(1), &theirs), GNTST_okay);
    audit_clean();
}

TEST_KINDS("a domain that finds no room to migrate goes on")
{
    uint64_t mfn;

    /* Every page needs a copy. */
    for (uint32_t i = 0; i < 16; i++) {
        grant(1, 8 + i, 2, i, 0);
        EQ(map(2, 1, 8 + i, HOST, A(i), NULL), GNTST_okay);
    }
    domain_lookup(w.hv, 3)->max_pages = 100000;
    while (hv_nr_free_frames(w.hv) > 10)
        EQ(hv_page_alloc(w.hv, 3, &mfn) >= 0, true);
    memset(page(1, 3), 0x33, 4096);
    EQ(hv_domain_migrate(w.hv, 1, 7), -ENOMEM);
    EQ(hv_domain_state(w.hv, 7), -ESRCH);
    EQ(hv_domain_state(w.hv, 1), 0);
    EQ(*(uint8_t *)page(1, 3), 0x33);
    audit_clean();
}

TEST_KINDS("a domain that maps its own page has it after a migration")
{
    uint64_t mfn = mfn_of(1, 3);

    memset(page(1, 3), 0x33, 4096);
    grant(1, 8, 1, 3, 0);
    EQ(map(1, 1, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(hv_domain_migrate(w.hv, 1, 7), 0);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    EQ(mfn_of(7, 3), mfn);
    EQ(*(uint8_t *)page(7, 3), 0x33);
    EQ(info(7).tot_pages, 16);
    audit_clean();
    /* Another has it mapped, too: its frame stays with the dead domain, the contents come along. */
    grant(7, 8, 7, 3, 0);
    grant(7, 9, 2, 3, 0);
    EQ(map(2, 7, 9, HOST, A(1), NULL), GNTST_okay);
    EQ(map(7, 7, 8, HOST, A(2), NULL), GNTST_okay);
    EQ(hv_domain_migrate(w.hv, 7, 1), 0);
    EQ(hv_domain_state(w.hv, 7), 1);
    OK(mfn_of(1, 3) != mfn);
    EQ(*(uint8_t *)page(1, 3), 0x33);
    audit_clean();
}

/* Status of a setup_table for so many frames. */
static int table_of(domid_t dom, unsigned nr_frames)
{
    xen_pfn_t list[8] = { 0 };
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = nr_frames };

    set_xen_guest_handle(op.frame_list, list);
    EQ(hv_grant_table_op(w.hv, dom, GNTTABOP_setup_table, &op, 1), 0);
    return op.status;
}

/* The limits of a living domain, as a toolstack lowers them to see what a domain does that finds no
 * room. */
TEST_KINDS("limits can be changed, and hold from then on")
{
    uint32_t handles[256];
    struct hv_domain_info was = info(1);
    int n;

    EQ(hv_domain_set_limits(w.hv, 999, 4, 4), -ESRCH);
    EQ(hv_domain_set_limits(w.hv, 1, 0, -1), -EINVAL);
    EQ(hv_domain_set_limits(w.hv, 1, -2, -1), -EINVAL);
    EQ(hv_domain_set_limits(w.hv, 1, -1, -2), -EINVAL);
    /* the profile's are upper bounds */
    EQ(hv_domain_set_limits(w.hv, 1, INT32_MAX, -1), -EINVAL);
    EQ(hv_domain_set_limits(w.hv, 1, -1, INT32_MAX), -EINVAL);
    EQ(hv_domain_set_limits(w.hv, 1, -1, -1), 0);
    EQ(info(1).max_grant_frames, was.max_grant_frames);
    EQ(info(1).max_maptrack_frames, was.max_maptrack_frames);

    /* Entries: what is there stays, nothing more is to be had. */
    EQ(hv_domain_set_limits(w.hv, 1, (int32_t)was.nr_grant_frames, -1), 0);
    EQ(info(1).max_grant_frames, was.nr_grant_frames);
    EQ(table_of(1, was.nr_grant_frames + 1), GNTST_general_error);
    EQ(hv_domain_set_limits(w.hv, 1, (int32_t)was.nr_grant_frames + 1, -1), 0);
    EQ(table_of(1, was.nr_grant_frames + 1), GNTST_okay);
    EQ(hv_domain_set_limits(w.hv, 1, (int32_t)was.nr_grant_frames, -1), -EBUSY);
    EQ(info(1).nr_grant_frames, was.nr_grant_frames + 1);

    /* Handles: one frame of them, of which the last one is never handed out. */
    EQ(hv_domain_set_limits(w.hv, 2, -1, 1), 0);
    for (uint32_t ref = 8; ref < 11; ref++)
        grant(1, ref, 2, ref, 0);
    for (n = 0; n < 256 && map(2, 1, 8 + (uint32_t)n / 100, HOST, A(1 + n),
                               &handles[n]) == GNTST_okay; n++)
        ;
    EQ(n, 255);
    EQ(hv_domain_set_limits(w.hv, 2, -1, 0), -EBUSY);
    EQ(hv_domain_set_limits(w.hv, 2, -1, 2), 0);
    EQ(map(2, 1, 8, HOST, A(300), &handles[n]), GNTST_okay);
    EQ(hv_domain_set_limits(w.hv, 2, -1, 1), -EBUSY);
    EQ(info(2).max_maptrack_frames, 2);
    /* kept by the mappings, but not to be changed any more */
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_set_limits(w.hv, 1, 32, -1), -ESRCH);
}
