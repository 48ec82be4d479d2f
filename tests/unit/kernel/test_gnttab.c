/* SPDX-License-Identifier: MIT */
/* The kernel's own grant API: references, granting, ending, deferred ends, free callbacks; both
 * table versions. */
#include "harness.h"

SUITE("gnttab", "pv pvh");

static struct kernel *k;

static void up(void)
{
    world_up();
    k = w.k[0];
}

static void up_version(unsigned version, int32_t max_frames)
{
    world_empty(w.profile, 16384);
    boot_with(0, w.profile, version, max_frames, -1);
    boot(1, w.profile);
    k = w.k[0];
    EQ(info(0).grant_version, version);
}

static int64_t grant(struct kernel_page *page)
{
    return gnttab_grant_foreign_access(k, 1, page ? kernel_page_frame(page) : 0, false);
}

/* ---- References ------------------------------------------------------------------------------ */

TEST("the first reference is 8, the last freed is given first, reserved ones never")
{
    static const int64_t expected[] = { 8, 9, 10 };

    up();
    for (unsigned i = 0; i < 3; i++)
        EQ(grant(NULL), expected[i]);
    gnttab_end_foreign_access(k, 9, NULL);
    gnttab_end_foreign_access(k, 8, NULL);
    EQ(grant(NULL), 8);
    EQ(grant(NULL), 9);
    EQ(grant(NULL), 11);
    /* A reserved one is never given, whatever is freed. */
    gnttab_free_grant_reference(k, 3);
    EQ(grant(NULL), 12);
    world_down();
}

TEST("private chains are claimed from the front and freed in reversed order")
{
    grant_ref_t head, again;

    up();
    EQ(gnttab_alloc_grant_references(k, 3, &head), 0);
    EQ(grant(NULL), 11);
    OK(!gnttab_empty_grant_references(&head));
    EQ(gnttab_claim_grant_reference(k, &head), 8);
    EQ(gnttab_claim_grant_reference(k, &head), 9);
    gnttab_release_grant_reference(k, &head, 8);
    EQ(gnttab_claim_grant_reference(k, &head), 8);
    gnttab_release_grant_reference(k, &head, 8);
    EQ(gnttab_claim_grant_reference(k, &head), 8);
    EQ(gnttab_claim_grant_reference(k, &head), 10);
    OK(gnttab_empty_grant_references(&head));
    EQ(gnttab_claim_grant_reference(k, &head), -ENOSPC);
    /* A chain goes back one by one, so it comes out in reversed order. */
    head = INVALID_GRANT_REF;
    gnttab_release_grant_reference(k, &head, 10);
    gnttab_release_grant_reference(k, &head, 9);
    gnttab_release_grant_reference(k, &head, 8);
    gnttab_free_grant_references(k, head);
    EQ(gnttab_alloc_grant_references(k, 4, &again), 0);
    EQ(gnttab_claim_grant_reference(k, &again), 10);
    EQ(gnttab_claim_grant_reference(k, &again), 9);
    EQ(gnttab_claim_grant_reference(k, &again), 8);
    EQ(gnttab_claim_grant_reference(k, &again), 12);
    EQ(gnttab_alloc_grant_references(k, 0, &again), 0);
    OK(gnttab_empty_grant_references(&again));
    world_down();
}

TEST("the table grows at its end when too few are free, up to the hypervisor's limit, then ENOSPC")
{
    uint32_t per;

    for (unsigned version = 1; version <= 2; version++) {
        up_version(version, 2);
        per = version == 1 ? 512 : 256;
        for (uint32_t i = 8; i < per; i++)
            EQ(grant(NULL), i);
        EQ(info(0).nr_grant_frames, 1);
        gnttab_end_foreign_access(k, 100, NULL);
        EQ(grant(NULL), 100);
        EQ(info(0).nr_grant_frames, 1);
        EQ(grant(NULL), per);
        EQ(info(0).nr_grant_frames, 2);
        for (uint32_t i = per + 1; i < 2 * per; i++)
            EQ(grant(NULL), i);
        EQ(grant(NULL), -ENOSPC);
        OK(logged("limit of 2 frames reached"));
        EQ(gnttab_alloc_grant_references(k, 1, &(grant_ref_t){ 0 }), -ENOSPC);
        EQ(gnttab_alloc_grant_reference_seq(k, 2, &(grant_ref_t){ 0 }), -ENOSPC);
        gnttab_end_foreign_access(k, 300, NULL);
        EQ(grant(NULL), 300);
        audit_clean();
        world_down();
    }
}

