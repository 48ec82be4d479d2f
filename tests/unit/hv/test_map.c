/* SPDX-License-Identifier: MIT */
/* GNTTABOP_map_grant_ref: who may map what, in which order it is found out, and what a mapping holds. */
#include "harness.h"

#include "hv_i.h"

#define HOST GNTMAP_host_map
#define DEV GNTMAP_device_map
#define RO GNTMAP_readonly

/* An element that fails leaves handle and bus address as they came in. */
static int refused(domid_t ld, domid_t rd, uint32_t ref, uint32_t flags, uint64_t addr)
{
    struct gnttab_map_grant_ref op = map_op(ld, rd, ref, flags, addr);

    EQ(op.handle, 0x77);
    EQ(op.dev_bus_addr, 0x99);
    audit_clean();
    return op.status;
}

/* The number that the next successful mapping gets: tells whether a failed one used up a position. */
static uint32_t next_handle(domid_t ld)
{
    uint32_t handle;

    grant(3, 200, ld, 15, 0);
    EQ(map(ld, 3, 200, HOST | RO, A(800), &handle), GNTST_okay);
    EQ(unmap(ld, handle, A(800)), GNTST_okay);
    return handle;
}

TEST_VERSIONS(checks_come_in_xens_order)
{
    uint32_t past = version == 1 ? 512 : 256;

    grant(1, 8, 2, 3, 0);
    /* Each case would fail the later checks too. */
    EQ(refused(2, 999, past, 0, A(1)), GNTST_bad_gntref);
    EQ(refused(2, 999, past, GNTMAP_application_map, A(1)), GNTST_bad_gntref);
    if (kind == HVM) {
        EQ(refused(2, 999, past, HOST | DEV, A(1)), GNTST_general_error);
        EQ(refused(2, 999, past, HOST | GNTMAP_application_map, A(1)), GNTST_general_error);
        EQ(refused(2, 999, past, HOST | GNTMAP_contains_pte, A(1)), GNTST_general_error);
    }
    EQ(refused(2, 999, past, HOST, A(1)), GNTST_bad_domain);
    EQ(refused(2, DOMID_SELF, past, HOST, A(1)), GNTST_bad_domain);
    EQ(refused(2, DOMID_IO, past, HOST, A(1)), GNTST_bad_domain);
    EQ(next_handle(2), 0);                                              /* nothing so far took a handle */
    EQ(refused(2, 1, past, HOST, A(1)), GNTST_bad_gntref);
    EQ(refused(2, 1, UINT32_MAX, HOST, A(1)), GNTST_bad_gntref);
    EQ(next_handle(2), 3);                                              /* each of those two took one */
    EQ(refused(2, 1, 9, HOST, A(1)), GNTST_general_error);
    EQ(next_handle(2), 5);
}

TEST_KINDS(without_a_handle_left_there_is_no_space)
{
    struct hv_domain_config config;

    hv_domain_config_init(&config);
    config.auto_translated = kind == HVM;
    config.max_maptrack_frames = 0;
    EQ(add_domain_with(5, &config), 0);
    EQ(refused(5, 999, 99999, HOST, A(1)), GNTST_bad_domain);           /* found out before */
    EQ(refused(5, 1, 99999, HOST, A(1)), GNTST_no_space);               /* and this after */
}

TEST_VERSIONS(an_entry_must_permit_access_to_the_caller)
{
    static const struct {
        const char *what;
        uint16_t flags;
        domid_t domid;
        uint32_t map;
        int status;
    } cases[] = {
        { "nothing", GTF_invalid, 2, HOST, GNTST_general_error },
        { "a transfer", GTF_accept_transfer, 2, HOST, GNTST_general_error },
        { "transitive", GTF_transitive, 2, HOST, GNTST_general_error },
        { "a sub-page", GTF_permit_access | GTF_sub_page, 2, HOST, GNTST_general_error },
        { "somebody else's", GTF_permit_access, 3, HOST, GNTST_general_error },
        { "read-only, to write", GTF_permit_access | GTF_readonly, 2, HOST, GNTST_general_error },
        { "read-only, to read", GTF_permit_access | GTF_readonly, 2, HOST | RO, GNTST_okay },
        { "for all, to read", GTF_permit_access, 2, HOST | RO, GNTST_okay },
        { "with cache bits", GTF_permit_access | GTF_PWT | GTF_PCD | GTF_PAT, 2, HOST, GNTST_okay },
        { "with unknown bits", GTF_permit_access | 0xfe00, 2, HOST, GNTST_okay },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t ref = 20 + (uint32_t)i, handle;
        uint16_t reading = GTF_reading | (cases[i].map & RO ? 0 : GTF_writing);

        grant(1, ref, cases[i].domid, 3, 0);
        if (version == 1)
            v1(1, ref)->flags = cases[i].flags;
        else
            v2(1, ref)->hdr.flags = cases[i].flags;
        EQ(map(2, 1, ref, cases[i].map, A(10 + i), &handle), cases[i].status);
        EQ(flags_of(1, ref), cases[i].flags | (cases[i].status ? 0 : reading));
        if (version == 2)
            EQ(*status2(1, ref), cases[i].status ? 0 : reading);
        if (!cases[i].status)
            EQ(unmap(2, handle, A(10 + i)), GNTST_okay);
        EQ(flags_of(1, ref), cases[i].flags);
        audit_clean();
    }
}

