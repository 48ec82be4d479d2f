/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: its two sides, their order, sub-pages, transitive grants, batches. */
#include "harness.h"

#include "hv_i.h"

#define HOST GNTMAP_host_map
#define RO GNTMAP_readonly
#define BOTH (GNTCOPY_source_gref | GNTCOPY_dest_gref)

/* One side of an element: of reference (gref) or frame. */
struct side {
    domid_t dom;
    uint64_t number;
    bool gref;
    uint16_t offset;
};

static int copy(domid_t caller, struct side s, struct side d, unsigned len)
{
    struct gnttab_copy op = { .source = { .domid = s.dom, .offset = s.offset },
                              .dest = { .domid = d.dom, .offset = d.offset },
                              .len = (uint16_t)len,
                              .flags = (s.gref ? GNTCOPY_source_gref : 0) | (d.gref ? GNTCOPY_dest_gref : 0) };

    if (s.gref)
        op.source.u.ref = (uint32_t)s.number;
    else
        op.source.u.gmfn = s.number;
    if (d.gref)
        op.dest.u.ref = (uint32_t)d.number;
    else
        op.dest.u.gmfn = d.number;
    return copy_element(caller, op);
}

static struct side ref_of(domid_t dom, uint32_t ref) { return (struct side){ .dom = dom, .number = ref, .gref = true }; }
static struct side own(domid_t dom, uint64_t gfn)
{
    return (struct side){ .dom = DOMID_SELF, .number = number(dom, gfn) };
}
static struct side at(struct side s, unsigned offset)
{
    s.offset = (uint16_t)offset;
    return s;
}

/* Domain 1 grants 2: 8 readable, 9 writable. Contents are by domain and page. */
static void prepare(void)
{
    grant(1, 8, 2, 3, GTF_readonly);
    grant(1, 9, 2, 4, 0);
    for (domid_t dom = 1; dom < 4; dom++)
        for (unsigned gfn = 0; gfn < 16; gfn++)
            memset(page(dom, gfn), (int)(dom * 16 + gfn), 4096);
}

static void nothing_in_use(void)
{
    for (domid_t dom = 1; dom < 4; dom++)
        for (uint32_t ref = 0; ref < 64; ref++) {
            struct hv_entry_info e = entry(dom, ref);

            EQ(e.pin_host_read + e.pin_host_write, 0);
            EQ(e.flags & (GTF_reading | GTF_writing), 0);
        }
    audit_clean();
}

TEST_VERSIONS(every_combination_of_frames_and_references_copies)
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

TEST_KINDS(overlapping_ranges_of_one_page_do_no_harm)
{
    prepare();
    EQ(copy(2, own(2, 6), at(own(2, 6), 1), 4095), GNTST_okay);
    grant(1, 10, 2, 4, 0);
    EQ(copy(2, ref_of(1, 9), at(ref_of(1, 9), 8), 64), GNTST_okay);
    nothing_in_use();
}

TEST_KINDS(a_range_that_runs_into_itself_is_copied_on)
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

TEST_KINDS(an_own_grant_can_be_named_by_self_or_number)
{
    prepare();
    grant(2, 8, 2, 1, 0);
    EQ(copy(2, ref_of(DOMID_SELF, 8), own(2, 3), 8), GNTST_okay);
    EQ(copy(2, ref_of(2, 8), own(2, 3), 8), GNTST_okay);
    grant(2, 8, 1, 1, 0);
    EQ(copy(2, ref_of(DOMID_SELF, 8), own(2, 3), 8), GNTST_general_error);
    nothing_in_use();
}

