/* SPDX-License-Identifier: MIT */
/* GNTTABOP_transfer: who loses the page, who gets it, and what the receiver's entry says. */
#include "harness.h"

#include "hv_i.h"

SUITE("transfer");

/* Domain 1 gives pages to domain 2, which accepts them at 20. */
static void accept(domid_t dom, uint32_t ref, domid_t from, uint64_t frame_slot)
{
    if (info(dom).grant_version == 1) {
        v1(dom, ref)->domid = from;
        v1(dom, ref)->frame = (uint32_t)frame_slot;
        v1(dom, ref)->flags = GTF_accept_transfer;
    } else {
        v2(dom, ref)->hdr.domid = from;
        v2(dom, ref)->full_page.frame = frame_slot;
        v2(dom, ref)->hdr.flags = GTF_accept_transfer;
    }
}

/* The page is neither's any more. */
static void lost(uint64_t mfn, uint64_t tot1, uint64_t tot2)
{
    EQ(frame(mfn).owner, -1);
    EQ(info(1).tot_pages, tot1);
    EQ(info(2).tot_pages, tot2);
    audit_clean();
}

static void a_page_changes_hands_(unsigned version)
{
    uint64_t mfn, out;

    world_up(PV, NULL);
    EQ(set_version(2, version, NULL), 0);
    mfn = mfn_of(1, 3);
    memset(page(1, 3), 0x5a, 4096);
    accept(2, 20, 1, 0);
    EQ(transfer(1, mfn, 2, 20), GNTST_okay);
    EQ(version == 1 ? v1(2, 20)->flags : v2(2, 20)->hdr.flags,
       GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    EQ(entry(2, 20).frame, mfn);
    EQ(frame(mfn).owner, 2);
    EQ(frame(mfn).refs, 1);
    EQ(*(uint8_t *)hv_frame(w.hv, mfn), 0x5a);
    EQ(info(1).tot_pages, 15);
    EQ(info(2).tot_pages, 17);
    EQ(hv_gfn_to_mfn(w.hv, 1, 3, &out), -ENOENT);
    /* the lowest hole, for whoever names pages from outside */
    EQ(frame(mfn).gfn, 16);
    EQ(hv_gfn_to_mfn(w.hv, 2, 16, &out), 0);
    EQ(out, mfn);
    audit_clean();
    /* A second one into the completed entry: lost. */
    mfn = mfn_of(1, 4);
    EQ(transfer(1, mfn, 2, 20), GNTST_general_error);
    lost(mfn, 14, 17);
    /* The new owner can give it on. */
    accept(1, 20, 2, 0);
    EQ(transfer(2, entry(2, 20).frame, 1, 20), GNTST_okay);
    EQ(info(1).tot_pages, 15);
    audit_clean();
    world_down();
}

TEST("a page changes hands",
     "ops:5.2/9 ops:5.2/12 ops:5.2/13 ops:5.2/entry ops:0.5/transfer life:6/offered life:6/commit "
     "life:6/assign life:6/placed life:6/complete life:6/again ent:4/create-transfer "
     "ent:5/transfer")
{
    a_page_changes_hands_(1);
    a_page_changes_hands_(2);
}

TEST_PV("a page that cannot be stolen is kept",
        "ops:5.2/2 ops:5.2/3 ops:5.2/never-eagain life:3-granter/transfer page:1/transfer "
        "ops:1.5/busy")
{
    uint64_t mfn = mfn_of(1, 3);
    uint32_t handle;

    accept(2, 20, 1, 0);
    EQ(transfer(1, w.nr_frames, 2, 20), GNTST_bad_page);
    EQ(transfer(1, UINT64_MAX, 999, 20), GNTST_bad_page);
    EQ(transfer(1, 0, 2, 20), GNTST_bad_page);
    EQ(transfer(1, w.nr_frames - 1, 2, 20), GNTST_bad_page);            /* free */
    EQ(transfer(1, mfn_of(2, 3), 2, 20), GNTST_bad_page);               /* another's */
    EQ(transfer(1, hv_grant_frame_mfn(w.hv, 1, 0), 2, 20), GNTST_bad_page);
    EQ(transfer(1, hv_shared_info_mfn(w.hv, 1), 2, 20), GNTST_bad_page);
    grant(1, 8, 3, 3, GTF_readonly);
    EQ(map(3, 1, 8, GNTMAP_host_map | GNTMAP_readonly, A(1), &handle), GNTST_okay);
    EQ(transfer(1, mfn, 2, 20), GNTST_bad_page);                        /* mapped */
    EQ(info(1).tot_pages, 16);
    EQ(unmap(3, handle, A(1)), GNTST_okay);
    EQ(hv_page_out(w.hv, 1, 3), 0);
    EQ(transfer(1, mfn, 2, 20), GNTST_bad_page);                        /* never eagain */
    EQ(hv_page_in(w.hv, 1, 3), 0);
    EQ(flags_of(2, 20), GTF_accept_transfer);
    audit_clean();
    /* Who serves mappings may hold it: that is no guest's reference. */
    hv_frame_get(w.hv, mfn);
    EQ(transfer(1, mfn, 2, 20), GNTST_okay);
    hv_frame_put(w.hv, mfn);
    audit_clean();
    EQ(frame(mfn).owner, 2);
    /* Given up while mapped: it is the owner's, but not all of it. */
    grant(1, 8, 3, 5, 0);
    EQ(map(3, 1, 8, GNTMAP_host_map, A(1), &handle), GNTST_okay);
    mfn = mfn_of(1, 5);
    EQ(hv_page_free(w.hv, 1, 5), 0);
    EQ(transfer(1, mfn, 2, 20), GNTST_bad_page);
}

TEST_PV("a page that nobody accepts is lost",
        "ops:5.2/5 ops:5.2/9 life:6/before-commit life:6/stolen")
{
    static const struct {
        const char *what;
        domid_t to, offered_to;
        uint32_t ref;
        uint16_t flags;
        int status;
    } cases[] = {
        { "no domain", 999, 1, 20, GTF_accept_transfer, GNTST_bad_domain },
        { "self", DOMID_SELF, 1, 20, GTF_accept_transfer, GNTST_bad_domain },
        { "no entry", 2, 1, 512, GTF_accept_transfer, GNTST_general_error },
        { "no entry at all", 2, 1, UINT32_MAX, GTF_accept_transfer, GNTST_general_error },
        { "an empty entry", 2, 1, 20, 0, GNTST_general_error },
        { "a permission", 2, 1, 20, GTF_permit_access, GNTST_general_error },
        { "another flag too", 2, 1, 20, GTF_accept_transfer | GTF_sub_page, GNTST_general_error },
        { "an unused flag too", 2, 1, 20, GTF_accept_transfer | 0x8000, GNTST_general_error },
        { "committed", 2, 1, 20, GTF_accept_transfer | GTF_transfer_committed,
          GNTST_general_error },
        { "from another", 2, 3, 20, GTF_accept_transfer, GNTST_general_error },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t mfn = mfn_of(1, i);

        accept(2, 20, cases[i].offered_to, 0);
        v1(2, 20)->flags = cases[i].flags;
        EQ(transfer(1, mfn, cases[i].to, cases[i].ref), cases[i].status);
        EQ(v1(2, 20)->flags, cases[i].flags);
        lost(mfn, 15 - i, 16);
    }
}

TEST_PV("a full or dying receiver does not get it",
        "ops:5.2/8 ops:12/transfer life:6/room life:5/transfer")
{
    uint64_t mfn = mfn_of(1, 3);
    uint32_t handle;

    accept(2, 20, 1, 0);
    domain_lookup(w.hv, 2)->max_pages = 16;
    EQ(transfer(1, mfn, 2, 20), GNTST_general_error);
    EQ(flags_of(2, 20), GTF_accept_transfer);
    lost(mfn, 15, 16);
    domain_lookup(w.hv, 2)->max_pages = 17;
    EQ(transfer(1, mfn_of(1, 4), 2, 20), GNTST_okay);
    /* Dead, but kept by a mapping. */
    mfn = mfn_of(1, 5);
    accept(2, 21, 1, 0);
    grant(2, 8, 3, 3, 0);
    EQ(map(3, 2, 8, GNTMAP_host_map, A(1), &handle), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(transfer(1, mfn, 2, 21), GNTST_general_error);
    EQ(frame(mfn).owner, -1);
    audit_clean();
}

TEST_PV("a page can be given to oneself", "ops:0.5/transfer")
{
    uint64_t mfn = mfn_of(1, 3);

    accept(1, 20, 1, 0);
    EQ(transfer(1, mfn, 1, 20), GNTST_okay);
    EQ(frame(mfn).owner, 1);
    EQ(info(1).tot_pages, 16);
    audit_clean();
}

static void break_offer(void *ctx)
{
    (void)ctx;
    v1(2, 20)->flags = 0;
}

static void shake_offer(void *ctx)
{
    unsigned *left = ctx;

    if (*left) {
        --*left;
        v1(2, 20)->frame++;
        v1(2, 20)->flags ^= 0x8000;
        v1(2, 20)->flags ^= 0x8000;
        v1(2, 20)->domid = *left % 2 ? 3 : 1;
    }
}

TEST_PV("an offer that is taken back in time is respected", "ops:5.2/9 ent:4/revoke-transfer")
{
    unsigned never = 0;
    uint64_t mfn = mfn_of(1, 3);

    accept(2, 20, 1, 0);
    race(break_offer, NULL);
    EQ(transfer(1, mfn, 2, 20), GNTST_general_error);
    EQ(flags_of(2, 20), 0);
    lost(mfn, 15, 16);
    accept(2, 20, 1, 0);
    race(shake_offer, &never);
    EQ(transfer(1, mfn_of(1, 4), 2, 20), GNTST_okay);
}

/* ---- Auto-translated ------------------------------------------------------------------------- */

TEST_HVM("an auto-translated sender keeps its page", "ops:5.1/hvm")
{
    uint64_t mfn = mfn_of(1, 3);

    accept(2, 20, 1, 0x50);
    EQ(transfer(1, 3, 2, 20), GNTST_general_error);
    EQ(transfer(1, 3, 999, 20), GNTST_general_error);
    EQ(transfer(1, 99, 2, 20), GNTST_bad_page);
    EQ(transfer(1, UINT64_MAX, 2, 20), GNTST_bad_page);
    EQ(hv_page_out(w.hv, 1, 4), 0);
    EQ(transfer(1, 4, 2, 20), GNTST_bad_page);
    EQ(frame(mfn).owner, 1);
    EQ(flags_of(2, 20), GTF_accept_transfer);
    audit_clean();
}

TEST_HVM("an auto-translated receiver says where it goes", "ops:5.2/12 life:6/placement-failed")
{
    uint64_t mfn, old, out;

    EQ(add_domain(5, PV, false, 8), 0);
    accept(2, 20, 5, 0x50);
    mfn = mfn_of(5, 1);
    EQ(transfer(5, mfn, 2, 20), GNTST_okay);
    EQ(mfn_of(2, 0x50), mfn);
    EQ(entry(2, 20).frame, 0x50);                       /* untouched */
    EQ(flags_of(2, 20), GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    audit_clean();
    /* Where memory is, that goes out of sight. */
    old = mfn_of(2, 3);
    accept(2, 21, 5, 3);
    EQ(transfer(5, mfn_of(5, 2), 2, 21), GNTST_okay);
    EQ(frame(old).owner, 2);
    EQ(frame(old).gfn, UINT64_MAX);
    audit_clean();
    /* Where nothing can be: it owns a page that it cannot see, and is told that all is done. */
    accept(2, 22, 5, 0xffffffff);
    EQ(set_version(2, 2, NULL), 0);
    accept(2, 22, 5, UINT64_MAX);
    mfn = mfn_of(5, 3);
    EQ(transfer(5, mfn, 2, 22), GNTST_general_error);
    EQ(v2(2, 22)->hdr.flags, GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    EQ(frame(mfn).owner, 2);
    EQ(frame(mfn).gfn, UINT64_MAX);
    audit_clean();
    /* Where a grant is mapped: that is a crime. */
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, GNTMAP_host_map, 0x60 * 4096, NULL), GNTST_okay);
    accept(2, 23, 5, 0x60);
    mfn = mfn_of(5, 4);
    EQ(transfer(5, mfn, 2, 23), GNTST_general_error);
    EQ(frame(mfn).owner, 2);
    EQ(hv_gfn_to_mfn(w.hv, 2, 0x60, &out), 0);
    EQ(out, mfn_of(1, 3));
    OK(info(2).crashed);
    audit_clean();
}

TEST_PV("a batch goes on after failures", "ops:5.2/batch")
{
    struct gnttab_transfer ops[3] = {
        { .mfn = mfn_of(1, 3), .domid = 999, .ref = 20, .status = 77 },
        { .mfn = UINT64_MAX, .domid = 2, .ref = 20, .status = 77 },
        { .mfn = mfn_of(1, 4), .domid = 2, .ref = 20, .status = 77 },
    };
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 2) };

    accept(2, 20, 1, 0);
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_transfer, ops, 3), 0);
    EQ(ops[0].status, GNTST_bad_domain);
    EQ(ops[1].status, GNTST_bad_page);
    EQ(ops[2].status, GNTST_okay);
    /* Faults stop it. */
    accept(2, 20, 1, 0);
    ops[0] = (struct gnttab_transfer){ .mfn = mfn_of(1, 5), .domid = 2, .ref = 20, .status = 77 };
    ops[2].status = 77;
    EQ(grant_op_in(1, GNTTABOP_transfer, (uintptr_t)ops, 3, &win), -EFAULT);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[2].status, 77);
    win.writes = 0;
    win.fail_write_after = 1;
    EQ(grant_op_in(1, GNTTABOP_transfer, (uintptr_t)ops, 1, &win), -EFAULT);
    audit_clean();
}