TEST("many references at once take what is free and as many frames as are missing")
{
    grant_ref_t head;

    up_version(1, 3);
    /* 504 are free; 600 need one frame more, and what is left of it comes next. */
    EQ(gnttab_alloc_grant_references(k, 600, &head), 0);
    EQ(info(0).nr_grant_frames, 2);
    for (unsigned i = 0; i < 600; i++)
        EQ(gnttab_claim_grant_reference(k, &head), 8 + i);
    EQ(grant(NULL), 608);
    EQ(gnttab_alloc_grant_references(k, 1024 - 609 + 513, &head), -ENOSPC);
    EQ(info(0).nr_grant_frames, 2);
    EQ(gnttab_alloc_grant_references(k, 1024 - 609 + 512, &head), 0);
    EQ(info(0).nr_grant_frames, 3);
    world_down();
}

TEST("consecutive references come from the tail, from a hole, or from growth")
{
    grant_ref_t first;

    up_version(1, 2);
    EQ(gnttab_alloc_grant_reference_seq(k, 1, &first), 0);
    EQ(first, 8);
    EQ(gnttab_alloc_grant_reference_seq(k, 4, &first), 0);
    EQ(first, 9);
    EQ(grant(NULL), 13);
    /* Freed from last to first, so the first is on top again. */
    gnttab_free_grant_reference_seq(k, 9, 4);
    EQ(grant(NULL), 9);
    EQ(grant(NULL), 10);
    gnttab_end_foreign_access(k, 9, NULL);
    gnttab_end_foreign_access(k, 10, NULL);
    /* The tail is taken while it is long enough. */
    EQ(gnttab_alloc_grant_reference_seq(k, 498, &first), 0);
    EQ(first, 14);
    /* Then a hole is searched for, and the free list gets sorted on the way: 10 was on top. */
    EQ(gnttab_alloc_grant_reference_seq(k, 3, &first), 0);
    EQ(first, 9);
    EQ(grant(NULL), 12);
    gnttab_end_foreign_access(k, 13, NULL);
    gnttab_free_grant_reference_seq(k, 9, 3);
    gnttab_free_grant_reference(k, 200);
    EQ(gnttab_alloc_grant_reference_seq(k, 2, &first), 0);
    EQ(first, 9);
    EQ(grant(NULL), 11);
    EQ(grant(NULL), 13);
    EQ(grant(NULL), 200);
    /* Nothing is left, so the table grows by what is missing. */
    EQ(gnttab_alloc_grant_reference_seq(k, 5, &first), 0);
    EQ(first, 512);
    EQ(grant(NULL), 517);
    gnttab_end_foreign_access(k, 100, NULL);
    EQ(gnttab_alloc_grant_reference_seq(k, 600, &first), -ENOSPC);
    EQ(gnttab_alloc_grant_reference_seq(k, 0, &first), -ENOSPC);
    EQ(gnttab_alloc_grant_reference_seq(k, UINT32_MAX, &first), -ENOSPC);
    EQ(grant(NULL), 100);
    EQ(grant(NULL), 518);
    audit_clean();
    world_down();
}

TEST("consecutive references can begin in the old tail and end in a new frame")
{
    grant_ref_t first;

    up_version(1, 2);
    EQ(gnttab_alloc_grant_reference_seq(k, 500, &first), 0);
    EQ(first, 8);
    gnttab_free_grant_reference(k, 20);
    gnttab_free_grant_reference(k, 30);
    gnttab_free_grant_reference(k, 40);
    /* 508 .. 511 are the tail; 6 begin there and end in the new frame. */
    EQ(gnttab_alloc_grant_reference_seq(k, 6, &first), 0);
    EQ(first, 508);
    EQ(grant(NULL), 20);
    EQ(grant(NULL), 30);
    EQ(grant(NULL), 40);
    EQ(grant(NULL), 514);
    audit_clean();
    world_down();
}

