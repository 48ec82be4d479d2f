/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: its two sides, their order, batches. */
#include "scene_copy.h"

#include "hv_i.h"

SUITE("copy");

TEST_VERSIONS("every combination of frames and references copies",
              "ops:6.1/7 ops:6.1/8 ops:6.1/13 ops:6.2/8 ops:6.2/host-pins")
{
    prepare();
    EQ(copy(2, ref_of(1, 8), ref_of(1, 9), 100), GNTST_okay);
    EQ(((uint8_t *)page(1, 4))[99], 1 * 16 + 3);
    EQ(((uint8_t *)page(1, 4))[100], 1 * 16 + 4);
    EQ(copy(2, at(ref_of(1, 8), 10), at(own(2, 1), 4086), 10), GNTST_okay);
    EQ(((uint8_t *)page(2, 1))[4085], 2 * 16 + 1);
    EQ(((uint8_t *)page(2, 1))[4095], 1 * 16 + 3);
    EQ(copy(2, own(2, 5), ref_of(1, 9), 4096), GNTST_okay);
    EQ(((uint8_t *)page(1, 4))[4095], 2 * 16 + 5);
    EQ(copy(2, own(2, 6), own(2, 7), 4096), GNTST_okay);
    EQ(((uint8_t *)page(2, 7))[0], 2 * 16 + 6);
    nothing_in_use();
}

TEST_KINDS("overlapping ranges of one page do no harm", "ops:6.4/overlap")
{
    prepare();
    EQ(copy(2, own(2, 6), at(own(2, 6), 1), 4095), GNTST_okay);
    grant(1, 10, 2, 4, 0);
    EQ(copy(2, ref_of(1, 9), at(ref_of(1, 9), 8), 64), GNTST_okay);
    nothing_in_use();
}

TEST_KINDS("a range that runs into itself is copied on", "ops:6.4/overlap")
{
    uint8_t *start = page(2, 6), *at8 = start + 8;

    prepare();
    for (unsigned i = 0; i < 8; i++)
        start[i] = (uint8_t)i;
    EQ(copy(2, own(2, 6), at(own(2, 6), 8), 20), GNTST_okay);
    for (unsigned i = 0; i < 20; i++)
        EQ(at8[i], i % 8);
    EQ(at8[20], 2 * 16 + 6);
    /* Downwards everything arrives as it was. */
    at8[20] = 99;
    EQ(copy(2, at(own(2, 6), 9), at(own(2, 6), 8), 20), GNTST_okay);
    EQ(at8[0], 1);
    EQ(at8[19], 99);
    nothing_in_use();
}

TEST_KINDS("an own grant can be named by self or number", "ops:0.5/copy-gref")
{
    prepare();
    grant(2, 8, 2, 1, 0);
    EQ(copy(2, ref_of(DOMID_SELF, 8), own(2, 3), 8), GNTST_okay);
    EQ(copy(2, ref_of(2, 8), own(2, 3), 8), GNTST_okay);
    grant(2, 8, 1, 1, 0);
    EQ(copy(2, ref_of(DOMID_SELF, 8), own(2, 3), 8), GNTST_general_error);
    nothing_in_use();
}

TEST_KINDS("domains are looked up before anything else",
           "ops:6.1/2 ops:6.1/3 ops:6.1/4 ops:6.1/5 ops:0.5/copy-frame")
{
    struct side bad_frame = { .dom = 999, .number = 1 },
        own_number = { .dom = 2, .number = number(2, 3) };

    prepare();
    /* A source that does not exist; with a frame too, as a real 4.17.7 says. */
    EQ(copy(2, ref_of(999, 9999), ref_of(999, 9999), 8), GNTST_bad_domain);
    EQ(copy(2, bad_frame, bad_frame, 8), GNTST_bad_domain);
    EQ(copy(2, ref_of(1, 9999), ref_of(999, 9), 8), GNTST_bad_domain);
    EQ(copy(2, (struct side){ .dom = 1, .number = number(1, 3) }, ref_of(999, 9), 8),
       GNTST_bad_domain);
    EQ(copy(2, own_number, ref_of(999, 9), 8), GNTST_bad_domain);
    EQ(copy(2, ref_of(1, 9999), bad_frame, 8), GNTST_bad_domain);
    /* Frames only of oneself, and not by number; a destination's when the source is there. */
    EQ(copy(2, (struct side){ .dom = 1, .number = number(1, 3) }, ref_of(1, 9), 8),
       GNTST_permission_denied);
    EQ(copy(2, own_number, ref_of(1, 9), 8), GNTST_permission_denied);
    EQ(copy(2, own_number, own_number, 8), GNTST_permission_denied);
    EQ(copy(2, ref_of(1, 9999), own_number, 8), GNTST_bad_gntref);
    EQ(copy(2, ref_of(1, 8), (struct side){ .dom = 1, .number = number(1, 3) }, 8),
       GNTST_permission_denied);
    EQ(copy(2, ref_of(1, 8), own_number, 8), GNTST_permission_denied);
    /* not even he */
    EQ(copy(0, (struct side){ .dom = 1, .number = 1 }, ref_of(1, 9), 8), GNTST_permission_denied);
    EQ(copy(2, ref_of(DOMID_IO, 8), ref_of(1, 9), 8), GNTST_bad_domain);
    nothing_in_use();
}

