/* SPDX-License-Identifier: MIT */
/* The machine's frames and a domain's memory: allocation, release, paging, references of
 * servers. */
#include "harness.h"

#include "hv_i.h"

SUITE("memory");

#define HOST GNTMAP_host_map

TEST("a machine needs memory")
{
    struct hv_config config = { .nr_frames = 16 };
    struct hv *hv = NULL;
    void *memory = aligned_alloc(4096, 32 * 4096);

    EQ(hv_create(&hv, &config), -EINVAL);
    config.memory = (char *)memory + 8;
    EQ(hv_create(&hv, &config), -EINVAL);
    config.memory = memory;
    config.nr_frames = 15;
    EQ(hv_create(&hv, &config), -EINVAL);
    config.nr_frames = MAX_FRAMES + 1;
    EQ(hv_create(&hv, &config), -EINVAL);
    OK(!hv);
    config.nr_frames = 16;
    EQ(hv_create(&hv, &config), 0);
    OK(hv_profile(hv) == &hv_profile_xen_4_17);
    EQ(hv_nr_frames(hv), 16);
    EQ(hv_nr_free_frames(hv), 15);
    OK(hv_frame(hv, 15) == (char *)memory + 15 * 4096);
    OK(!hv_frame(hv, 16));
    hv_destroy(hv);
    hv_destroy(NULL);
    free(memory);
}

/* As a file system that has room for so many frames, and for no more. */
static int room_for(void *ctx, uint64_t nr_frames)
{
    const uint64_t *room = ctx;

    return nr_frames <= *room ? 0 : -ENOSPC;
}

TEST("memory that has no room is memory that is not there")
{
    void *memory = aligned_alloc(4096, 64 * 4096);
    uint64_t room = 0, first, more;
    int64_t gfn;
    struct hv_config config = { .memory = memory, .nr_frames = 64, .hooks.memory_grows = room_for,
                                .hook_ctx = &room };
    struct hv_domain_config domain;
    struct hv *hv = NULL;

    memset(memory, 0, 64 * 4096);
    hv_domain_config_init(&domain);
    domain.max_pages = 100;
    EQ(hv_create(&hv, &config), 0);
    EQ(hv_domain_create(hv, 1, &domain), -ENOMEM);
    EQ(hv_domain_state(hv, 1), -ESRCH);
    room = 32;
    EQ(hv_domain_create(hv, 1, &domain), 0);
    EQ(hv_page_alloc_run(hv, 1, 40, &first), -ENOMEM);
    gfn = hv_page_alloc_run(hv, 1, 8, &first);
    OK(gfn >= 0);
    while (hv_page_alloc_run(hv, 1, 1, &more) >= 0)
        OK(more < 32);
    EQ(hv_audit(hv, stderr), 0);
    EQ(hv_page_free(hv, 1, (uint64_t)gfn), 0);
    OK(hv_page_alloc_run(hv, 1, 1, &more) >= 0);         /* what was used once has its room */
    EQ(hv_page_alloc_run(hv, 1, 1, &more), -ENOMEM);
    room = 64;
    OK(hv_page_alloc_run(hv, 1, 1, &more) >= 0);
    EQ(hv_audit(hv, stderr), 0);
    hv_destroy(hv);
    free(memory);
}

TEST_KINDS("domain numbers are those that can be", "life:5/domid")
{
    struct hv_domain_info none;

    EQ(add_domain(DOMID_FIRST_RESERVED, kind, false, 0), -EINVAL);
    EQ(add_domain(DOMID_SELF, kind, false, 0), -EINVAL);
    EQ(add_domain(0xffff, kind, false, 0), -EINVAL);
    EQ(add_domain(1, kind, false, 0), -EEXIST);
    EQ(add_domain(DOMID_FIRST_RESERVED - 1, kind, false, 2), 0);
    EQ(add_domain(300, kind, false, UINT64_MAX), -EINVAL);
    EQ(add_domain(300, kind, false, 100000), -EINVAL);
    EQ(add_domain(300, kind, false, 1000), -ENOMEM);
    EQ(hv_domain_state(w.hv, 300), -ESRCH);
    audit_clean();
    EQ(hv_domain_next(w.hv, -5), 0);
    EQ(hv_domain_next(w.hv, 4), DOMID_FIRST_RESERVED - 1);
    EQ(hv_domain_next(w.hv, DOMID_FIRST_RESERVED), -1);
    EQ(hv_domain_info(w.hv, 300, &none), -ESRCH);
    EQ(hv_domain_destroy(w.hv, 300), -ESRCH);
    OK(!hv_grant_frame(w.hv, 300, 0) && !hv_grant_frame(w.hv, 1, 1));
    OK(!hv_status_frame(w.hv, 300, 0) && !hv_status_frame(w.hv, 1, 0));
    OK(!hv_shared_info(w.hv, 300));
    EQ(hv_nr_grant_frames(w.hv, 300), 0);
    EQ(hv_grant_frame_mfn(w.hv, 300, 0), HV_INVALID_MFN);
    EQ(hv_status_frame_mfn(w.hv, 1, 0), HV_INVALID_MFN);
    EQ(hv_shared_info_mfn(w.hv, 300), HV_INVALID_MFN);
    EQ(frame(hv_shared_info_mfn(w.hv, 1)).owner, -2);
    EQ(frame(0).owner, -2);
}