/* ---- A guest that does not hold still --------------------------------------------------------- */

struct flipper {
    unsigned left, calls;
    uint32_t ref;
};

/* Changes a bit that nobody looks at, so that the exchange fails and the checks do not. */
static void flip_unused_bit(void *ctx)
{
    struct flipper *f = ctx;

    f->calls++;
    if (f->left) {
        f->left--;
        v1(1, f->ref)->flags ^= 0x8000;
    }
}

TEST_KINDS(the_fifth_failed_exchange_is_an_error)
{
    struct flipper f = { .left = 4, .ref = 8 };
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    race(flip_unused_bit, &f);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(f.calls, 5);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    f = (struct flipper){ .left = UINT32_MAX, .ref = 8 };
    EQ(refused(2, 1, 8, HOST, A(1)), GNTST_general_error);
    EQ(f.calls, 5);
    EQ(flags_of(1, 8) & (GTF_reading | GTF_writing), 0);
}

/* What the entry becomes after the first look, and what that makes of the mapping. */
struct change {
    uint16_t flags;
    domid_t domid;
    bool done;
};

static void change_entry(void *ctx)
{
    struct change *c = ctx;

    if (c->done)
        return;
    c->done = true;
    if (info(1).grant_version == 1) {
        v1(1, 8)->flags = c->flags;
        v1(1, 8)->domid = c->domid;
    } else {
        v2(1, 8)->hdr.flags = c->flags;
        v2(1, 8)->hdr.domid = c->domid;
    }
}

TEST_VERSIONS(an_entry_that_changes_during_the_look_is_looked_at_again)
{
    static const struct {
        uint16_t flags;
        domid_t domid;
        uint32_t map;
    } cases[] = {
        { GTF_invalid, 2, HOST }, { GTF_permit_access, 3, HOST }, { GTF_permit_access | GTF_readonly, 2, HOST },
        { GTF_transitive, 2, HOST | RO }, { GTF_permit_access | GTF_sub_page, 2, HOST | RO },
        { GTF_accept_transfer, 2, HOST | RO },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct change c = { .flags = cases[i].flags, .domid = cases[i].domid };

        grant(1, 8, 2, 3, 0);
        race(change_entry, &c);
        EQ(refused(2, 1, 8, cases[i].map, A(1)), GNTST_general_error);
        OK(c.done);
        EQ(flags_of(1, 8), cases[i].flags);       /* in version 2 both bits are cleared again */
        race(NULL, NULL);
    }
}

TEST_VERSIONS(an_upgrade_to_writing_minds_only_the_readonly_flag)
{
    struct change c = { .flags = GTF_permit_access | GTF_readonly, .domid = 2 };
    uint32_t read, write;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST | RO, A(1), &read), GNTST_okay);
    /* Set before: refused, the status stays as it is. */
    grant(1, 8, 2, 3, GTF_readonly | (version == 1 ? GTF_reading : 0));
    EQ(refused(2, 1, 8, HOST, A(2)), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access | GTF_readonly | GTF_reading);
    /* Set in between: writing goes again, reading stays. */
    grant(1, 8, 2, 3, version == 1 ? GTF_reading : 0);
    if (version == 1)
        c.flags |= GTF_reading;
    race(change_entry, &c);
    EQ(refused(2, 1, 8, HOST, A(2)), GNTST_general_error);
    race(NULL, NULL);
    EQ(flags_of(1, 8), GTF_permit_access | GTF_readonly | GTF_reading);
    /* Another type and another domid do not matter any more. */
    if (version == 1) {
        v1(1, 8)->flags = GTF_reading;
        v1(1, 8)->domid = 3;
    } else {
        v2(1, 8)->hdr.flags = 0;
        v2(1, 8)->hdr.domid = 3;
    }
    EQ(map(2, 1, 8, HOST, A(2), &write), GNTST_okay);
    EQ(flags_of(1, 8), GTF_reading | GTF_writing);
    EQ(unmap(2, write, A(2)), GNTST_okay);
    EQ(flags_of(1, 8), GTF_reading);
    EQ(unmap(2, read, A(1)), GNTST_okay);
    EQ(flags_of(1, 8), 0);
}