TEST_VERSIONS("both sides are acquired before bounds are looked at",
              "ops:6.1/10 ops:6.1/bounds-last ops:6.2/1 ops:6.2/4")
{
    uint32_t past = version == 1 ? 512 : 256;

    prepare();
    EQ(copy(2, at(ref_of(1, past), 4090), at(ref_of(1, past), 4090), 4097), GNTST_bad_gntref);
    EQ(copy(2, at(ref_of(1, 8), 4090), at(ref_of(1, past), 0), 4097), GNTST_bad_gntref);
    EQ(copy(2, at(ref_of(1, 8), 4090), at(ref_of(1, 11), 0), 4097), GNTST_general_error);
    /* read-only */
    EQ(copy(2, at(ref_of(1, 8), 0), at(ref_of(1, 8), 0), 4097), GNTST_general_error);
    EQ(copy(2, at(ref_of(1, 8), 1), at(ref_of(1, 9), 0), 4096), GNTST_bad_copy_arg);
    EQ(copy(2, at(ref_of(1, 8), 0), at(ref_of(1, 9), 1), 4096), GNTST_bad_copy_arg);
    EQ(copy(2, at(ref_of(1, 8), 65535), at(ref_of(1, 9), 0), 65535), GNTST_bad_copy_arg);
    EQ(copy(2, at(ref_of(1, 8), 0), at(ref_of(1, 9), 0), 4096), GNTST_okay);
    EQ(copy(2, (struct side){ .dom = DOMID_SELF, .number = 0xffffffffff }, own(2, 3), 8),
       GNTST_bad_page);
    EQ(copy(2, own(2, 3), (struct side){ .dom = DOMID_SELF, .number = 0xffffffffff }, 8),
       GNTST_bad_page);
    nothing_in_use();
}

static void length_zero(const struct hv_profile *profile, int nothing, int bad_ref, int bad_bounds)
{
    world_up(PV, profile);
    prepare();
    EQ(copy(2, ref_of(1, 8), ref_of(1, 9), 0), nothing);
    EQ(copy(2, ref_of(1, 9999), ref_of(1, 9), 0), bad_ref);
    EQ(copy(2, at(ref_of(1, 8), 4096), at(ref_of(1, 9), 4096), 0), GNTST_okay);
    EQ(copy(2, at(ref_of(1, 8), 4097), at(ref_of(1, 9), 0), 0), bad_bounds);
    nothing_in_use();
    world_down();
}

TEST("length zero is checked by old hypervisors only", "ops:6.1/1")
{
    length_zero(&hv_profile_xen_4_17, GNTST_okay, GNTST_bad_gntref, GNTST_bad_copy_arg);
    length_zero(&hv_profile_xen_4_20, GNTST_okay, GNTST_okay, GNTST_okay);
    length_zero(&hv_profile_xen_4_23, GNTST_okay, GNTST_okay, GNTST_okay);
}

TEST_KINDS("unknown flags are ignored", "ops:6/flags")
{
    struct gnttab_copy op = { .source = { .u.ref = 8, .domid = 1 },
                              .dest = { .u.ref = 9, .domid = 1 }, .len = 8, .flags = 0xffff };

    prepare();
    EQ(copy_element(2, op), GNTST_okay);
    op.flags = BOTH | 4;
    EQ(copy_element(2, op), GNTST_okay);
}