TEST_KINDS("a page limit bounds a domain")
{
    struct hv_domain_config config;
    uint64_t mfn;

    hv_domain_config_init(&config);
    config.auto_translated = kind == HVM;
    config.nr_pages = 5;
    config.max_pages = 4;
    EQ(add_domain_with(5, &config), -EINVAL);
    config.max_pages = 7;
    EQ(add_domain_with(5, &config), 0);
    EQ(info(5).max_pages, 7);
    EQ(hv_page_alloc_run(w.hv, 5, 3, &mfn), -ENOMEM);
    EQ(hv_page_alloc_run(w.hv, 5, 8, &mfn), -ENOMEM);
    EQ(hv_page_alloc_run(w.hv, 5, UINT64_MAX, &mfn), -ENOMEM);
    EQ(hv_page_alloc_run(w.hv, 5, 2, &mfn), 5);
    EQ(hv_page_alloc(w.hv, 5, NULL), -ENOMEM);
    EQ(hv_page_out(w.hv, 5, 1), 0);                  /* what is out does not count */
    EQ(hv_page_alloc(w.hv, 5, NULL), 7);
    EQ(info(1).max_pages, 16 + 1024);
    EQ(hv_page_alloc(w.hv, 999, NULL), -ESRCH);
    EQ(hv_page_alloc_run(w.hv, 5, 0, &mfn), -EINVAL);
    audit_clean();
}

TEST("lowest frames come first and runs are consecutive")
{
    uint64_t mfn, run, first;

    world_empty(1024, NULL);
    EQ(add_domain(1, PV, false, 0), 0);              /* takes frames 1 and 2 */
    EQ(hv_page_alloc(w.hv, 1, &mfn), 0);
    EQ(mfn, 3);
    for (int i = 1; i < 200; i++)
        EQ(hv_page_alloc(w.hv, 1, &mfn), i);
    EQ(mfn, 202);
    /* Holes at frames 13 and 103..106, and the gfns with them. */
    EQ(hv_page_free(w.hv, 1, 10), 0);
    for (uint64_t gfn = 100; gfn < 104; gfn++)
        EQ(hv_page_free(w.hv, 1, gfn), 0);
    EQ(hv_page_alloc_run(w.hv, 1, 2, &run), 100);
    EQ(run, 103);
    /* no room in the hole: neither of gfns nor of frames */
    EQ(hv_page_alloc_run(w.hv, 1, 3, &run), 200);
    EQ(run, 203);
    EQ(hv_page_alloc(w.hv, 1, &mfn), 10);
    EQ(mfn, 13);
    EQ(hv_page_alloc(w.hv, 1, &mfn), 102);
    EQ(mfn, 105);
    first = hv_nr_free_frames(w.hv);
    /* frame 106 is one of them */
    EQ(hv_page_alloc_run(w.hv, 1, first, &run), -ENOMEM);
    EQ(hv_page_alloc_run(w.hv, 1, first - 1, &run), 203);
    EQ(run, 206);
    EQ(hv_page_alloc(w.hv, 1, &mfn), 103);
    EQ(mfn, 106);
    EQ(hv_page_alloc(w.hv, 1, &mfn), -ENOMEM);
    EQ(hv_nr_free_frames(w.hv), 0);
    audit_clean();
    w.freed = 0;
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_nr_free_frames(w.hv), 1023);
    EQ(w.freed, 1023);
    audit_clean();
    world_down();
}