/* ---- What a pin means ------------------------------------------------------------------------- */

TEST_VERSIONS(while_pinned_the_frame_of_the_first_pin_counts)
{
    uint64_t mfn = mfn_of(1, 3);
    struct gnttab_map_grant_ref op;
    uint32_t handles[4];

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handles[0]), GNTST_okay);
    /* Another frame, then nothing at all, then another domain's. */
    grant(1, 8, 2, 4, version == 1 ? GTF_reading | GTF_writing : 0);
    op = map_op(2, 1, 8, HOST | RO, A(2));
    EQ(op.status, GNTST_okay);
    EQ(op.dev_bus_addr, mfn * HV_PAGE_SIZE);
    handles[1] = op.handle;
    grant(1, 8, 3, 4, 0);
    if (version == 1)
        v1(1, 8)->flags = 0;
    else
        v2(1, 8)->hdr.flags = 0;
    op = map_op(2, 1, 8, HOST, A(3));
    EQ(op.status, GNTST_okay);
    EQ(op.dev_bus_addr, mfn * HV_PAGE_SIZE);
    handles[2] = op.handle;
    EQ(entry(1, 8).pin_host_write, 2);
    EQ(entry(1, 8).pin_host_read, 1);
    EQ(frame(mfn).refs, 4);
    /* Even if the entry now names domain 3, it is domain 2's while it is in use. */
    grant(1, 8, 3, 4, 0);
    EQ(map(3, 1, 8, HOST | RO, A(1), NULL), GNTST_general_error);
    for (int i = 0; i < 3; i++)
        EQ(unmap(2, handles[i], A(1 + i)), GNTST_okay);
    EQ(map(3, 1, 8, HOST | RO, A(1), &handles[3]), GNTST_okay);
    EQ(entry(1, 8).mfn, mfn_of(1, 4));
    EQ(entry(1, 8).pinned_by, 3);
    audit_hostile_clean();
}

TEST_VERSIONS(an_entry_that_is_not_the_guests_any_more_cannot_be_pinned_anew)
{
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    if (version == 1)
        v1(1, 8)->flags = 0;
    else
        v2(1, 8)->hdr.flags = 0;
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_general_error);
    EQ(flags_of(1, 8), 0);
}

TEST_KINDS(one_kind_of_mapping_can_be_there_128_times)
{
    static const uint32_t kinds[] = { HOST, HOST | RO, DEV, DEV | RO };
    uint32_t handles[4][128];

    grant(1, 8, 2, 3, 0);
    for (int k = 0; k < (kind == PV ? 4 : 2); k++) {
        for (int i = 0; i < 128; i++) {
            if (kinds[k] & HOST && i < 128)
                EQ(map(2, 1, 8, kinds[k], A(1000 + k * 200 + i), &handles[k][i]), GNTST_okay);
            else
                EQ(map(2, 1, 8, kinds[k], 0, &handles[k][i]), GNTST_okay);
        }
        EQ(map(2, 1, 8, kinds[k], A(3), NULL), GNTST_general_error);
        audit_clean();
    }
    EQ(entry(1, 8).pin_host_write, 128);
    EQ(entry(1, 8).pin_host_read, 128);
    EQ(entry(1, 8).pin_dev_read, kind == PV ? 128 : 0);
    EQ(unmap(2, handles[1][7], A(1200 + 7)), GNTST_okay);
    EQ(map(2, 1, 8, HOST, A(3), NULL), GNTST_general_error);             /* the counters are separate */
    EQ(map(2, 1, 8, HOST | RO, A(3), NULL), GNTST_okay);
}

TEST_KINDS(both_parts_need_room_in_both_counters)
{
    if (kind == HVM)
        return;
    grant(1, 8, 2, 3, 0);
    for (int i = 0; i < 128; i++)
        EQ(map(2, 1, 8, DEV, 0, NULL), GNTST_okay);
    EQ(refused(2, 1, 8, DEV | HOST, A(1)), GNTST_general_error);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
}

/* ---- References ------------------------------------------------------------------------------- */

