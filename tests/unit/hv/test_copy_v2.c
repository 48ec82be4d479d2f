/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy and what only entries of version 2 have: sub-pages and transitive grants. */
#include "scene_copy.h"

#include "hv_i.h"

SUITE("copy-v2");

/* ---- Sub-pages ------------------------------------------------------------------------------- */

static void grant_sub(domid_t dom, uint32_t ref, domid_t to, uint64_t gfn, unsigned off,
                      unsigned len, uint16_t flags)
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

TEST_KINDS("a sub-page grant bounds both sides",
           "ops:6.1/11 ops:6.1/12 ops:6.2/sub-range ent:1.3/sub")
{
    static const struct {
        unsigned offset, len;
        int status;
    } cases[] = {
        { 100, 50, GNTST_okay }, { 110, 10, GNTST_okay }, { 149, 1, GNTST_okay },
        { 99, 1, GNTST_general_error },
        { 100, 51, GNTST_general_error }, { 150, 1, GNTST_general_error },
        { 149, 2, GNTST_general_error },
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
TEST_KINDS("the start of a sub-page has 15 bits", "ops:6.2/6")
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

TEST_KINDS("a sub-page that changes while pinned is refused for writing",
           "ops:6.2/6 ent:5-while/flips")
{
    void (*const changes[])(uint32_t) = { make_full, move_range, stretch_range };

    to_v2();
    for (size_t i = 0; i < 3; i++) {
        /* The source side stays acquired; the same reference becomes the destination after the
         * change. */
        struct gnttab_copy ops[2] = { element(1, 20, 1, 9), element(1, 20, 1, 20) };

        grant_sub(1, 20, 2, 5, 100, 50, 0);
        batch_with_change(ops, 2, 20, changes[i]);
        EQ(ops[0].status, GNTST_okay);
        EQ(ops[1].status, GNTST_general_error);
        nothing_in_use();
    }
}

/* ---- Transitive ------------------------------------------------------------------------------ */

static void grant_trans(domid_t dom, uint32_t ref, domid_t to, domid_t trans, uint32_t trans_ref,
                        uint16_t flags)
{
    v2(dom, ref)->hdr.domid = to;
    v2(dom, ref)->transitive.trans_domid = trans;
    v2(dom, ref)->transitive.gref = trans_ref;
    v2(dom, ref)->hdr.flags = GTF_transitive | flags;
}

TEST_KINDS("a grant can be passed on for copies",
           "ops:6.2/3 ops:6.3/7 ops:6.3/caller ent:1.3/transitive")
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

TEST_KINDS("both entries of a transitive grant are in use", "ops:6.3/both")
{
    struct gnttab_copy op = element(3, 30, 1, 9);

    to_v2();
    grant(1, 20, 3, 6, 0);
    grant_trans(3, 30, 2, 1, 20, 0);
    batch_with_change(&op, 1, 30, see_both_in_use);
    EQ(op.status, GNTST_okay);
    nothing_in_use();
}

TEST_KINDS("a transitive grant is refused",
           "ops:6.3/1 ops:6.3/2 ops:6.3/3 ops:6.3/4 ops:6.3/5 page:1/transitive")
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

TEST_KINDS("two domains may grant through each other", "ops:6.3/2")
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

TEST_KINDS("a transitive grant that changes while pinned is refused", "ops:6.3/6")
{
    /* The source stays acquired while the destination changes, as long as both stay with their
     * domains. */
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