/* ---- Entries --------------------------------------------------------------------------------- */

TEST("entries have domain, frame and flags where the public layout has them, in both versions")
{
    struct hv_entry_info entry;
    struct kernel_page *page;

    for (unsigned version = 1; version <= 2; version++) {
        up_version(version, -1);
        page = kernel_page_alloc(k);
        EQ(gnttab_grant_foreign_access(k, 1, kernel_page_frame(page), false), 8);
        EQ(gnttab_grant_foreign_access(k, 0xfffe, kernel_page_frame(page), true), 9);
        EQ(hv_entry_info(w.hv, 0, 8, &entry), 0);
        EQ(entry.flags, GTF_permit_access);
        EQ(entry.domid, 1);
        EQ(entry.frame, kernel_page_frame(page));
        EQ(entry.frame == kernel_page_mfn(page), IS_PV);
        EQ(hv_entry_info(w.hv, 0, 9, &entry), 0);
        EQ(entry.flags, GTF_permit_access | GTF_readonly);
        EQ(entry.domid, 0xfffe);
        OK(gnttab_end_foreign_access_ref(k, 9));
        EQ(hv_entry_info(w.hv, 0, 9, &entry), 0);
        EQ(entry.flags, 0);
        /* The reference is still ours. */
        EQ(grant(page), 10);
        gnttab_grant_foreign_access_ref(k, 9, 1, kernel_page_frame(page), false);
        OK(gnttab_try_end_foreign_access(k, 9));
        EQ(grant(page), 9);
        OK(!gnttab_query_foreign_access(k, 9));
        gnttab_end_foreign_access(k, 9, NULL);
        gnttab_end_foreign_access(k, 10, NULL);
        kernel_page_get(page);
        gnttab_end_foreign_access(k, 8, page);
        EQ(info(0).tot_pages, 1);
        kernel_page_put(k, page);
        EQ(info(0).tot_pages, 0);
        world_down();
    }
}

/* Domain 1 maps a reference of domain 0. */
static struct vma *peer_maps(struct file *g, uint32_t ref, unsigned prot, long *rc)
{
    return map_grants(g, 0, &ref, 1, prot, rc);
}

TEST("a busy grant is not ended: v1 can even be mapped anew, v2 only by who has it")
{
    struct kernel_page *page;
    struct vma *first, *second;
    struct file *g;
    long rc;

    for (unsigned version = 1; version <= 2; version++) {
        up_version(version, -1);
        g = open_dev(1, "gntdev");
        page = kernel_page_alloc(k);
        EQ(grant(page), 8);
        first = peer_maps(g, 8, RW, &rc);
        MUST(first != NULL);
        OK(gnttab_query_foreign_access(k, 8));
        OK(!gnttab_end_foreign_access_ref(k, 8));
        OK(logged("still in use"));
        OK(!gnttab_try_end_foreign_access(k, 8));
        /* v1 leaves the entry as it was; v2 admits nobody new, but who has it pinned may map
         * again. */
        EQ(entry_flags(0, 8) & GTF_type_mask, version == 1 ? GTF_permit_access : 0);
        second = peer_maps(g, 8, RW, &rc);
        OK(second != NULL);
        unmap_grants(g, second);
        unmap_grants(g, first);
        second = peer_maps(g, 8, RW, &rc);
        EQ(rc, version == 1 ? 0 : -EINVAL);
        if (second)
            unmap_grants(g, second);
        OK(gnttab_try_end_foreign_access(k, 8));
        EQ(grant(NULL), 8);
        kernel_page_put(k, page);
        close_dev(g);
        world_down();
    }
}

/* ---- Deferred ends --------------------------------------------------------------------------- */