TEST_KINDS(each_part_takes_its_references)
{
    static const struct {
        uint32_t flags;
        unsigned refs, pv_types, hvm_types, loop_types;
    } cases[] = {
        { HOST | RO, 1, 0, 0, 0 }, { HOST, 1, 1, 0, 1 }, { DEV | RO, 1, 0, 0, 0 }, { DEV, 1, 1, 1, 1 },
        { HOST | DEV | RO, 2, 0, 0, 0 }, { HOST | DEV, 2, 2, 1, 2 },
    };
    uint64_t mfn = mfn_of(1, 3), own;

    /* The granter's kind decides about types; a PV domain maps. */
    EQ(add_domain(5, PV, false, 4), 0);
    grant(1, 8, 5, 3, 0);
    grant(5, 8, 5, 2, 0);
    own = mfn_of(5, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned types = kind == PV ? cases[i].pv_types : cases[i].hvm_types;
        struct gnttab_map_grant_ref op = map_op(5, 1, 8, cases[i].flags, A(1));
        struct hv_domain_info before = info(1);

        EQ(op.status, GNTST_okay);
        EQ(op.dev_bus_addr, mfn * HV_PAGE_SIZE);
        EQ(frame(mfn).refs, 1 + cases[i].refs);
        EQ(frame(mfn).writable_types, types);
        EQ(frame(mfn).owner, 1);
        EQ(before.tot_pages, 16);
        audit_clean();
        EQ(unmap_parts(5, op.handle, A(1), op.dev_bus_addr), GNTST_okay);
        EQ(frame(mfn).refs, 1);
        EQ(frame(mfn).writable_types, 0);
        op = map_op(5, 5, 8, cases[i].flags, A(1));
        EQ(op.status, GNTST_okay);
        EQ(frame(own).refs, 1 + cases[i].refs);
        EQ(frame(own).writable_types, cases[i].loop_types);
        EQ(unmap_parts(5, op.handle, A(1), op.dev_bus_addr), GNTST_okay);
    }
}

TEST_PV(a_refused_host_mapping_undoes_everything)
{
    uint64_t mfn = mfn_of(1, 3);

    grant(1, 8, 2, 3, 0);
    EQ(refused(2, 1, 8, HOST, A(1) + 1), GNTST_general_error);           /* not aligned */
    EQ(refused(2, 1, 8, HOST | DEV, A(1) + 8), GNTST_general_error);
    EQ(refused(2, 1, 8, HOST | GNTMAP_contains_pte, A(1) + 4), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access);
    EQ(frame(mfn).refs, 1);
    EQ(frame(mfn).writable_types, 0);
    EQ(map(2, 1, 8, HOST | GNTMAP_contains_pte, A(1) + 8, NULL), GNTST_okay);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(refused(2, 1, 8, HOST, A(1)), GNTST_general_error);               /* in use */
    EQ(refused(2, 1, 8, HOST | RO, A(1)), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access | GTF_reading | GTF_writing);
    EQ(frame(mfn).refs, 3);
    audit_clean();
}

TEST_KINDS(a_readonly_failure_does_not_clear_writing)
{
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    if (kind == PV)
        EQ(map(2, 1, 8, HOST | RO, A(1), NULL), GNTST_general_error);
    else
        EQ(map(2, 1, 8, HOST | RO | 0x10000, A(2), NULL), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access | GTF_reading | GTF_writing);
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
}

/* A guest may set the bits itself: a read-only use takes away only what it put there. */
TEST_VERSIONS(a_readonly_use_leaves_the_guests_own_writing_bit)
{
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    if (version == 1)
        v1(1, 8)->flags |= GTF_writing;
    else
        *status2(1, 8) |= GTF_writing;
    EQ(map(2, 1, 8, HOST | RO, A(1), &handle), GNTST_okay);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 8), GTF_permit_access | GTF_writing);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 8), GTF_permit_access);
}

TEST_VERSIONS(bits_that_the_guest_clears_are_not_put_back)
{
    uint32_t handle, other;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    if (version == 1)
        v1(1, 8)->flags = GTF_permit_access;
    else
        *status2(1, 8) = 0;
    EQ(map(2, 1, 8, HOST | RO, A(2), &other), GNTST_okay);
    EQ(flags_of(1, 8), GTF_permit_access);
    EQ(unmap(2, other, A(2)), GNTST_okay);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 8), GTF_permit_access);
}

/* ---- What frames can be mapped ---------------------------------------------------------------- */

