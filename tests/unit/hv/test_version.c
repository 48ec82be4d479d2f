/* SPDX-License-Identifier: MIT */
/* GNTTABOP_set_version: what it refuses, what it keeps, what it wipes. */
#include "harness.h"

#include "hv_i.h"

SUITE("version");

#define HOST GNTMAP_host_map

TEST_KINDS("the version in force is always returned", "ops:9/2 ops:9/4 ops:9/10 ops:9/always")
{
    static const struct {
        uint32_t ask;
        long rc;
        uint32_t now;
    } steps[] = {
        { 0, -EINVAL, 1 }, { 3, -EINVAL, 1 }, { UINT32_MAX, -EINVAL, 1 }, { 1, 0, 1 }, { 2, 0, 2 },
        { 0, -EINVAL, 2 },
        { 2, 0, 2 }, { 1, 0, 1 }, { 1, 0, 1 },
    };
    uint32_t now;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        EQ(set_version(1, steps[i].ask, &now), steps[i].rc);
        EQ(now, steps[i].now);
        EQ(info(1).grant_version, steps[i].now);
        audit_clean();
    }
}

TEST_KINDS("only the result may be unwritable", "ops:9/fault")
{
    struct gnttab_set_version op = { .version = 2 };
    struct window win = { .from = (uintptr_t)&op, .to = (uintptr_t)(&op + 1),
                          .fail_write_after = 1 };

    EQ(grant_op_in(1, GNTTABOP_set_version, (uintptr_t)&op, 1, &win), -EFAULT);
    EQ(info(1).grant_version, 2);                      /* the switch stays */
}

TEST_KINDS("a pinned entry keeps the version unless reserved",
           "ops:9/5 ent:6.1/1 ent:6.2/1 ent:6/pins-survive ent:3/special")
{
    uint32_t h8, h0, now;

    for (uint32_t version = 2; version >= 1; version--) {
        grant(1, 8, 2, 3, 0);
        grant(1, 0, 2, 4, 0);
        grant(1, 7, 2, 5, 0);
        EQ(map(2, 1, 8, HOST, A(1), &h8), GNTST_okay);
        EQ(set_version(1, version, &now), -EBUSY);
        EQ(now, 3 - version);
        EQ(flags_of(1, 8), GTF_permit_access | GTF_reading | GTF_writing);
        audit_clean();
        EQ(unmap(2, h8, A(1)), GNTST_okay);
        EQ(map(2, 1, 0, HOST, A(2), &h0), GNTST_okay);
        EQ(set_version(1, version, &now), 0);
        EQ(now, version);
        audit_clean();
        /* The mapping goes on, its bits are at the new place, and go from there. */
        EQ(entry(1, 0).pin_host_write, 1);
        EQ(flags_of(1, 0), GTF_permit_access | GTF_reading | GTF_writing);
        EQ(flags_of(1, 7), GTF_permit_access);
        EQ(entry(1, 7).frame, number(1, 5));
        EQ(entry(1, 7).domid, 2);
        EQ(flags_of(1, 8), 0);
        EQ(map(2, 1, 0, HOST | GNTMAP_readonly, A(3), &h8), GNTST_okay);
        EQ(unmap(2, h0, A(2)), GNTST_okay);
        EQ(flags_of(1, 0), GTF_permit_access | GTF_reading);
        EQ(unmap(2, h8, A(3)), GNTST_okay);
        EQ(flags_of(1, 0), GTF_permit_access);
        audit_clean();
    }
}

TEST_KINDS("everything but the reserved entries is wiped",
           "ops:9/wiped ops:9/halves ent:6.1/2 ent:6.1/3 ent:6.1/5 ent:6.2/6 ent:3/eight")
{
    EQ(gnttab_grow(domain_lookup(w.hv, 1), 3), 0);
    for (uint32_t ref = 0; ref < 3 * 512; ref++)
        grant(1, ref, 2, ref % 16, GTF_readonly);
    EQ(set_version(1, 2, NULL), 0);
    for (uint32_t ref = 0; ref < 3 * 256; ref++) {
        EQ(flags_of(1, ref), ref < 8 ? GTF_permit_access | GTF_readonly : 0);
        EQ(v2(1, ref)->full_page.frame, ref < 8 ? number(1, ref) : 0);
        EQ(*status2(1, ref), 0);
    }
    EQ(info(1).nr_grant_frames, 3);                    /* half as many references */
    EQ(map(2, 1, 768, HOST, A(1), NULL), GNTST_bad_gntref);
    for (uint32_t ref = 8; ref < 3 * 256; ref++)
        grant(1, ref, 2, ref % 16, 0);
    EQ(set_version(1, 1, NULL), 0);
    for (uint32_t ref = 0; ref < 3 * 512; ref++) {
        EQ(flags_of(1, ref), ref < 8 ? GTF_permit_access | GTF_readonly : 0);
        EQ(v1(1, ref)->frame, ref < 8 ? number(1, ref) : 0);
    }
    EQ(info(1).nr_status_frames, 0);
}

