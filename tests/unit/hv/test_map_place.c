/* SPDX-License-Identifier: MIT */
/* GNTTABOP_map_grant_ref: which frames can be mapped, and where the mapping goes. */
#include "scene_map.h"

#include "hv_i.h"

SUITE("map-place");

/* ---- What frames can be mapped --------------------------------------------------------------- */

TEST_HVM("an auto-translated granter names gfns",
         "ops:1.1/9 ops:1.3/ram ops:1.3/paged ops:1.3/hole ops:1.3/grant page:1/map "
         "page:1/released")
{
    static const struct {
        const char *what;
        uint64_t gfn;
        int status;
    } cases[] = {
        { "memory", 3, GNTST_okay }, { "a hole", 40, GNTST_bad_page },
        { "no frame at all", 0xfffffff0u, GNTST_bad_page },
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

TEST_PV("a PV granter names frames that it owns", "ops:1.3/pv")
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

/* ---- Where an auto-translated caller puts it ------------------------------------------------- */

TEST_HVM("a mapping replaces what is at its gfn",
         "ops:1.4/b ops:1.4/e ops:1.4/f ops:1.4/i ops:2.2/hvm life:3/physmap")
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

TEST_HVM("mapping an own page takes it from where it was", "ops:1.4/h life:3/m2p")
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

TEST_HVM("a grant on top of a grant crashes the caller", "ops:1.4/c life:3-grantee/overwrite")
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

TEST_HVM("flags beyond read-only are refused", "ops:1.4/a")
{
    grant(1, 8, 2, 3, 0);
    EQ(refused(2, 1, 8, HOST | 0x10000, A(1)), GNTST_general_error);
    EQ(refused(2, 1, 8, HOST | 0x20, A(1)), GNTST_general_error);
    EQ(flags_of(1, 8), GTF_permit_access);
}

TEST_HVM("a gfn that cannot exist is refused", "ops:1.4/i")
{
    grant(1, 8, 2, 3, 0);
    EQ(refused(2, 1, 8, HOST, UINT64_MAX), GNTST_general_error);
    EQ(refused(2, 1, 8, HOST, P2M_MAX_GFN * 4096), GNTST_general_error);
    EQ(map(2, 1, 8, HOST, (P2M_MAX_GFN - 1) * 4096, NULL), GNTST_okay);
    audit_clean();
}

/* ---- Through hv_pv_ops ----------------------------------------------------------------------- */

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

TEST_PV("a PV domain's own address space is asked", "ops:1.4/pv life:4/pv")
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
    EQ(map(5, 1, 8, HOST | GNTMAP_contains_pte | GNTMAP_application_map, 0x1234567, &handle),
       GNTST_okay);
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

TEST_HVM("a page that its own domain mapped is nothing but ones when nobody maps it any more")
{
    uint64_t mfn = mfn_of(1, 3), gfn = 0;
    uint32_t own, others;

    memset(page(1, 3), 0x33, 4096);
    hv_frame_get(w.hv, mfn);
    grant(1, 8, 1, 3, 0);
    grant(1, 9, 2, 3, 0);
    EQ(map(2, 1, 9, HOST, A(2), &others), GNTST_okay);
    EQ(map(1, 1, 8, HOST, A(1), &own), GNTST_okay);
    OK(!hv_frame_lost(w.hv, mfn, &gfn));
    EQ(unmap(1, own, A(1)), GNTST_okay);
    EQ(*(uint8_t *)hv_frame(w.hv, mfn), 0x33);
    EQ(unmap(2, others, A(2)), GNTST_okay);
    EQ(*(uint8_t *)hv_frame(w.hv, mfn), 0xff);
    EQ(*((uint8_t *)hv_frame(w.hv, mfn) + 4095), 0xff);
    OK(hv_frame_lost(w.hv, mfn, &gfn));
    EQ(gfn, 3);
    EQ(hv_page_touch(w.hv, 1, 3), -ENOENT);
    EQ(map(1, 1, 8, HOST, A(1), NULL), GNTST_bad_page);
    OK(!hv_frame_lost(w.hv, mfn_of(1, 4), &gfn));
    hv_frame_put(w.hv, mfn);
    audit_clean();
}