TEST_HVM(an_auto_translated_granter_names_gfns)
{
    static const struct {
        const char *what;
        uint64_t gfn;
        int status;
    } cases[] = {
        { "memory", 3, GNTST_okay }, { "a hole", 40, GNTST_bad_page }, { "no frame at all", 0xfffffff0u, GNTST_bad_page },
        { "paged out", 5, GNTST_eagain }, { "a grant", 0x500, GNTST_bad_page },
    };
    uint32_t handle;

    EQ(hv_page_out(w.hv, 1, 5), 0);
    grant(3, 8, 1, 1, 0);
    EQ(map(1, 3, 8, HOST, 0x500 * 4096, NULL), GNTST_okay);
    for (int readonly = 0; readonly <= 1; readonly++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            uint32_t ref = 20 + (uint32_t)i;

            *v1(1, ref) = (grant_entry_v1_t){ GTF_permit_access, 2, (uint32_t)cases[i].gfn };
            EQ(map(2, 1, ref, HOST | (readonly ? RO : 0), A(10 + i), &handle), cases[i].status);
            if (!cases[i].status)
                EQ(unmap(2, handle, A(10 + i)), GNTST_okay);
            EQ(flags_of(1, ref), GTF_permit_access);
            audit_clean();
        }
}

TEST_PV(a_pv_granter_names_frames_that_it_owns)
{
    const struct {
        const char *what;
        uint64_t mfn;
        int status;
    } cases[] = {
        { "its own", mfn_of(1, 3), GNTST_okay }, { "another's", mfn_of(3, 3), GNTST_bad_page },
        { "frame 0", 0, GNTST_bad_page }, { "a free one", w.nr_frames - 1, GNTST_bad_page },
        { "none", w.nr_frames, GNTST_bad_page }, { "far out", 0xffffffffu, GNTST_bad_page },
        { "its grant frame", hv_grant_frame_mfn(w.hv, 1, 0), GNTST_okay },
        { "another's grant frame", hv_grant_frame_mfn(w.hv, 3, 0), GNTST_bad_page },
    };
    uint32_t handle;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t ref = 20 + (uint32_t)i;

        *v1(1, ref) = (grant_entry_v1_t){ GTF_permit_access, 2, (uint32_t)cases[i].mfn };
        EQ(map(2, 1, ref, HOST, A(10 + i), &handle), cases[i].status);
        audit_clean();
        if (!cases[i].status)
            EQ(unmap(2, handle, A(10 + i)), GNTST_okay);
        EQ(flags_of(1, ref), GTF_permit_access);
    }
    /* 64 bits in version 2. */
    EQ(set_version(1, 2, NULL), 0);
    grant(1, 20, 2, 3, 0);
    v2(1, 20)->full_page.frame |= UINT64_C(1) << 32;
    EQ(map(2, 1, 20, HOST, A(1), NULL), GNTST_bad_page);
}

/* ---- Where an auto-translated caller puts it -------------------------------------------------- */

TEST_HVM(a_mapping_replaces_what_is_at_its_gfn)
{
    uint64_t old = mfn_of(2, 6), paged = mfn_of(2, 7), out;
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(hv_page_out(w.hv, 2, 7), 0);
    /* Low address bits do not matter. Memory stays the domain's, out of its sight. */
    EQ(map(2, 1, 8, HOST, 6 * 4096 + 123, &handle), GNTST_okay);
    EQ(mfn_of(2, 6), mfn_of(1, 3));
    EQ(frame(old).owner, 2);
    EQ(frame(old).gfn, UINT64_MAX);
    EQ(info(2).tot_pages, 15);
    audit_clean();
    EQ(unmap(2, handle, 6 * 4096 + 4), GNTST_okay);
    EQ(hv_gfn_to_mfn(w.hv, 2, 6, &out), -ENOENT);
    /* What was paged out is given up. */
    EQ(info(2).paged_pages, 1);
    EQ(map(2, 1, 8, HOST, 7 * 4096, &handle), GNTST_okay);
    EQ(info(2).paged_pages, 0);
    EQ(frame(paged).owner, -1);
    audit_clean();
    /* The same, after a pager was asked for it. */
    EQ(hv_page_out(w.hv, 2, 8), 0);
    grant(2, 9, 1, 8, 0);
    EQ(map(1, 2, 9, HOST, A(5), NULL), GNTST_eagain);
    EQ(map(2, 1, 8, HOST, 8 * 4096, &handle), GNTST_okay);
    EQ(info(2).paged_pages, 0);
    audit_clean();
}

TEST_HVM(mapping_an_own_page_takes_it_from_where_it_was)
{
    uint64_t mfn = mfn_of(1, 3), out;
    uint32_t handle;

    grant(1, 8, 1, 3, 0);
    EQ(map(1, 1, 8, HOST, 0x600 * 4096, &handle), GNTST_okay);
    EQ(hv_gfn_to_mfn(w.hv, 1, 3, &out), -ENOENT);
    EQ(mfn_of(1, 0x600), mfn);
    EQ(frame(mfn).writable_types, 1);
    audit_clean();
    EQ(unmap(1, handle, 0x600 * 4096), GNTST_okay);
    EQ(hv_gfn_to_mfn(w.hv, 1, 0x600, &out), -ENOENT);
    EQ(frame(mfn).owner, 1);
    audit_clean();
    /* Right on top of itself. */
    grant(1, 9, 1, 4, 0);
    EQ(map(1, 1, 9, HOST, 4 * 4096, &handle), GNTST_okay);
    audit_clean();
    EQ(unmap(1, handle, 4 * 4096), GNTST_okay);
    audit_clean();
}