TEST_KINDS("going to version 2 splits the flags of reserved entries", "ent:6.1/4")
{
    v1(1, 0)->flags = GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed;
    v1(1, 0)->domid = 3;
    v1(1, 0)->frame = 0xfffffff0;
    v1(1, 1)->flags = GTF_permit_access | GTF_reading | 0x8000;
    EQ(set_version(1, 2, NULL), 0);
    EQ(v2(1, 0)->hdr.flags, GTF_accept_transfer | GTF_transfer_committed);
    EQ(*status2(1, 0), GTF_transfer_completed);
    EQ(v2(1, 0)->hdr.domid, 3);
    EQ(v2(1, 0)->full_page.frame, 0xfffffff0);
    EQ(v2(1, 1)->hdr.flags, GTF_permit_access | 0x8000);
    EQ(*status2(1, 1), GTF_reading);
}

TEST_KINDS("a completed transfer that changes version is no fault", "ent:6.1/4")
{
    v1(1, 1)->flags = GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed;
    audit_clean();
    EQ(set_version(1, 2, NULL), 0);
    EQ(*status2(1, 1), GTF_reading);       /* the same bit */
    audit_clean();
    grant(1, 1, 2, 3, 0);
    audit_clean();
    EQ(set_version(1, 1, NULL), 0);
    audit_clean();
}

TEST_KINDS("going back keeps only what version 1 can say", "ent:6.2/4")
{
    EQ(set_version(1, 2, NULL), 0);
    grant(1, 0, 2, 3, 0);
    v2(1, 1)->hdr.flags = GTF_accept_transfer;
    v2(1, 1)->hdr.domid = 2;
    v2(1, 1)->full_page.frame = UINT64_MAX;            /* no matter: the entry is lost */
    v2(1, 2)->hdr.flags = GTF_invalid | GTF_readonly;
    v2(1, 2)->full_page.frame = UINT64_MAX;
    EQ(set_version(1, 1, NULL), 0);
    EQ(flags_of(1, 0), GTF_permit_access);
    EQ(v1(1, 1)->flags, 0);
    EQ(v1(1, 1)->domid, 0);
    EQ(v1(1, 1)->frame, 0);
    EQ(v1(1, 2)->flags, 0);
}

TEST_KINDS("reserved entries that version 1 cannot say are out of range", "ops:9/8 ent:6.2/3")
{
    uint32_t now;

    EQ(set_version(1, 2, NULL), 0);
    grant(1, 7, 2, 3, 0);
    v2(1, 7)->full_page.frame |= UINT64_C(1) << 32;
    EQ(set_version(1, 1, &now), -ERANGE);
    EQ(now, 2);
    v2(1, 7)->hdr.flags = GTF_transitive;
    v2(1, 7)->full_page.frame = 0;
    EQ(set_version(1, 1, &now), -ERANGE);
    EQ(info(1).nr_status_frames, 1);
    v2(1, 7)->hdr.flags = 0;
    grant(1, 8, 2, 3, 0);
    v2(1, 8)->full_page.frame = UINT64_MAX;            /* beyond the reserved ones nobody looks */
    EQ(set_version(1, 1, &now), 0);
}

TEST_KINDS("copies in progress keep version 2", "ops:9/7 ent:6.2/2")
{
    EQ(set_version(1, 2, NULL), 0);
    /* never seen between hypercalls of one machine */
    domain_lookup(w.hv, 1)->gt.nr_v2_ops = 1;
    EQ(set_version(1, 1, NULL), -EAGAIN);
    domain_lookup(w.hv, 1)->gt.nr_v2_ops = 0;
    EQ(set_version(1, 1, NULL), 0);
}

TEST_PV("a status frame in use keeps a PV domain at version 2", "ops:9/9 ent:6.2/5")
{
    uint32_t handle, now;

    EQ(set_version(1, 2, NULL), 0);
    grant(1, 0, 2, 3, 0);
    v2(1, 0)->full_page.frame = hv_status_frame_mfn(w.hv, 1, 0);
    EQ(map(2, 1, 0, HOST, A(1), &handle), GNTST_okay);
    EQ(set_version(1, 1, &now), -EBUSY);
    EQ(now, 2);
    EQ(w.crashes, 0);
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(set_version(1, 1, &now), 0);
}

TEST_HVM("a status frame in use crashes an auto-translated domain", "ops:9/9 ent:6.2/5")
{
    struct xen_add_to_physmap op = { .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table,
                                     .idx = XENMAPIDX_grant_table_status, .gpfn = 0x100 };
    const uint64_t args[5] = { XENMEM_add_to_physmap, (uintptr_t)&op };
    uint32_t handle, now;

    EQ(set_version(1, 2, NULL), 0);
    EQ(hv_hypercall(w.hv, 1, __HYPERVISOR_memory_op, args, &hv_plain_memory), 0);
    grant(1, 0, 2, 0x100, 0);
    EQ(map(2, 1, 0, HOST, A(1), &handle), GNTST_okay);
    EQ(set_version(1, 1, &now), -EBUSY);
    EQ(now, 2);
    EQ(w.crashes, 1);
    audit_clean();
}