/* More frames than one summary word covers: 64 * 64. */
TEST("a large machine finds its frames too")
{
    uint64_t mfn, run;

    world_empty(10000, NULL);
    EQ(add_domain(1, PV, false, 0), 0);
    domain_lookup(w.hv, 1)->max_pages = 20000;
    EQ(hv_page_alloc_run(w.hv, 1, 9000, &run), 0);
    EQ(hv_page_alloc(w.hv, 1, &mfn), 9000);
    EQ(mfn, 9003);
    EQ(hv_page_alloc_run(w.hv, 1, 5000, &run), -ENOMEM);
    EQ(hv_page_free(w.hv, 1, 4500), 0);
    EQ(hv_page_alloc(w.hv, 1, &mfn), 4500);
    EQ(mfn, 4503);
    while (hv_page_alloc(w.hv, 1, &mfn) >= 0)
        ;
    EQ(mfn, 9999);
    audit_clean();
    world_down();
}

TEST_KINDS("a page comes zeroed however it was left")
{
    uint64_t mfn, again;
    int64_t gfn = hv_page_alloc(w.hv, 1, &mfn);

    memset(hv_frame(w.hv, mfn), 0xff, 4096);
    EQ(hv_page_free(w.hv, 1, (uint64_t)gfn), 0);
    EQ(frame(mfn).owner, -1);
    EQ(w.freed, 1);
    EQ(hv_page_alloc(w.hv, 2, &again), 16);
    EQ(again, mfn);
    for (int i = 0; i < 4096; i++)
        EQ(((uint8_t *)hv_frame(w.hv, mfn))[i], 0);
}

TEST_KINDS("a page can be given up",
           "life:3-granter/remove life:3-granter/replace life:3-grantee/remove")
{
    uint64_t mfn = mfn_of(1, 3), out;
    uint32_t handle;

    EQ(hv_page_free(w.hv, 999, 3), -ESRCH);
    EQ(hv_page_free(w.hv, 1, 99), -EINVAL);
    EQ(hv_page_free(w.hv, 1, UINT64_MAX), -EINVAL);
    EQ(hv_page_free(w.hv, 1, 3), 0);
    EQ(hv_page_free(w.hv, 1, 3), -EINVAL);
    EQ(hv_gfn_to_mfn(w.hv, 1, 3, &out), -ENOENT);
    EQ(hv_grant_frame_number(w.hv, 1, 3, &out), -ENOENT);
    EQ(hv_gfn_to_mfn(w.hv, 999, 3, &out), -ESRCH);
    EQ(hv_grant_frame_number(w.hv, 999, 3, &out), -ESRCH);
    EQ(frame(mfn).owner, -1);
    /* Mapped by another: it lives on, still its owner's. */
    grant(1, 8, 2, 4, 0);
    mfn = mfn_of(1, 4);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    memset(page(1, 4), 0x42, 4096);
    EQ(hv_page_free(w.hv, 1, 4), 0);
    EQ(frame(mfn).owner, 1);
    EQ(frame(mfn).refs, 1);
    EQ(*(uint8_t *)hv_frame(w.hv, mfn), 0x42);
    OK(!frame(mfn).allocated);
    EQ(info(1).tot_pages, 15);
    audit_clean();
    /* Another page at that gfn: only the next first pin sees it. */
    EQ(hv_page_alloc(w.hv, 1, NULL), 3);
    EQ(hv_page_alloc(w.hv, 1, NULL), 4);
    EQ(entry(1, 8).mfn, mfn);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(frame(mfn).owner, -1);
    EQ(info(1).tot_pages, 16);
    grant(1, 8, 2, 4, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(entry(1, 8).mfn, mfn_of(1, 4));
    audit_clean();
    if (kind == HVM) {
        EQ(hv_page_free(w.hv, 2, 256), -ENXIO);      /* a grant can only be unmapped */
        EQ(unmap(2, handle, A(1)), GNTST_okay);
    }
}

TEST_KINDS("a page in use is not paged out",
           "life:3-granter/page-out ops:1.5/busy page:1/map page:1/released page:1/repeat "
           "page:2/types")
{
    uint32_t handle;
    uint64_t mfn = mfn_of(1, 3), out;

    EQ(hv_page_out(w.hv, 999, 3), -ESRCH);
    EQ(hv_page_in(w.hv, 999, 3), -ESRCH);
    EQ(hv_page_out(w.hv, 1, 99), -ENOENT);
    EQ(hv_page_in(w.hv, 1, 99), -ENOENT);
    EQ(hv_page_in(w.hv, 1, 3), -ENOENT);
    grant(1, 8, 2, 3, GTF_readonly);
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(1), &handle), GNTST_okay);
    EQ(hv_page_out(w.hv, 1, 3), -EBUSY);
    if (kind == HVM)
        EQ(hv_page_out(w.hv, 2, 256), -EBUSY);       /* a grant */
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    hv_frame_get(w.hv, mfn);                         /* a server's reference does not count */
    memset(page(1, 3), 0x33, 4096);
    EQ(hv_page_out(w.hv, 1, 3), 0);
    EQ(hv_page_out(w.hv, 1, 3), -EBUSY);
    EQ(info(1).tot_pages, 15);
    EQ(info(1).paged_pages, 1);
    EQ(hv_gfn_to_mfn(w.hv, 1, 3, &out), -EAGAIN);
    EQ(number(1, 3), kind == PV ? mfn : 3);          /* it keeps its name */
    audit_clean();
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(1), &handle), GNTST_eagain);
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(1), &handle), GNTST_eagain);
    EQ(w.populates, 1);                              /* a foreign access asks once per page-out */
    EQ(flags_of(1, 8), GTF_permit_access | GTF_readonly);
    EQ(hv_page_out(w.hv, 1, 3), -EBUSY);
    audit_clean();
    EQ(hv_page_in(w.hv, 1, 3), 0);
    EQ(*(uint8_t *)page(1, 3), 0x33);
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(1), &handle), GNTST_okay);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(hv_page_out(w.hv, 1, 3), 0);
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(1), &handle), GNTST_eagain);
    EQ(w.populates, 2);
    hv_frame_put(w.hv, mfn);
    audit_clean();
    /* Given up while it is out, and at death. */
    EQ(hv_page_free(w.hv, 1, 3), 0);
    EQ(info(1).paged_pages, 0);
    EQ(info(1).tot_pages, 15);
    EQ(frame(mfn).owner, -1);
    EQ(hv_page_out(w.hv, 1, 5), 0);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    audit_clean();
}

