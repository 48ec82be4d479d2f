/* SPDX-License-Identifier: MIT */
/* GNTTABOP_map_grant_ref: who may map what, in which order it is found out, and what a mapping
 * holds. */
#include "scene_map.h"

#include "hv_i.h"

SUITE("map");

/* The number that the next successful mapping gets: tells whether a failed one used up a
 * position. */
static uint32_t next_handle(domid_t ld)
{
    uint32_t handle;

    grant(3, 200, ld, 15, 0);
    EQ(map(ld, 3, 200, HOST | RO, A(800), &handle), GNTST_okay);
    EQ(unmap(ld, handle, A(800)), GNTST_okay);
    return handle;
}

TEST_VERSIONS("checks come in Xen's order",
              "ops:1.1/1 ops:1.1/2 ops:1.1/3 ops:1.1/6 ops:1.1/order ops:0.5/map "
              "life:2.3/fail-late life:2.3/fail-early")
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
    /* nothing so far took a handle */
    EQ(next_handle(2), 0);
    EQ(refused(2, 1, past, HOST, A(1)), GNTST_bad_gntref);
    EQ(refused(2, 1, UINT32_MAX, HOST, A(1)), GNTST_bad_gntref);
    /* each of those two took one */
    EQ(next_handle(2), 3);
    EQ(refused(2, 1, 9, HOST, A(1)), GNTST_general_error);
    EQ(next_handle(2), 5);
}

TEST_KINDS("without a handle left there is no space", "ops:1.1/5 ent:2-create/maptrack0")
{
    struct hv_domain_config config;

    hv_domain_config_init(&config);
    config.auto_translated = kind == HVM;
    config.max_maptrack_frames = 0;
    EQ(add_domain_with(5, &config), 0);
    EQ(refused(5, 999, 99999, HOST, A(1)), GNTST_bad_domain);           /* found out before */
    EQ(refused(5, 1, 99999, HOST, A(1)), GNTST_no_space);               /* and this after */
}

TEST_VERSIONS("an entry must permit access to the caller",
              "ops:1.1/8 ops:1.2/v1-1 ops:1.2/v1-2 ops:1.2/v2-1 ops:1.2/v2-2 ops:1.7/v1-subpage "
              "ops:1.7/v2-forms ops:1.7/cache ent:1.5/ignored ent:1.5/types ent:5.1/set-first")
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

/* ---- A guest that does not hold still -------------------------------------------------------- */

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

TEST_KINDS("the fifth failed exchange is an error",
           "ops:1.2/v1-3 ops:1.2/v1-attempts ent:5/taking-v1 ent:5/unstable-v1 ent:5/bound")
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