TEST_KINDS(domains_are_looked_up_before_anything_else)
{
    struct side bad_frame = { .dom = 999, .number = 1 }, own_number = { .dom = 2, .number = number(2, 3) };

    prepare();
    /* A source that does not exist; with a frame too, as a real 4.17.7 says. */
    EQ(copy(2, ref_of(999, 9999), ref_of(999, 9999), 8), GNTST_bad_domain);
    EQ(copy(2, bad_frame, bad_frame, 8), GNTST_bad_domain);
    EQ(copy(2, ref_of(1, 9999), ref_of(999, 9), 8), GNTST_bad_domain);
    EQ(copy(2, (struct side){ .dom = 1, .number = number(1, 3) }, ref_of(999, 9), 8), GNTST_bad_domain);
    EQ(copy(2, own_number, ref_of(999, 9), 8), GNTST_bad_domain);
    EQ(copy(2, ref_of(1, 9999), bad_frame, 8), GNTST_bad_domain);
    /* Frames only of oneself, and not by number; a destination's when the source is there. */
    EQ(copy(2, (struct side){ .dom = 1, .number = number(1, 3) }, ref_of(1, 9), 8), GNTST_permission_denied);
    EQ(copy(2, own_number, ref_of(1, 9), 8), GNTST_permission_denied);
    EQ(copy(2, own_number, own_number, 8), GNTST_permission_denied);
    EQ(copy(2, ref_of(1, 9999), own_number, 8), GNTST_bad_gntref);
    EQ(copy(2, ref_of(1, 8), (struct side){ .dom = 1, .number = number(1, 3) }, 8), GNTST_permission_denied);
    EQ(copy(2, ref_of(1, 8), own_number, 8), GNTST_permission_denied);
    EQ(copy(0, (struct side){ .dom = 1, .number = 1 }, ref_of(1, 9), 8), GNTST_permission_denied);      /* not even he */
    EQ(copy(2, ref_of(DOMID_IO, 8), ref_of(1, 9), 8), GNTST_bad_domain);
    nothing_in_use();
}

TEST_VERSIONS(both_sides_are_acquired_before_bounds_are_looked_at)
{
    uint32_t past = version == 1 ? 512 : 256;

    prepare();
    EQ(copy(2, at(ref_of(1, past), 4090), at(ref_of(1, past), 4090), 4097), GNTST_bad_gntref);
    EQ(copy(2, at(ref_of(1, 8), 4090), at(ref_of(1, past), 0), 4097), GNTST_bad_gntref);
    EQ(copy(2, at(ref_of(1, 8), 4090), at(ref_of(1, 11), 0), 4097), GNTST_general_error);
    EQ(copy(2, at(ref_of(1, 8), 0), at(ref_of(1, 8), 0), 4097), GNTST_general_error);       /* read-only */
    EQ(copy(2, at(ref_of(1, 8), 1), at(ref_of(1, 9), 0), 4096), GNTST_bad_copy_arg);
    EQ(copy(2, at(ref_of(1, 8), 0), at(ref_of(1, 9), 1), 4096), GNTST_bad_copy_arg);
    EQ(copy(2, at(ref_of(1, 8), 65535), at(ref_of(1, 9), 0), 65535), GNTST_bad_copy_arg);
    EQ(copy(2, at(ref_of(1, 8), 0), at(ref_of(1, 9), 0), 4096), GNTST_okay);
    EQ(copy(2, (struct side){ .dom = DOMID_SELF, .number = 0xffffffffff }, own(2, 3), 8), GNTST_bad_page);
    EQ(copy(2, own(2, 3), (struct side){ .dom = DOMID_SELF, .number = 0xffffffffff }, 8), GNTST_bad_page);
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

static void length_zero_is_checked_by_old_hypervisors_only(void)
{
    length_zero(&hv_profile_xen_4_17, GNTST_okay, GNTST_bad_gntref, GNTST_bad_copy_arg);
    length_zero(&hv_profile_xen_4_23, GNTST_okay, GNTST_okay, GNTST_okay);
}

TEST_KINDS(unknown_flags_are_ignored)
{
    struct gnttab_copy op = { .source = { .u.ref = 8, .domid = 1 }, .dest = { .u.ref = 9, .domid = 1 }, .len = 8,
                              .flags = 0xffff };

    prepare();
    EQ(copy_element(2, op), GNTST_okay);
    op.flags = BOTH | 4;
    EQ(copy_element(2, op), GNTST_okay);
}

/* ---- Acquiring -------------------------------------------------------------------------------- */

TEST_KINDS(an_entry_in_use_by_another_domain_cannot_be_copied)
{
    prepare();
    EQ(map(2, 1, 9, HOST, A(1), NULL), GNTST_okay);
    v1(1, 9)->domid = 3;
    EQ(copy(3, ref_of(1, 9), own(3, 1), 8), GNTST_general_error);
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_okay);
    audit_clean();
}