TEST_KINDS("a frame that is held is not handed out")
{
    uint64_t mfn = mfn_of(1, 3), free_frames = hv_nr_free_frames(w.hv), other;

    hv_frame_get(w.hv, mfn);
    hv_frame_get(w.hv, mfn);
    EQ(frame(mfn).held, 2);
    EQ(frame(mfn).refs, 1);
    EQ(hv_page_free(w.hv, 1, 3), 0);
    EQ(frame(mfn).owner, -1);
    EQ(frame(mfn).gfn, UINT64_MAX);
    EQ(hv_nr_free_frames(w.hv), free_frames);
    EQ(w.freed, 0);
    EQ(info(1).tot_pages, 15);
    audit_clean();
    EQ(hv_page_alloc(w.hv, 1, &other), 3);
    OK(other != mfn);
    EQ(hv_domain_destroy(w.hv, 1), 0);               /* it does not keep its former owner */
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    hv_frame_put(w.hv, mfn);
    EQ(frame(mfn).held, 1);
    OK(!frame_is_free(w.hv, mfn));
    hv_frame_put(w.hv, mfn);
    OK(frame_is_free(w.hv, mfn));
    audit_clean();
    /* While the frame is in use, holding and letting go changes nothing. */
    mfn = mfn_of(2, 3);
    hv_frame_get(w.hv, mfn);
    hv_frame_put(w.hv, mfn);
    EQ(frame(mfn).owner, 2);
    EQ(hv_frame_info(w.hv, w.nr_frames, &(struct hv_frame_info){ 0 }), -EINVAL);
}

TEST_KINDS("freed frames are reported in runs")
{
    EQ(hv_page_free(w.hv, 1, 4), 0);
    EQ(w.freed, 1);
    EQ(hv_page_free(w.hv, 1, 5), 0);
    EQ(hv_page_free(w.hv, 1, 3), 0);
    EQ(w.freed, 3);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(w.freed, 16 + 2);
    EQ(hv_domain_destroy(w.hv, 3), 0);
    EQ(w.freed, 2 * (16 + 2));
}