TEST_HVM(a_grant_on_top_of_a_grant_crashes_the_caller)
{
    struct gnttab_map_grant_ref op = { .dom = 1, .ref = 8, .flags = HOST };
    uint64_t mfn = mfn_of(1, 3);
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    grant(1, 9, 2, 4, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(map(2, 1, 9, HOST, A(1), NULL), GNTST_general_error);
    EQ(w.crashes, 1);
    OK(info(2).crashed && !info(1).crashed);
    EQ(frame(mfn).refs, 2);
    audit_clean();
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, &op, 1), -ESRCH);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(frame(mfn).refs, 1);
}

TEST_HVM(flags_beyond_readonly_are_refused)
{
    grant(1, 8, 2, 3, 0);
    EQ(refused(2, 1, 8, HOST | 0x10000, A(1)), GNTST_general_error);
    EQ(refused(2, 1, 8, HOST | 0x20, A(1)), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access);
}

TEST_HVM(a_gfn_that_cannot_exist_is_refused)
{
    grant(1, 8, 2, 3, 0);
    EQ(refused(2, 1, 8, HOST, UINT64_MAX), GNTST_general_error);
    EQ(refused(2, 1, 8, HOST, P2M_MAX_GFN * 4096), GNTST_general_error);
    EQ(map(2, 1, 8, HOST, (P2M_MAX_GFN - 1) * 4096, NULL), GNTST_okay);
    audit_clean();
}

/* ---- White box: what no sequence of calls reaches --------------------------------------------- */

TEST_KINDS(a_frame_that_is_not_the_granters_is_never_mapped)
{
    uint64_t mfn = mfn_of(1, 3);
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST | RO, A(1), &handle), GNTST_okay);
    w.hv->frames[mfn].owner = 3;
    EQ(map(2, 1, 8, HOST, A(2), NULL), GNTST_general_error);
    w.hv->frames[mfn].owner = 1;
    EQ(flags_of(1, 8), GTF_permit_access | GTF_reading);      /* the write bit of the attempt is gone */
    audit_clean();
    /* No room for the references. */
    w.hv->frames[mfn].refs = UINT32_MAX;
    EQ(map(2, 1, 8, HOST | RO, A(2), NULL), GNTST_general_error);
    w.hv->frames[mfn].refs = UINT32_MAX - 1;
    if (kind == PV)
        EQ(map(2, 1, 8, HOST | DEV | RO, A(2), NULL), GNTST_general_error);
    w.hv->frames[mfn].refs = 2;
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
}

TEST_KINDS(a_fault_on_writing_leaves_the_mapping)
{
    struct gnttab_map_grant_ref ops[2] = {
        { .host_addr = A(1), .flags = HOST, .ref = 8, .dom = 1, .status = 77 },
        { .host_addr = A(2), .flags = HOST, .ref = 8, .dom = 1, .status = 77 },
    };
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 2), .fail_write_after = 2 };
    struct hv_mapping_info m;

    grant(1, 8, 2, 3, 0);
    EQ(grant_op_in(2, GNTTABOP_map_grant_ref, (uintptr_t)ops, 2, &win), -EFAULT);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, 77);
    EQ(entry(1, 8).pin_host_write, 2);
    EQ(hv_mapping_next(w.hv, 2, 1, &m), 0);
    EQ(m.ref, 8);
    audit_clean();
}

TEST_HVM(a_domain_crashes_once)
{
    struct gnttab_map_grant_ref ops[3];

    grant(1, 8, 2, 3, 0);
    for (int i = 0; i < 3; i++)
        ops[i] = (struct gnttab_map_grant_ref){ .host_addr = A(1), .flags = HOST, .ref = 8, .dom = 1 };
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, ops, 3), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[2].status, GNTST_general_error);
    EQ(w.crashes, 1);
    audit_clean();
}

/* ---- Through hv_pv_ops ------------------------------------------------------------------------ */

struct space {
    uint64_t addr, mfn, new_addr;
    uint32_t flags;
    int rc, maps, unmaps;
};