TEST_KINDS(a_full_counter_refuses_copies_too)
{
    prepare();
    for (int i = 0; i < 128; i++)
        EQ(map(2, 1, 9, HOST | RO, A(10 + i), NULL), GNTST_okay);
    EQ(copy(2, ref_of(1, 9), own(2, 1), 8), GNTST_general_error);
    EQ(copy(2, own(2, 1), ref_of(1, 9), 8), GNTST_okay);
    audit_clean();
}

TEST_VERSIONS(a_copy_leaves_the_flags_of_a_mapping)
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

TEST_VERSIONS(a_write_copy_must_find_what_was_recorded)
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

TEST_KINDS(version_1_copies_ignore_the_subpage_bit)
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

TEST_VERSIONS(pages_that_are_out_answer_eagain)
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

/* ---- Sub-pages -------------------------------------------------------------------------------- */

static void grant_sub(domid_t dom, uint32_t ref, domid_t to, uint64_t gfn, unsigned off, unsigned len, uint16_t flags)
{
    v2(dom, ref)->hdr.domid = to;
    v2(dom, ref)->sub_page.page_off = (uint16_t)off;
    v2(dom, ref)->sub_page.length = (uint16_t)len;
    v2(dom, ref)->sub_page.frame = number(dom, gfn);
    v2(dom, ref)->hdr.flags = GTF_permit_access | GTF_sub_page | flags;
}

static void to_v2(void)
{
    for (domid_t id = 1; id < 4; id++)
        EQ(set_version(id, 2, NULL), 0);
    prepare();
}

TEST_KINDS(a_subpage_grant_bounds_both_sides)
{
    static const struct {
        unsigned offset, len;
        int status;
    } cases[] = {
        { 100, 50, GNTST_okay }, { 110, 10, GNTST_okay }, { 149, 1, GNTST_okay }, { 99, 1, GNTST_general_error },
        { 100, 51, GNTST_general_error }, { 150, 1, GNTST_general_error }, { 149, 2, GNTST_general_error },
        { 4090, 7, GNTST_bad_copy_arg }, { 150, 0, GNTST_okay }, { 151, 0, GNTST_general_error },
        { 99, 0, GNTST_general_error },
    };

    to_v2();
    grant_sub(1, 20, 2, 5, 100, 50, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EQ(copy(2, at(ref_of(1, 20), cases[i].offset), own(2, 1), cases[i].len), cases[i].status);
        EQ(copy(2, own(2, 1), at(ref_of(1, 20), cases[i].offset), cases[i].len), cases[i].status);
    }
    EQ(map(2, 1, 20, HOST | RO, A(1), NULL), GNTST_general_error);
    /* More than a page: the page still bounds it. */
    grant_sub(1, 20, 2, 5, 4000, 5000, 0);
    EQ(copy(2, at(ref_of(1, 20), 4090), own(2, 1), 6), GNTST_okay);
    EQ(copy(2, at(ref_of(1, 20), 4090), own(2, 1), 7), GNTST_bad_copy_arg);
    grant_sub(1, 20, 2, 5, 100, 50, GTF_readonly);
    EQ(copy(2, own(2, 1), at(ref_of(1, 20), 100), 1), GNTST_general_error);
    nothing_in_use();
}