TEST("what the peer still maps is ended a second after it lets go")
{
    struct kernel_page *page;
    struct vma *map;
    struct file *g;
    long rc;

    up();
    g = open_dev(1, "gntdev");
    page = kernel_page_alloc(k);
    *(uint8_t *)kernel_page_address(k, page) = 0x42;
    EQ(grant(page), 8);
    map = peer_maps(g, 8, RW, &rc);
    EQ(kernel_next_timer(k), UINT64_MAX);
    gnttab_end_foreign_access(k, 8, page);
    EQ(gnttab_nr_deferred(k), 1);
    EQ(kernel_next_timer(k), w.now + 1000 * MS);
    EQ(info(0).tot_pages, 1);
    EQ(grant(NULL), 9);
    audit_clean();
    advance(5000 * MS);
    EQ(gnttab_nr_deferred(k), 1);
    EQ(*at(map, 0, 0), 0x42);
    unmap_grants(g, map);
    advance(999 * MS);
    EQ(gnttab_nr_deferred(k), 1);
    advance(1 * MS);
    EQ(gnttab_nr_deferred(k), 0);
    EQ(kernel_next_timer(k), UINT64_MAX);
    EQ(info(0).tot_pages, 0);
    EQ(grant(NULL), 8);
    close_dev(g);
    world_down();
}

TEST("without a page the granted frame is held until the grant has ended")
{
    struct kernel_page *page, *other;
    uint64_t mfn;
    struct hv_frame_info frame;
    struct vma *map;
    struct file *g;
    long rc;

    up();
    g = open_dev(1, "gntdev");
    page = kernel_page_alloc(k);
    mfn = kernel_page_mfn(page);
    EQ(grant(page), 8);
    map = peer_maps(g, 8, RW, &rc);
    gnttab_end_foreign_access(k, 8, NULL);
    kernel_page_put(k, page);
    /* The frame is given back, but nobody else gets it as long as the grant lives. */
    EQ(hv_frame_info(w.hv, mfn, &frame), 0);
    EQ(frame.held, 1);
    unmap_grants(g, map);
    other = kernel_page_alloc(k);
    OK(kernel_page_mfn(other) != mfn);
    kernel_page_put(k, other);
    advance(1000 * MS);
    EQ(hv_frame_info(w.hv, mfn, &frame), 0);
    EQ(frame.held, 0);
    EQ(gnttab_nr_deferred(k), 0);
    close_dev(g);
    world_down();
}

TEST("ten deferred ends a second, or as many as the parameter says")
{
    struct vma *maps[25];
    struct kernel_page *page;
    struct file *g;
    long rc;

    up();
    g = open_dev(1, "gntdev");
    page = kernel_page_alloc(k);
    for (unsigned i = 0; i < 25; i++) {
        EQ(grant(page), 8 + i);
        maps[i] = peer_maps(g, 8 + i, PROT_READ, &rc);
    }
    for (unsigned i = 0; i < 25; i++)
        gnttab_end_foreign_access(k, 8 + i, NULL);
    EQ(gnttab_nr_deferred(k), 25);
    for (unsigned i = 0; i < 25; i++)
        unmap_grants(g, maps[i]);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(k), 15);
    EQ(kernel_param_set(k, "grant_table/free_per_iteration", 3), 0);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(k), 12);
    EQ(kernel_param_set(k, "grant_table/free_per_iteration", 0), 0);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(k), 0);
    /* Freed in the order in which they were deferred, the last one is given first. */
    EQ(grant(page), 32);
    kernel_page_put(k, page);
    close_dev(g);
    world_down();
}

TEST("busy deferred ends go to the end of the queue and are mentioned in the log after a minute")
{
    struct vma *maps[12];
    struct kernel_page *page;
    struct file *g;
    long rc;

    up();
    g = open_dev(1, "gntdev");
    page = kernel_page_alloc(k);
    for (unsigned i = 0; i < 12; i++) {
        EQ(grant(page), 8 + i);
        maps[i] = peer_maps(g, 8 + i, RW, &rc);
        gnttab_end_foreign_access(k, 8 + i, NULL);
    }
    /* The first ten stay busy and go to the end of the queue, so the next run comes to the
     * others. */
    unmap_grants(g, maps[10]);
    unmap_grants(g, maps[11]);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(k), 12);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(k), 10);
    /* With no limit a run stops when it meets the first busy one again. */
    EQ(kernel_param_set(k, "grant_table/free_per_iteration", 0), 0);
    advance(62 * 1000 * MS);
    EQ(gnttab_nr_deferred(k), 10);
    OK(logged("still pending"));
    for (unsigned i = 0; i < 10; i++)
        unmap_grants(g, maps[i]);
    advance(1000 * MS);
    EQ(gnttab_nr_deferred(k), 0);
    kernel_page_put(k, page);
    close_dev(g);
    world_down();
}