static int space_map(void *ctx, uint64_t addr, uint32_t flags, uint64_t mfn)
{
    struct space *s = ctx;

    s->maps++;
    s->addr = addr;
    s->flags = flags;
    s->mfn = mfn;
    return s->rc;
}

static int space_unmap(void *ctx, uint64_t addr, uint32_t flags, uint64_t mfn, uint64_t new_addr)
{
    struct space *s = ctx;

    s->unmaps++;
    s->addr = addr;
    s->flags = flags;
    s->mfn = mfn;
    s->new_addr = new_addr;
    return s->rc;
}

TEST_PV(a_pv_domains_own_address_space_is_asked)
{
    static const struct hv_pv_ops ops = { .map = space_map, .unmap = space_unmap };
    struct space s = { .rc = -1 };
    struct hv_domain_config config;
    uint32_t handle;

    hv_domain_config_init(&config);
    config.pv_ops = &ops;
    config.pv_ctx = &s;
    EQ(add_domain_with(5, &config), 0);
    grant(1, 8, 5, 3, 0);
    EQ(refused(5, 1, 8, HOST, 0x1234567), GNTST_general_error);
    s.rc = 0;
    EQ(map(5, 1, 8, HOST | GNTMAP_contains_pte | GNTMAP_application_map, 0x1234567, &handle), GNTST_okay);
    EQ(s.addr, 0x1234567);
    EQ(s.mfn, mfn_of(1, 3));
    EQ(s.flags, HOST | GNTMAP_contains_pte | GNTMAP_application_map);
    audit_clean();
    s.rc = -EINVAL;
    EQ(unmap(5, handle, 0x777), GNTST_general_error);
    s.rc = 0;
    EQ(replace(5, handle, 0x1234567, 0x555), GNTST_okay);
    EQ(s.addr, 0x1234567);
    EQ(s.new_addr, 0x555);
    EQ(s.maps, 2);
    EQ(s.unmaps, 2);
    /* At its death nobody is asked. */
    EQ(map(5, 1, 8, HOST, 0x1000, &handle), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 5), 0);
    EQ(s.unmaps, 2);
    EQ(flags_of(1, 8), GTF_permit_access);
}

/* Every seventh is good; each of the others is refused for a reason of its own, or names what does not exist. */
static void fill_mixed(struct gnttab_map_grant_ref *ops, unsigned n, unsigned version)
{
    for (unsigned i = 0; i < n; i++) {
        ops[i] = (struct gnttab_map_grant_ref){ .dom = 1, .ref = 8 + i, .flags = HOST, .host_addr = A(i + 1), .handle = 0x77,
                                                .dev_bus_addr = 0x99 };
        grant(1, 8 + i, 2, i % 16, 0);
        switch (i % 7) {
        case 1:
            ops[i].ref = UINT32_MAX - i;
            break;
        case 2:
            ops[i].dom = i % 2 ? 999 : DOMID_IO;
            break;
        case 3:
            if (version == 1)
                v1(1, 8 + i)->frame = UINT32_MAX;
            else
                v2(1, 8 + i)->full_page.frame = UINT64_MAX;
            break;
        case 4:
            ops[i].flags = 0;
            break;
        case 5:
            grant(1, 8 + i, 3, 0, 0);
            break;
        case 6:
            ops[i].ref = version == 1 ? 512 : 256;
            break;
        }
    }
}

TEST_VERSIONS(a_long_batch_answers_as_single_calls_do)
{
    enum { N = 150 };
    struct gnttab_map_grant_ref alone[N], together[N];
    unsigned good = 0;

    fill_mixed(alone, N, version);
    for (unsigned i = 0; i < N; i++) {
        EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, &alone[i], 1), 0);
        if (alone[i].status == GNTST_okay)
            EQ(unmap(2, alone[i].handle, alone[i].host_addr), GNTST_okay);
    }
    fill_mixed(together, N, version);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, together, N), 0);
    for (unsigned i = 0; i < N; i++) {
        EQ(together[i].status, alone[i].status);
        EQ(together[i].status == GNTST_okay, i % 7 == 0);
        EQ(together[i].dev_bus_addr, alone[i].dev_bus_addr);
        good += together[i].status == GNTST_okay;
    }
    EQ(info(2).maptrack_in_use, good);
    audit_clean();
}