/* Its start is kept in 15 bits, but all 16 must be as recorded when a use becomes a write. */
TEST_KINDS(the_start_of_a_subpage_has_15_bits)
{
    to_v2();
    grant_sub(1, 20, 2, 5, 0x8000 + 100, 50, 0);
    EQ(copy(2, at(ref_of(1, 20), 100), own(2, 1), 50), GNTST_okay);
    EQ(copy(2, at(ref_of(1, 20), 99), own(2, 1), 1), GNTST_general_error);
    EQ(copy(2, own(2, 1), at(ref_of(1, 20), 100), 50), GNTST_okay);
    EQ(copy(2, at(ref_of(1, 20), 100), at(ref_of(1, 20), 100), 50), GNTST_general_error);
    grant_sub(1, 20, 2, 5, 100, 50, 0);
    EQ(copy(2, at(ref_of(1, 20), 100), at(ref_of(1, 20), 100), 50), GNTST_okay);
    nothing_in_use();
}

/* Writes another form into the entry between two elements: the status of the first one is being written. */
struct changer {
    uint32_t ref;
    int writes;
    void (*change)(uint32_t ref);
};

static int change_on_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct changer *c = ctx;

    memcpy((void *)(uintptr_t)to, from, size);
    if (++c->writes == 1)
        c->change(c->ref);
    return 0;
}