/* ---- Acquiring ------------------------------------------------------------------------------- */

TEST_KINDS("an entry in use by another domain cannot be copied", "ops:6.2/2")
{
    prepare();
    EQ(map(2, 1, 9, HOST, A(1), NULL), GNTST_okay);
    v1(1, 9)->domid = 3;
    EQ(copy(3, ref_of(1, 9), own(3, 1), 8), GNTST_general_error);
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_okay);
    audit_clean();
}

TEST_KINDS("a full counter refuses copies too", "ops:6.2/2")
{
    prepare();
    for (int i = 0; i < 128; i++)
        EQ(map(2, 1, 9, HOST | RO, A(10 + i), NULL), GNTST_okay);
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_general_error);
    EQ(copy(2, own(2, 1), ref_of(1, 9), 8), GNTST_okay);
    audit_clean();
}

TEST_VERSIONS("a copy leaves the flags of a mapping", "ops:6.2/host-pins")
{
    uint32_t handle;

    prepare();
    EQ(map(2, 1, 9, HOST | RO, A(1), &handle), GNTST_okay);
    EQ(copy(2, ref_of(1, 9), ref_of(1, 9), 8), GNTST_okay);
    EQ(flags_of(1, 9), GTF_permit_access | GTF_reading);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(map(2, 1, 9, HOST, A(1), &handle), GNTST_okay);
    EQ(copy(2, own(2, 1), ref_of(1, 9), 8), GNTST_okay);
    EQ(flags_of(1, 9), GTF_permit_access | GTF_reading | GTF_writing);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 9), GTF_permit_access);
    if (kind == PV) {
        uint64_t bus;

        EQ(map_dev(2, 1, 9, 0, &handle, &bus), GNTST_okay);
        EQ(copy(2, own(2, 1), ref_of(1, 9), 8), GNTST_okay);
        EQ(flags_of(1, 9), GTF_permit_access | GTF_reading | GTF_writing);
        EQ(unmap_parts(2, handle, 0, bus), GNTST_okay);
    }
    nothing_in_use();
}

TEST_VERSIONS("a write copy must find what was recorded",
              "ops:6.2/6 ent:5-while/flips page:1/copy-gref")
{
    uint32_t handle;

    prepare();
    EQ(map(2, 1, 9, HOST | RO, A(1), &handle), GNTST_okay);
    grant(1, 9, 2, 5, version == 1 ? GTF_reading : 0);           /* another frame (XSA-500) */
    EQ(copy(2, own(2, 1), ref_of(1, 9), 8), GNTST_general_error);
    EQ(((uint8_t *)page(1, 5))[0], 1 * 16 + 5);
    EQ(((uint8_t *)page(1, 4))[0], 1 * 16 + 4);
    EQ(flags_of(1, 9), GTF_permit_access | GTF_reading);
    audit_clean();
    /* A read uses what is recorded. */
    EQ(copy(2, ref_of(1, 9), own(2, 2), 8), GNTST_okay);
    EQ(((uint8_t *)page(2, 2))[0], 1 * 16 + 4);
    /* Paged out, or gone: found out when the frame is looked up again. */
    EQ(hv_page_out(w.hv, 1, 5), 0);
    EQ(copy(2, own(2, 1), ref_of(1, 9), 8), GNTST_eagain);
    EQ(flags_of(1, 9), GTF_permit_access | GTF_reading);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    nothing_in_use();
}

TEST_KINDS("version 1 copies ignore the sub-page bit", "ops:1.7/v1-subpage ops:6.2/5")
{
    prepare();
    v1(1, 9)->flags |= GTF_sub_page;
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_okay);
    v1(1, 9)->flags = GTF_transitive;
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_general_error);
    v1(1, 9)->flags = GTF_accept_transfer;
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_general_error);
    v1(1, 9)->flags = 0;
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_general_error);
}