/* ---- Free callbacks -------------------------------------------------------------------------- */

static unsigned order[8], called;

static void note(void *arg)
{
    order[called++] = (unsigned)(uintptr_t)arg;
}

TEST("a free callback runs once, when enough are free, newest first")
{
    struct gnttab_free_callback a = { .queued = false }, b = { .queued = false },
        c = { .queued = false };
    grant_ref_t head;

    called = 0;
    up_version(1, 1);
    /* Enough are free: inside the call. */
    gnttab_request_free_callback(k, &a, note, (void *)1, 504);
    EQ(called, 1);
    EQ(gnttab_alloc_grant_references(k, 504, &head), 0);
    gnttab_request_free_callback(k, &a, note, (void *)1, 1);
    gnttab_request_free_callback(k, &b, note, (void *)2, 2);
    gnttab_request_free_callback(k, &c, note, (void *)3, 1);
    gnttab_request_free_callback(k, &c, note, (void *)9, 1);     /* is queued already */
    EQ(called, 1);
    gnttab_cancel_free_callback(k, &c);
    gnttab_cancel_free_callback(k, &c);
    gnttab_free_grant_reference(k, 8);
    EQ(called, 2);
    EQ(order[1], 1);
    gnttab_free_grant_reference(k, 9);
    EQ(called, 3);
    EQ(order[2], 2);
    gnttab_free_grant_reference(k, 10);
    EQ(called, 3);
    /* Newest first; but every walk that leaves them in the queue reverses them, so here it is the
     * older one. */
    EQ(gnttab_alloc_grant_references(k, 3, &head), 0);
    gnttab_request_free_callback(k, &a, note, (void *)1, 2);
    gnttab_request_free_callback(k, &b, note, (void *)2, 2);
    gnttab_free_grant_references(k, head);
    EQ(called, 5);
    EQ(order[3], 1);
    EQ(order[4], 2);
    world_down();
}

TEST("growth can satisfy a free callback")
{
    struct gnttab_free_callback a = { .queued = false };
    grant_ref_t head;

    called = 0;
    up_version(1, 2);
    EQ(gnttab_alloc_grant_references(k, 500, &head), 0);
    gnttab_request_free_callback(k, &a, note, (void *)1, 400);
    EQ(called, 0);
    EQ(gnttab_alloc_grant_references(k, 5, &head), 0);
    EQ(called, 1);
    world_down();
}

/* ---- Pages ----------------------------------------------------------------------------------- */

TEST("pages are zeroed and consecutive where possible")
{
    struct kernel_page *page[8];

    up();
    EQ(kernel_pages_alloc(k, 8, page), 0);
    for (unsigned i = 1; i < 8; i++)
        EQ(kernel_page_mfn(page[i]), kernel_page_mfn(page[0]) + i);
    memset(kernel_page_address(k, page[3]), 1, PAGE);
    EQ(info(0).tot_pages, 8);
    for (unsigned i = 0; i < 8; i++)
        kernel_page_put(k, page[i]);
    EQ(kernel_pages_alloc(k, 4, page), 0);
    EQ(*(uint8_t *)kernel_page_address(k, page[3]), 0);
    for (unsigned i = 0; i < 4; i++)
        kernel_page_put(k, page[i]);
    EQ(info(0).tot_pages, 0);
    world_down();
}