static int read_all(void *ctx, void *to, uint64_t from, size_t size)
{
    (void)ctx;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

static void batch_with_change(struct gnttab_copy *ops, unsigned n, uint32_t ref, void (*change)(uint32_t ref))
{
    struct changer c = { .ref = ref, .change = change };
    struct hv_guest_memory mem = { .copy_from = read_all, .copy_to = change_on_write, .ctx = &c };
    const uint64_t args[5] = { GNTTABOP_copy, (uintptr_t)ops, n };

    EQ(hv_hypercall(w.hv, 2, __HYPERVISOR_grant_table_op, args, &mem), 0);
}

static struct gnttab_copy element(domid_t sd, uint32_t sref, domid_t dd, uint32_t dref)
{
    return (struct gnttab_copy){ .source = { .u.ref = sref, .domid = sd, .offset = 100 },
                                 .dest = { .u.ref = dref, .domid = dd, .offset = 100 }, .len = 8, .flags = BOTH,
                                 .status = 77 };
}

static void make_full(uint32_t ref)
{
    v2(1, ref)->hdr.flags = GTF_permit_access;
}

static void move_range(uint32_t ref)
{
    v2(1, ref)->sub_page.page_off = 50;
}

static void stretch_range(uint32_t ref)
{
    v2(1, ref)->sub_page.length++;
}

TEST_KINDS(a_subpage_that_changes_while_pinned_is_refused_for_writing)
{
    void (*const changes[])(uint32_t) = { make_full, move_range, stretch_range };

    to_v2();
    for (size_t i = 0; i < 3; i++) {
        /* The source side stays acquired; the same reference becomes the destination after the change. */
        struct gnttab_copy ops[2] = { element(1, 20, 1, 9), element(1, 20, 1, 20) };

        grant_sub(1, 20, 2, 5, 100, 50, 0);
        batch_with_change(ops, 2, 20, changes[i]);
        EQ(ops[0].status, GNTST_okay);
        EQ(ops[1].status, GNTST_general_error);
        nothing_in_use();
    }
}

/* ---- Transitive ------------------------------------------------------------------------------- */

static void grant_trans(domid_t dom, uint32_t ref, domid_t to, domid_t trans, uint32_t trans_ref, uint16_t flags)
{
    v2(dom, ref)->hdr.domid = to;
    v2(dom, ref)->transitive.trans_domid = trans;
    v2(dom, ref)->transitive.gref = trans_ref;
    v2(dom, ref)->hdr.flags = GTF_transitive | flags;
}

TEST_KINDS(a_grant_can_be_passed_on_for_copies)
{
    to_v2();
    grant(1, 20, 3, 6, 0);
    grant_trans(3, 30, 2, 1, 20, 0);
    EQ(copy(2, ref_of(3, 30), own(2, 1), 4096), GNTST_okay);
    EQ(((uint8_t *)page(2, 1))[0], 1 * 16 + 6);
    EQ(copy(2, own(2, 2), ref_of(3, 30), 16), GNTST_okay);
    EQ(((uint8_t *)page(1, 6))[15], 2 * 16 + 2);
    EQ(map(2, 3, 30, HOST | RO, A(1), NULL), GNTST_general_error);
    nothing_in_use();
    /* The inner entry bounds it. */
    grant_sub(1, 20, 3, 6, 10, 10, GTF_readonly);
    EQ(copy(2, at(ref_of(3, 30), 10), own(2, 1), 10), GNTST_okay);
    EQ(copy(2, at(ref_of(3, 30), 9), own(2, 1), 2), GNTST_general_error);
    EQ(copy(2, own(2, 1), at(ref_of(3, 30), 10), 1), GNTST_general_error);
    nothing_in_use();
    /* Back to the caller, and from a granter of version 1. */
    grant(2, 20, 3, 7, 0);
    grant_trans(3, 30, 2, 2, 20, 0);
    EQ(copy(2, ref_of(3, 30), own(2, 1), 16), GNTST_okay);
    EQ(set_version(1, 1, NULL), 0);
    grant(1, 20, 3, 6, 0);
    grant_trans(3, 30, 2, 1, 20, 0);
    EQ(copy(2, ref_of(3, 30), own(2, 1), 16), GNTST_okay);
    nothing_in_use();
}

/* Looks while the status of the copy is written, when its sides are still held. */
static void see_both_in_use(uint32_t ref)
{
    EQ(entry(3, ref).pin_host_read, 1);
    EQ(entry(1, 20).pin_host_read, 1);
    EQ(flags_of(3, ref), GTF_transitive | GTF_reading);
    EQ(flags_of(1, 20), GTF_permit_access | GTF_reading);
    EQ(entry(1, 20).pinned_by, 3);
    EQ(frame(mfn_of(1, 6)).refs, 2);
}

TEST_KINDS(both_entries_of_a_transitive_grant_are_in_use)
{
    struct gnttab_copy op = element(3, 30, 1, 9);

    to_v2();
    grant(1, 20, 3, 6, 0);
    grant_trans(3, 30, 2, 1, 20, 0);
    batch_with_change(&op, 1, 30, see_both_in_use);
    EQ(op.status, GNTST_okay);
    nothing_in_use();
}

TEST_KINDS(a_transitive_grant_is_refused)
{
    static const struct {
        const char *what;
        domid_t trans;
        uint32_t ref;
        int status;
    } cases[] = {
        { "to itself", 3, 8, GNTST_general_error },
        { "to nobody", 999, 8, GNTST_general_error },
        { "to self", DOMID_SELF, 8, GNTST_general_error },
        { "to a bad reference", 1, 9999, GNTST_bad_gntref },
        { "to what is not the middle domain's", 1, 8, GNTST_general_error },
        { "to a second level", 1, 21, GNTST_general_error },
        { "to a page that is out", 1, 22, GNTST_eagain },
        { "to no page", 1, 23, GNTST_bad_page },
    };

    to_v2();
    grant(2, 20, 1, 6, 0);
    grant_trans(1, 21, 3, 2, 20, 0);
    grant(1, 22, 3, 7, 0);
    EQ(hv_page_out(w.hv, 1, 7), 0);
    grant(1, 23, 3, 8, 0);
    v2(1, 23)->full_page.frame = UINT64_MAX;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        grant_trans(3, 30, 2, cases[i].trans, cases[i].ref, 0);
        EQ(copy(2, ref_of(3, 30), own(2, 1), 8), cases[i].status);
        EQ(copy(2, own(2, 1), ref_of(3, 30), 8), cases[i].status);
        nothing_in_use();
    }
    /* Refused at the outer entry already. */
    grant(1, 20, 3, 6, 0);
    grant_trans(3, 30, 1, 1, 20, 0);
    EQ(copy(2, ref_of(3, 30), own(2, 1), 8), GNTST_general_error);
    grant_trans(3, 30, 2, 1, 20, GTF_readonly);
    EQ(copy(2, own(2, 1), ref_of(3, 30), 8), GNTST_general_error);
    EQ(copy(2, ref_of(3, 30), own(2, 1), 8), GNTST_okay);
    nothing_in_use();
}