TEST_VERSIONS("an entry that changes during the look is looked at again",
              "ops:1.2/v2-3 ops:1.2/v2-4 ent:5/taking-v2 ent:5/unstable-v2")
{
    static const struct {
        uint16_t flags;
        domid_t domid;
        uint32_t map;
    } cases[] = {
        { GTF_invalid, 2, HOST }, { GTF_permit_access, 3, HOST },
        { GTF_permit_access | GTF_readonly, 2, HOST },
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

TEST_VERSIONS("an upgrade to writing minds only the readonly flag",
              "ops:1.2/v2-5 ent:5-while/readonly ent:5.1/last-write")
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

/* ---- What a pin means ------------------------------------------------------------------------ */

TEST_VERSIONS("while pinned the frame of the first pin counts",
              "ops:1.1/7 ops:1.1/10 ops:1.7/no-look ops:1.7/other-domain ent:5-while/changes")
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

TEST_VERSIONS("an entry that is not the guest's any more cannot be pinned anew",
              "ent:5/dropping-v1 ent:5/dropping-v2")
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

TEST_KINDS("one kind of mapping can be there 128 times", "ops:1.7/128 ent:2/kinds-limit")
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
    /* the counters are separate */
    EQ(map(2, 1, 8, HOST, A(3), NULL), GNTST_general_error);
    EQ(map(2, 1, 8, HOST | RO, A(3), NULL), GNTST_okay);
}

TEST_KINDS("both parts need room in both counters")
{
    if (kind == HVM)
        return;
    grant(1, 8, 2, 3, 0);
    for (int i = 0; i < 128; i++)
        EQ(map(2, 1, 8, DEV, 0, NULL), GNTST_okay);
    EQ(refused(2, 1, 8, DEV | HOST, A(1)), GNTST_general_error);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
}

/* ---- References ------------------------------------------------------------------------------ */

TEST_KINDS("each part takes its references",
           "ops:1.1/18 ops:1.5/host-ro ops:1.5/host-rw ops:1.5/dev-ro ops:1.5/dev-rw ops:1.5/both "
           "life:3/page-ref life:3/type life:3/owner life:3/tot-pages life:3/pin")
{
    static const struct {
        uint32_t flags;
        unsigned refs, pv_types, hvm_types, loop_types;
    } cases[] = {
        { HOST | RO, 1, 0, 0, 0 }, { HOST, 1, 1, 0, 1 }, { DEV | RO, 1, 0, 0, 0 },
        { DEV, 1, 1, 1, 1 }, { HOST | DEV | RO, 2, 0, 0, 0 }, { HOST | DEV, 2, 2, 1, 2 },
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

TEST_PV("a refused host mapping undoes everything",
        "ops:1.1/16 ops:1.4/pv ops:1.6/undo ops:1.6/reduce")
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

TEST_KINDS("a read-only failure does not clear writing", "ops:1.6/readonly")
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
TEST_VERSIONS("a read-only use leaves the guest's own writing bit",
              "ent:5-while/sets-bits life:3/writing")
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

TEST_VERSIONS("bits that the guest clears are not put back", "ent:5-while/clears-bits")
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

/* ---- White box: what no sequence of calls reaches -------------------------------------------- */

TEST_KINDS("a frame that is not the granter's is never mapped", "ops:1.1/12 ops:1.1/14")
{
    uint64_t mfn = mfn_of(1, 3);
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST | RO, A(1), &handle), GNTST_okay);
    w.hv->frames[mfn].owner = 3;
    EQ(map(2, 1, 8, HOST, A(2), NULL), GNTST_general_error);
    w.hv->frames[mfn].owner = 1;
    /* the write bit of the attempt is gone */
    EQ(flags_of(1, 8), GTF_permit_access | GTF_reading);
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

TEST_KINDS("a fault on writing leaves the mapping", "ops:0.4/fault")
{
    struct gnttab_map_grant_ref ops[2] = {
        { .host_addr = A(1), .flags = HOST, .ref = 8, .dom = 1, .status = 77 },
        { .host_addr = A(2), .flags = HOST, .ref = 8, .dom = 1, .status = 77 },
    };
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 2),
                          .fail_write_after = 2 };
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

TEST_HVM("a domain crashes once")
{
    struct gnttab_map_grant_ref ops[3];

    grant(1, 8, 2, 3, 0);
    for (int i = 0; i < 3; i++)
        ops[i] = (struct gnttab_map_grant_ref){ .host_addr = A(1), .flags = HOST, .ref = 8,
                                                .dom = 1 };
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_map_grant_ref, ops, 3), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[2].status, GNTST_general_error);
    EQ(w.crashes, 1);
    audit_clean();
}

/* Every seventh is good; each of the others is refused for a reason of its own, or names what does
 * not exist. */
static void fill_mixed(struct gnttab_map_grant_ref *ops, unsigned n, unsigned version)
{
    for (unsigned i = 0; i < n; i++) {
        ops[i] = (struct gnttab_map_grant_ref){ .dom = 1, .ref = 8 + i, .flags = HOST,
                                                .host_addr = A(i + 1), .handle = 0x77,
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

TEST_VERSIONS("a long batch answers as single calls do")
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