TEST("without memory nothing is allocated, and single frames are used when no run is left")
{
    struct kernel_page *page[128], *half[64];
    unsigned nr = 0;
    uint64_t left;

    world_empty(w.profile, 100);
    boot(0, w.profile);
    k = w.k[0];
    left = hv_nr_free_frames(w.hv);
    EQ(kernel_pages_alloc(k, left + 1, page), -ENOMEM);
    EQ(hv_nr_free_frames(w.hv), left);
    while ((page[nr] = kernel_page_alloc(k)))
        nr++;
    EQ(nr, left);
    EQ(kernel_pages_alloc(k, 1, half), -ENOMEM);
    /* No two consecutive frames are left, but single ones are. */
    for (unsigned i = 0; i + 1 < nr; i += 2)
        kernel_page_put(k, page[i]);
    EQ(kernel_pages_alloc(k, nr / 2 + 1, half), -ENOMEM);
    EQ(hv_nr_free_frames(w.hv), nr / 2);
    EQ(kernel_pages_alloc(k, nr / 2, half), 0);
    for (unsigned i = 0; i < nr / 2; i++)
        kernel_page_put(k, half[i]);
    for (unsigned i = 1; i < nr; i += 2)
        kernel_page_put(k, page[i]);
    if (nr % 2)
        kernel_page_put(k, page[nr - 1]);
    EQ(hv_nr_free_frames(w.hv), left);
    world_down();
}

/* ---- Version changes behind the kernel's back ------------------------------------------------ */

static long user_set_version(struct file *privcmd, uint32_t version)
{
    struct gnttab_set_version op = { .version = version };
    privcmd_hypercall_t call = { .op = __HYPERVISOR_grant_table_op,
                                 .arg = { GNTTABOP_set_version, (uintptr_t)&op, 1 } };

    return do_ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call);
}

SUITE("gnttab-version", "pv pvh");

TEST("a process that switches the table's version wipes its grants, and the kernel goes on in the "
     "new format")
{
    struct kernel_page *page;
    struct file *v;
    grant_ref_t head;

    up_version(1, 4);
    v = open_dev(0, "privcmd");
    page = kernel_page_alloc(k);
    EQ(gnttab_alloc_grant_references(k, 700, &head), 0);
    gnttab_grant_foreign_access_ref(k, 8, 1, kernel_page_frame(page), false);
    EQ(user_set_version(v, 1), 0);
    EQ(entry_flags(0, 8), GTF_permit_access);
    EQ(user_set_version(v, 2), 0);
    EQ(entry_flags(0, 8), 0);
    /* All 1024 references still have entries, so the kernel goes on in the new format. */
    EQ(info(0).nr_grant_frames, 4);
    EQ(grant(page), 708);
    EQ(entry_flags(0, 708), GTF_permit_access);
    OK(gnttab_try_end_foreign_access(k, 8));
    OK(gnttab_try_end_foreign_access(k, 708));
    audit_clean();
    EQ(user_set_version(v, 1), 0);
    EQ(grant(page), 708);
    EQ(entry_flags(0, 708), GTF_permit_access);
    gnttab_end_foreign_access(k, 708, NULL);
    kernel_page_put(k, page);
    close_dev(v);
    audit_clean();
    world_down();
}

TEST("references without an entry in the new version are not given until there is one again")
{
    struct kernel_page *page;
    struct file *v;
    grant_ref_t head;

    up_version(1, 2);
    v = open_dev(0, "privcmd");
    page = kernel_page_alloc(k);
    EQ(gnttab_alloc_grant_references(k, 700, &head), 0);
    EQ(user_set_version(v, 2), 0);
    /* 512 entries are left, and 700 references are in use: none can be given until one below 512 is
     * freed. */
    EQ(grant(page), -ENOSPC);
    gnttab_free_grant_reference(k, 600);
    EQ(grant(page), -ENOSPC);
    gnttab_free_grant_reference(k, 500);
    EQ(grant(page), 500);
    EQ(entry_flags(0, 500), GTF_permit_access);
    /* An entry that is not there grants nothing, and can be ended. */
    gnttab_grant_foreign_access_ref(k, 601, 1, kernel_page_frame(page), false);
    OK(!gnttab_query_foreign_access(k, 601));
    OK(gnttab_end_foreign_access_ref(k, 601));
    gnttab_end_foreign_access(k, 500, NULL);
    audit_clean();
    EQ(user_set_version(v, 1), 0);
    EQ(grant(page), 500);
    gnttab_end_foreign_access(k, 500, NULL);
    EQ(gnttab_alloc_grant_references(k, 1024 - 708 + 2, &head), 0);
    EQ(gnttab_alloc_grant_references(k, 1, &head), -ENOSPC);
    audit_clean();
    kernel_page_put(k, page);
    close_dev(v);
    world_down();
}