TEST_VERSIONS("pages that are out answer eagain",
              "ops:6.2/5 page:1/copy-gref page:1/copy-own page:1/repeat page:1/rc")
{
    prepare();
    EQ(hv_page_out(w.hv, 1, 3), 0);
    EQ(hv_page_out(w.hv, 1, 4), 0);
    EQ(hv_page_out(w.hv, 2, 1), 0);
    EQ(copy(2, ref_of(1, 8), own(2, 2), 8), GNTST_eagain);
    EQ(copy(2, own(2, 2), ref_of(1, 9), 8), GNTST_eagain);
    EQ(w.populates, 2);
    EQ(copy(2, own(2, 1), own(2, 2), 8), GNTST_eagain);
    EQ(copy(2, own(2, 2), own(2, 1), 8), GNTST_eagain);
    EQ(w.populates, 4);                              /* the domain itself asks each time */
    EQ(copy(2, ref_of(1, 8), own(2, 2), 8), GNTST_eagain);
    EQ(w.populates, 4);                              /* others once per page-out */
    nothing_in_use();
    EQ(hv_page_in(w.hv, 1, 3), 0);
    EQ(copy(2, ref_of(1, 8), own(2, 2), 8), GNTST_okay);
    EQ(((uint8_t *)page(2, 2))[0], 1 * 16 + 3);
}

/* ---- Batches --------------------------------------------------------------------------------- */

static void revoke(uint32_t ref)
{
    v1(1, ref)->flags = 0;
}

TEST_KINDS("a side stays acquired while it is the same", "ops:6.4/cached")
{
    struct gnttab_copy ops[4] = { element(1, 8, 1, 9), element(1, 8, 1, 9), element(1, 10, 1, 9),
                                  element(1, 8, 1, 9) };

    prepare();
    grant(1, 10, 2, 5, 0);
    batch_with_change(ops, 4, 8, revoke);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_okay);                     /* not looked at again */
    EQ(ops[2].status, GNTST_okay);
    EQ(ops[3].status, GNTST_general_error);            /* released in between */
    nothing_in_use();
}

TEST_KINDS("a failing element releases both sides", "ops:6.4/released")
{
    struct gnttab_copy ops[3] = { element(1, 8, 1, 9), element(1, 8, 1, 9), element(1, 8, 1, 9) };

    prepare();
    ops[1].len = 4097;
    batch_with_change(ops, 3, 8, revoke);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_bad_copy_arg);
    EQ(ops[2].status, GNTST_general_error);
    nothing_in_use();
}

TEST_KINDS("permissions are those of each element", "ops:6.1/each")
{
    struct gnttab_copy ops[3] = { element(1, 8, 1, 9), element(1, 8, 1, 9), element(1, 8, 1, 9) };

    prepare();
    ops[1].flags = GNTCOPY_dest_gref;                  /* the same domain, now a frame of it */
    ops[1].source.u.gmfn = number(1, 5);
    ops[2].flags = GNTCOPY_source_gref;
    ops[2].dest.u.gmfn = number(1, 5);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_copy, ops, 3), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_permission_denied);
    EQ(ops[2].status, GNTST_permission_denied);
    nothing_in_use();
}

TEST_KINDS("a number can be reference and frame in one batch")
{
    struct gnttab_copy ops[2] = { element(DOMID_SELF, 0, 1, 9), element(DOMID_SELF, 0, 1, 9) };
    uint32_t same = (uint32_t)number(2, 1);

    prepare();
    OK(same < 512);
    grant(2, same, 2, 2, 0);
    ops[0].source.u.gmfn = same;
    ops[1].source.u.gmfn = same;
    ops[1].flags = GNTCOPY_dest_gref;
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_copy, ops, 1), 0);
    EQ(((uint8_t *)page(1, 4))[100], 2 * 16 + 2);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_copy, ops, 2), 0);
    EQ(ops[1].status, GNTST_okay);
    EQ(((uint8_t *)page(1, 4))[100], 2 * 16 + 1);
    v1(2, same)->flags = 0;
    nothing_in_use();
}

TEST_KINDS("a fault stops the batch and releases", "ops:0.4/fault")
{
    struct gnttab_copy ops[3] = { element(1, 8, 1, 9), element(1, 8, 1, 9), element(1, 8, 1, 9) };
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 2) };

    prepare();
    EQ(grant_op_in(2, GNTTABOP_copy, (uintptr_t)ops, 3, &win), -EFAULT);
    EQ(ops[1].status, GNTST_okay);
    EQ(ops[2].status, 77);
    win.fail_write_after = 1;
    ops[0].status = 77;
    EQ(grant_op_in(2, GNTTABOP_copy, (uintptr_t)ops, 1, &win), -EFAULT);
    EQ(ops[0].status, 77);
    nothing_in_use();
}