static const struct test_case cases[] = {
    { "checks come in Xen's order", checks_come_in_xens_order,
      "ops:1.1/1 ops:1.1/2 ops:1.1/3 ops:1.1/6 ops:1.1/order ops:0.5/map life:2.3/fail-late life:2.3/fail-early" },
    { "without a handle left there is no space", without_a_handle_left_there_is_no_space,
      "ops:1.1/5 ent:2-create/maptrack0" },
    { "an entry must permit access to the caller", an_entry_must_permit_access_to_the_caller,
      "ops:1.1/8 ops:1.2/v1-1 ops:1.2/v1-2 ops:1.2/v2-1 ops:1.2/v2-2 ops:1.7/v1-subpage ops:1.7/v2-forms "
      "ops:1.7/cache ent:1.5/ignored ent:1.5/types ent:5.1/set-first" },
    { "the fifth failed exchange is an error", the_fifth_failed_exchange_is_an_error,
      "ops:1.2/v1-3 ops:1.2/v1-attempts ent:5/taking-v1 ent:5/unstable-v1 ent:5/bound" },
    { "an entry that changes during the look is looked at again", an_entry_that_changes_during_the_look_is_looked_at_again,
      "ops:1.2/v2-3 ops:1.2/v2-4 ent:5/taking-v2 ent:5/unstable-v2" },
    { "an upgrade to writing minds only the readonly flag", an_upgrade_to_writing_minds_only_the_readonly_flag,
      "ops:1.2/v2-5 ent:5-while/readonly ent:5.1/last-write" },
    { "while pinned the frame of the first pin counts", while_pinned_the_frame_of_the_first_pin_counts,
      "ops:1.1/7 ops:1.1/10 ops:1.7/no-look ops:1.7/other-domain ent:5-while/changes" },
    { "an entry that is not the guest's any more cannot be pinned anew",
      an_entry_that_is_not_the_guests_any_more_cannot_be_pinned_anew, "ent:5/dropping-v1 ent:5/dropping-v2" },
    { "one kind of mapping can be there 128 times", one_kind_of_mapping_can_be_there_128_times,
      "ops:1.7/128 ent:2/kinds-limit" },
    { "both parts need room in both counters", both_parts_need_room_in_both_counters, "" },
    { "each part takes its references", each_part_takes_its_references,
      "ops:1.1/18 ops:1.5/host-ro ops:1.5/host-rw ops:1.5/dev-ro ops:1.5/dev-rw ops:1.5/both life:3/page-ref "
      "life:3/type life:3/owner life:3/tot-pages life:3/pin" },
    { "a refused host mapping undoes everything", a_refused_host_mapping_undoes_everything,
      "ops:1.1/16 ops:1.4/pv ops:1.6/undo ops:1.6/reduce" },
    { "a read-only failure does not clear writing", a_readonly_failure_does_not_clear_writing, "ops:1.6/readonly" },
    { "a read-only use leaves the guest's own writing bit", a_readonly_use_leaves_the_guests_own_writing_bit,
      "ent:5-while/sets-bits life:3/writing" },
    { "bits that the guest clears are not put back", bits_that_the_guest_clears_are_not_put_back, "ent:5-while/clears-bits" },
    { "an auto-translated granter names gfns", an_auto_translated_granter_names_gfns,
      "ops:1.1/9 ops:1.3/ram ops:1.3/paged ops:1.3/hole ops:1.3/grant page:1/map page:1/released" },
    { "a PV granter names frames that it owns", a_pv_granter_names_frames_that_it_owns, "ops:1.3/pv" },
    { "a mapping replaces what is at its gfn", a_mapping_replaces_what_is_at_its_gfn,
      "ops:1.4/b ops:1.4/e ops:1.4/f ops:1.4/i ops:2.2/hvm life:3/physmap" },
    { "mapping an own page takes it from where it was", mapping_an_own_page_takes_it_from_where_it_was, "ops:1.4/h life:3/m2p" },
    { "a grant on top of a grant crashes the caller", a_grant_on_top_of_a_grant_crashes_the_caller,
      "ops:1.4/c life:3-grantee/overwrite" },
    { "flags beyond read-only are refused", flags_beyond_readonly_are_refused, "ops:1.4/a" },
    { "a gfn that cannot exist is refused", a_gfn_that_cannot_exist_is_refused, "ops:1.4/i" },
    { "a frame that is not the granter's is never mapped", a_frame_that_is_not_the_granters_is_never_mapped,
      "ops:1.1/12 ops:1.1/14" },
    { "a fault on writing leaves the mapping", a_fault_on_writing_leaves_the_mapping, "ops:0.4/fault" },
    { "a domain crashes once", a_domain_crashes_once, "" },
    { "a PV domain's own address space is asked", a_pv_domains_own_address_space_is_asked, "ops:1.4/pv life:4/pv" },
    { "a long batch answers as single calls do", a_long_batch_answers_as_single_calls_do, "" },
    { NULL, NULL, NULL },
};
const struct test_suite suite_map = { "map", cases };