TEST_KINDS("mappings can be looked at one after the other")
{
    struct hv_mapping_info m;

    grant(1, 8, 2, 3, 0);
    EQ(hv_mapping_next(w.hv, 2, 0, &m), -ENOENT);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(2), NULL), GNTST_okay);
    EQ(unmap(2, 0, A(1)), GNTST_okay);
    EQ(hv_mapping_next(w.hv, 2, 0, &m), 0);
    EQ(m.handle, 1);
    EQ(m.granter, 1);
    EQ(m.ref, 8);
    EQ(m.gntmap_flags, HOST | GNTMAP_readonly);
    EQ(hv_mapping_next(w.hv, 2, 2, &m), -ENOENT);
    EQ(hv_mapping_next(w.hv, 2, UINT32_MAX, &m), -ENOENT);
    EQ(hv_mapping_next(w.hv, 999, 0, &m), -ESRCH);
    EQ(hv_entry_info(w.hv, 999, 0, &(struct hv_entry_info){ 0 }), -ESRCH);
    EQ(hv_entry_info(w.hv, 1, 512, &(struct hv_entry_info){ 0 }), -EINVAL);
}

/* A guest that names gfns all over the place uses nodes of the physmap, but not without end. */
TEST("sparse mappings are bounded")
{
    unsigned okay = 0, refused = 0;

    world_up(HVM, NULL);
    grant(1, 8, 2, 3, GTF_readonly);
    for (uint64_t i = 1; i < 2000; i++) {
        uint32_t handle;
        int status = map(2, 1, 8, HOST | GNTMAP_readonly, i << 30 << 12, &handle);

        if (status == GNTST_okay) {
            okay++;
            EQ(unmap(2, handle, i << 30 << 12), GNTST_okay);
        } else {
            refused++;
            EQ(status, GNTST_general_error);
        }
    }
    EQ(okay + refused, 1999);
    for (uint64_t i = 1; i < 60; i++)
        for (uint64_t k = 0; k < 40; k++) {
            uint32_t handle;
            int status = map(2, 1, 8, HOST | GNTMAP_readonly, (i << 30 | k << 9) << 12, &handle);

            if (status == GNTST_okay)
                EQ(unmap(2, handle, (i << 30 | k << 9) << 12), GNTST_okay);
        }
    OK(domain_lookup(w.hv, 2)->p2m.nr_nodes <= domain_lookup(w.hv, 2)->p2m.max_nodes);
    audit_clean();
    world_down();
}

TEST_HVM("a full physmap is refused", "ops:1.4/i")
{
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    domain_lookup(w.hv, 2)->p2m.max_nodes = domain_lookup(w.hv, 2)->p2m.nr_nodes;
    EQ(map(2, 1, 8, HOST, UINT64_C(1) << 40, NULL), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access);
    EQ(map(2, 1, 8, HOST, 0x20000, &handle), GNTST_okay);       /* where there are nodes */
    EQ(hv_page_alloc_run(w.hv, 2, 500, NULL), -ENOMEM);
    audit_clean();
}

/* Many at once, so that the table of host mappings grows and shrinks with collisions. */
TEST_PV("host mappings are found among many")
{
    static uint32_t handles[3000];

    grant(1, 8, 2, 3, GTF_readonly);
    for (uint32_t ref = 9; ref < 40; ref++)
        grant(1, ref, 2, ref % 16, 0);
    for (int i = 0; i < 3000; i++)
        EQ(map(2, 1, 9 + (uint32_t)i % 30, HOST | (i / 1500 ? GNTMAP_readonly : 0),
               (uint64_t)(i + 1) * 4096, &handles[i]), 0);
    audit_clean();
    for (int i = 0; i < 3000; i += 2)
        EQ(unmap(2, handles[i], (uint64_t)(i + 1) * 4096), 0);
    audit_clean();
    for (int i = 0; i < 3000; i += 2)
        EQ(unmap(2, handles[i], (uint64_t)(i + 1) * 4096), GNTST_bad_handle);
    for (int i = 2999; i > 0; i -= 2)
        EQ(unmap(2, handles[i], (uint64_t)(i + 1) * 4096), 0);
    EQ(info(2).maptrack_in_use, 0);
}