TEST_HVM("status frames leave holes behind", "ent:6/holes")
{
    struct xen_add_to_physmap op = { .domid = DOMID_SELF, .space = XENMAPSPACE_grant_table,
                                     .idx = XENMAPIDX_grant_table_status, .gpfn = 0x100 };
    const uint64_t args[5] = { XENMEM_add_to_physmap, (uintptr_t)&op };
    uint64_t mfn;

    EQ(set_version(1, 2, NULL), 0);
    EQ(hv_hypercall(w.hv, 1, __HYPERVISOR_memory_op, args, &hv_plain_memory), 0);
    EQ(mfn_of(1, 0x100), hv_status_frame_mfn(w.hv, 1, 0));
    EQ(set_version(1, 1, NULL), 0);
    EQ(hv_gfn_to_mfn(w.hv, 1, 0x100, &mfn), -ENOENT);
    audit_clean();
}

TEST_KINDS("changing to and fro leaks nothing")
{
    uint64_t before = hv_nr_free_frames(w.hv);

    EQ(gnttab_grow(domain_lookup(w.hv, 1), 20), 0);
    for (int i = 0; i < 50; i++) {
        EQ(set_version(1, 2, NULL), 0);
        EQ(hv_nr_free_frames(w.hv), before - 19 - 3);
        EQ(set_version(1, 1, NULL), 0);
        EQ(hv_nr_free_frames(w.hv), before - 19);
    }
}

TEST_KINDS("without frames the version stays", "ops:9/6 ent:6.1/2")
{
    uint64_t mfn;
    uint32_t now;

    EQ(hv_domain_destroy(w.hv, 3), 0);
    EQ(add_domain(3, kind, false, 0), 0);
    while (hv_page_alloc(w.hv, 3, &mfn) >= 0 || hv_page_alloc(w.hv, 2, &mfn) >= 0)
        ;
    EQ(hv_nr_free_frames(w.hv), 0);
    grant(1, 9, 2, 3, 0);
    EQ(set_version(1, 2, &now), -ENOMEM);
    EQ(now, 1);
    EQ(flags_of(1, 9), GTF_permit_access);
    audit_clean();
}

TEST_KINDS("a peer need not know the version", "ent:6/per-domain")
{
    uint32_t handle;

    EQ(set_version(1, 2, NULL), 0);
    grant(1, 9, 2, 3, 0);
    EQ(map(2, 1, 9, HOST, A(1), &handle), GNTST_okay);
    EQ(set_version(2, 2, NULL), 0);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 9), GTF_permit_access);
}

/* What a guest does, and what it finds. */
TEST_VERSIONS("a guest can revoke what is not in use",
              "ent:4/create ent:4/revoke-v1 ent:4/revoke-v2 ent:4/in-use")
{
    uint32_t handle;
    uint16_t seen;

    grant(1, 9, 2, 3, 0);
    EQ(map(2, 1, 9, HOST, A(1), &handle), GNTST_okay);
    if (version == 1) {
        seen = v1(1, 9)->flags;
        OK(seen & (GTF_reading | GTF_writing));         /* in use: stop */
        EQ(unmap(2, handle, A(1)), GNTST_okay);
        seen = v1(1, 9)->flags;
        OK(!(seen & (GTF_reading | GTF_writing)));
        OK(__sync_bool_compare_and_swap(&v1(1, 9)->flags, seen, 0));
    } else {
        v2(1, 9)->hdr.flags = 0;
        __sync_synchronize();
        OK(*status2(1, 9) & (GTF_reading | GTF_writing));
        EQ(map(3, 1, 9, HOST, A(1), NULL), GNTST_general_error);
        EQ(unmap(2, handle, A(1)), GNTST_okay);
        EQ(*status2(1, 9), 0);
    }
    EQ(map(2, 1, 9, HOST, A(1), NULL), GNTST_general_error);
    audit_clean();
}

TEST_VERSIONS("a guest can make a grant read-only and writable again",
              "ent:4/to-readonly ent:4/to-writable ent:5-while/readonly")
{
    uint16_t *flags = version == 1 ? &v1(1, 9)->flags : &v2(1, 9)->hdr.flags;
    uint32_t handle;

    grant(1, 9, 2, 3, 0);
    OK(__sync_bool_compare_and_swap(flags, GTF_permit_access, GTF_permit_access | GTF_readonly));
    EQ(map(2, 1, 9, HOST, A(1), NULL), GNTST_general_error);
    EQ(map(2, 1, 9, HOST | GNTMAP_readonly, A(1), &handle), GNTST_okay);
    __sync_fetch_and_and(flags, (uint16_t)~GTF_readonly);
    EQ(map(2, 1, 9, HOST, A(2), &handle), GNTST_okay);
    __sync_fetch_and_or(flags, GTF_readonly);
    EQ(map(2, 1, 9, HOST, A(3), NULL), GNTST_okay);      /* a write pin is there: nobody looks */
}