TEST_KINDS(two_domains_may_grant_through_each_other)
{
    to_v2();
    grant_trans(1, 20, 2, 3, 30, 0);
    grant_trans(3, 30, 1, 1, 20, 0);
    EQ(copy(2, ref_of(1, 20), own(2, 1), 8), GNTST_general_error);
    nothing_in_use();
}

static void pass_on_another(uint32_t ref)
{
    v2(3, ref)->transitive.gref = 21;
}

static void become_transitive(uint32_t ref)
{
    grant_trans(3, ref, 2, 1, 20, 0);
}

TEST_KINDS(a_transitive_grant_that_changes_while_pinned_is_refused)
{
    /* The source stays acquired while the destination changes, as long as both stay with their domains. */
    struct gnttab_copy same[2] = { element(3, 30, 3, 40), element(3, 30, 3, 30) };
    struct gnttab_copy other[2] = { element(3, 30, 3, 40), element(3, 30, 3, 30) };
    struct gnttab_copy turned[2] = { element(3, 31, 3, 40), element(3, 31, 3, 31) };

    to_v2();
    grant(3, 40, 2, 9, 0);
    grant(1, 20, 3, 6, 0);
    grant(1, 21, 3, 7, 0);
    grant_trans(3, 30, 2, 1, 20, 0);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_copy, same, 2), 0);
    EQ(same[0].status, GNTST_okay);
    EQ(same[1].status, GNTST_okay);
    nothing_in_use();
    batch_with_change(other, 2, 30, pass_on_another);
    EQ(other[0].status, GNTST_okay);
    EQ(other[1].status, GNTST_general_error);
    nothing_in_use();
    grant(3, 31, 2, 8, 0);
    batch_with_change(turned, 2, 31, become_transitive);
    EQ(turned[0].status, GNTST_okay);
    EQ(turned[1].status, GNTST_general_error);
    nothing_in_use();
}

/* ---- Batches ---------------------------------------------------------------------------------- */

static void revoke(uint32_t ref)
{
    v1(1, ref)->flags = 0;
}

TEST_KINDS(a_side_stays_acquired_while_it_is_the_same)
{
    struct gnttab_copy ops[4] = { element(1, 8, 1, 9), element(1, 8, 1, 9), element(1, 10, 1, 9), element(1, 8, 1, 9) };

    prepare();
    grant(1, 10, 2, 5, 0);
    batch_with_change(ops, 4, 8, revoke);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_okay);                     /* not looked at again */
    EQ(ops[2].status, GNTST_okay);
    EQ(ops[3].status, GNTST_general_error);            /* released in between */
    nothing_in_use();
}

TEST_KINDS(a_failing_element_releases_both_sides)
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

TEST_KINDS(permissions_are_those_of_each_element)
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

TEST_KINDS(a_number_can_be_reference_and_frame_in_one_batch)
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

TEST_KINDS(a_fault_stops_the_batch_and_releases)
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

static const struct test_case cases[] = {
    { "every combination of frames and references copies", every_combination_of_frames_and_references_copies,
      "ops:6.1/7 ops:6.1/8 ops:6.1/13 ops:6.2/8 ops:6.2/host-pins" },
    { "overlapping ranges of one page do no harm", overlapping_ranges_of_one_page_do_no_harm, "ops:6.4/overlap" },
    { "a range that runs into itself is copied on", a_range_that_runs_into_itself_is_copied_on, "ops:6.4/overlap" },
    { "an own grant can be named by self or number", an_own_grant_can_be_named_by_self_or_number, "ops:0.5/copy-gref" },
    { "domains are looked up before anything else", domains_are_looked_up_before_anything_else,
      "ops:6.1/2 ops:6.1/3 ops:6.1/4 ops:6.1/5 ops:0.5/copy-frame" },
    { "both sides are acquired before bounds are looked at", both_sides_are_acquired_before_bounds_are_looked_at,
      "ops:6.1/10 ops:6.1/bounds-last ops:6.2/1 ops:6.2/4" },
    { "length zero is checked by old hypervisors only", length_zero_is_checked_by_old_hypervisors_only, "ops:6.1/1" },
    { "unknown flags are ignored", unknown_flags_are_ignored, "ops:6/flags" },
    { "an entry in use by another domain cannot be copied", an_entry_in_use_by_another_domain_cannot_be_copied, "ops:6.2/2" },
    { "a full counter refuses copies too", a_full_counter_refuses_copies_too, "ops:6.2/2" },
    { "a copy leaves the flags of a mapping", a_copy_leaves_the_flags_of_a_mapping, "ops:6.2/host-pins" },
    { "a write copy must find what was recorded", a_write_copy_must_find_what_was_recorded,
      "ops:6.2/6 ent:5-while/flips page:1/copy-gref" },
    { "version 1 copies ignore the sub-page bit", version_1_copies_ignore_the_subpage_bit, "ops:1.7/v1-subpage ops:6.2/5" },
    { "pages that are out answer eagain", pages_that_are_out_answer_eagain,
      "ops:6.2/5 page:1/copy-gref page:1/copy-own page:1/repeat page:1/rc" },
    { "a sub-page grant bounds both sides", a_subpage_grant_bounds_both_sides,
      "ops:6.1/11 ops:6.1/12 ops:6.2/sub-range ent:1.3/sub" },
    { "the start of a sub-page has 15 bits", the_start_of_a_subpage_has_15_bits, "ops:6.2/6" },
    { "a sub-page that changes while pinned is refused for writing",
      a_subpage_that_changes_while_pinned_is_refused_for_writing, "ops:6.2/6 ent:5-while/flips" },
    { "a grant can be passed on for copies", a_grant_can_be_passed_on_for_copies,
      "ops:6.2/3 ops:6.3/7 ops:6.3/caller ent:1.3/transitive" },
    { "both entries of a transitive grant are in use", both_entries_of_a_transitive_grant_are_in_use, "ops:6.3/both" },
    { "a transitive grant is refused", a_transitive_grant_is_refused,
      "ops:6.3/1 ops:6.3/2 ops:6.3/3 ops:6.3/4 ops:6.3/5 page:1/transitive" },
    { "two domains may grant through each other", two_domains_may_grant_through_each_other, "ops:6.3/2" },
    { "a transitive grant that changes while pinned is refused",
      a_transitive_grant_that_changes_while_pinned_is_refused, "ops:6.3/6" },
    { "a side stays acquired while it is the same", a_side_stays_acquired_while_it_is_the_same, "ops:6.4/cached" },
    { "a failing element releases both sides", a_failing_element_releases_both_sides, "ops:6.4/released" },
    { "permissions are those of each element", permissions_are_those_of_each_element, "ops:6.1/each" },
    { "a number can be reference and frame in one batch", a_number_can_be_reference_and_frame_in_one_batch, "" },
    { "a fault stops the batch and releases", a_fault_stops_the_batch_and_releases, "ops:0.4/fault" },
    { NULL, NULL, NULL },
};
const struct test_suite suite_copy = { "copy", cases };
