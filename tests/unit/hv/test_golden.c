/* SPDX-License-Identifier: MIT */
/*
 * What a real Xen 4.17.7 answered to hypercalls of a privileged PV domain that grants to itself
 * (tests/conformance/record, probes d01_xencall and z01_setversion), asked again without the kernel
 * in between. The expected values are recorded facts.
 */
#include "harness.h"

#include "hv_i.h"

SUITE("golden");

#define HOST GNTMAP_host_map

/* Domain 0: references 8 and 9 are writable, 10 read-only, the table has 512 entries. */
static void prepare(void)
{
    world_up(PV, &hv_profile_xen_4_17);
    grant(0, 8, 0, 1, 0);
    grant(0, 9, 0, 2, 0);
    grant(0, 10, 0, 3, GTF_readonly);
    memset(page(0, 1), 0x21, 4096);
    memset(page(0, 3), 0x43, 4096);
}

static long call(unsigned cmd, void *arg, unsigned count)
{
    return hv_grant_table_op(w.hv, 0, cmd, arg, count);
}

TEST("queries answer as recorded")
{
    static const struct {
        domid_t dom;
        int status;
        long version_rc;
    } cases[] = {
        { DOMID_SELF, 0, 0 }, { 0, 0, 0 }, { 999, -2, -ESRCH }, { DOMID_IO, -2, -ESRCH },
        { DOMID_XEN, -2, -ESRCH },
    };

    prepare();
    for (size_t i = 0; i < 5; i++) {
        struct gnttab_query_size qs = { .dom = cases[i].dom, .status = 77 };
        struct gnttab_get_version gv = { .dom = cases[i].dom, .version = 99 };
        struct gnttab_get_status_frames sf = { .dom = cases[i].dom, .nr_frames = 1, .status = 77 };
        struct gnttab_setup_table st = { .dom = cases[i].dom, .nr_frames = 100000, .status = 77 };

        EQ(call(GNTTABOP_query_size, &qs, 1), 0);
        EQ(qs.status, cases[i].status);
        EQ(qs.max_nr_frames, cases[i].status ? 0 : 64);
        EQ(call(GNTTABOP_get_version, &gv, 1), cases[i].version_rc);
        EQ(gv.version, cases[i].version_rc ? 99 : 1);
        EQ(call(GNTTABOP_get_status_frames, &sf, 1), 0);
        EQ(sf.status, cases[i].status ? cases[i].status : -1);
        EQ(call(GNTTABOP_setup_table, &st, 1), 0);
        EQ(st.status, cases[i].status ? cases[i].status : -1);
    }
    world_down();
}

TEST("the entry path answers as recorded")
{
    uint64_t buffer[64] = { 0 };
    struct window win = { .from = (uintptr_t)buffer, .to = (uintptr_t)(buffer + 64) };

    prepare();
    EQ(call(GNTTABOP_query_size, buffer, 0), -EINVAL);
    EQ(call(GNTTABOP_query_size, buffer, 2), -EINVAL);
    EQ(grant_op_in(0, GNTTABOP_query_size, 0x1000, 1, &win), -EFAULT);
    EQ(call(99, buffer, 1), -ENOSYS);
    EQ(call(0xffffffff, buffer, 1), -EINVAL);
    EQ(call(99, buffer, 0xffffffff), -EINVAL);
    EQ(call(GNTTABOP_map_grant_ref, buffer, 0xffffffff), -EINVAL);
    EQ(hv_hypercall(w.hv, 0, 63, (const uint64_t[5]){ 0 }, &hv_plain_memory), -ENOSYS);
    EQ(call(GNTTABOP_dump_table, buffer, 1), -ENOSYS);
    world_down();
}

TEST("maps answer as recorded")
{
    static const struct {
        const char *name;
        domid_t dom;
        uint32_t ref, flags;
        uint64_t addr;
        int status;
    } cases[] = {
        { "badref", 0, 5000, HOST, 0x1000, -3 }, { "hugeref", 0, 0xffffffff, HOST, 0x1000, -3 },
        { "unusedref", 0, 400, HOST, 0x1000, -1 }, { "reservedref", 0, 1, HOST, 0x1000, -1 },
        { "nodom", 999, 8, HOST, 0x1000, -2 }, { "DOMID_SELF", DOMID_SELF, 8, HOST, 0x1000, -2 },
        { "DOMID_IO", DOMID_IO, 8, HOST, 0x1000, -2 }, { "flags0", 0, 8, 0, 0x1000, -3 },
        { "flags0-badref", 0, 5000, 0, 0x1000, -3 }, { "ro-rw", 0, 10, HOST, 0x1000, -1 },
        { "pte-badaddr", 0, 8, HOST | GNTMAP_contains_pte, 0xfffffffffffff001, -1 },
    };
    uint32_t handle;
    uint64_t bus;

    prepare();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EQ(map(0, cases[i].dom, cases[i].ref, cases[i].flags, cases[i].addr, NULL),
           cases[i].status);
    EQ(map_dev(0, 0, 8, 0, &handle, &bus), 0);
    OK(bus != 0);
    EQ(unmap_parts(0, handle, 0, bus + 4096), -6);
    EQ(unmap_parts(0, handle, 0, bus), 0);
    EQ(unmap_parts(0, handle, 0, bus), -4);
    for (int i = 0; i < 3; i++) {
        static const uint32_t bad[] = { 0x7000, 0xffffffff, 0x70000000 };

        EQ(unmap(0, bad[i], 0x1000), -4);
        EQ(replace(0, bad[i], 0x1000, 0x2000), -4);
    }
    audit_clean();
    world_down();
}

TEST("copies answer as recorded")
{
    static const struct {
        const char *name;
        domid_t sd;
        uint32_t sr, so;
        domid_t dd;
        uint32_t dr, dof, len, fl;
        int status;
    } cases[] = {
        { "ok", 0, 8, 0, 0, 9, 0, 64, 3, 0 }, { "len0", 0, 8, 0, 0, 9, 0, 0, 3, 0 },
        { "len0-badref", 0, 5000, 0, 0, 9, 0, 0, 3, -3 },
        { "src-cross", 0, 8, 4090, 0, 9, 0, 64, 3, -10 },
        { "dst-cross", 0, 8, 0, 0, 9, 4090, 64, 3, -10 },
        { "off-4096-len0", 0, 8, 4096, 0, 9, 0, 0, 3, 0 },
        { "len-4097", 0, 8, 0, 0, 9, 0, 4097, 3, -10 },
        { "src-badref", 0, 5000, 0, 0, 9, 0, 64, 3, -3 },
        { "dst-badref", 0, 8, 0, 0, 5000, 0, 64, 3, -3 },
        { "src-hugeref", 0, 0xffffffff, 0, 0, 9, 0, 64, 3, -3 },
        { "dst-readonly", 0, 8, 0, 0, 10, 0, 64, 3, -1 },
        { "src-readonly", 0, 10, 0, 0, 9, 0, 64, 3, 0 },
        { "src-nodom", 999, 8, 0, 0, 9, 0, 64, 3, -2 },
        { "dst-nodom", 0, 8, 0, 999, 9, 0, 64, 3, -2 },
        { "DOMID_SELF-grefs", DOMID_SELF, 8, 0, DOMID_SELF, 9, 0, 64, 3, 0 },
        { "both-bad", 0, 5000, 0, 999, 5000, 0, 64, 3, -2 },
        { "flags0-self-badgmfn", DOMID_SELF, 0xffffffff, 0, DOMID_SELF, 0xffffffff, 0, 64, 0, -9 },
        { "flags0-notself", 999, 1, 0, 999, 1, 0, 64, 0, -2 },
        { "unknown-flags", 0, 8, 0, 0, 9, 0, 64, 0xff, 0 },
        { "same-page", 0, 8, 0, 0, 8, 128, 64, 3, 0 },
    };

    prepare();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gnttab_copy c = { .source = { .domid = cases[i].sd,
                                             .offset = (uint16_t)cases[i].so },
                                 .dest = { .domid = cases[i].dd, .offset = (uint16_t)cases[i].dof },
                                 .len = (uint16_t)cases[i].len, .flags = (uint16_t)cases[i].fl };

        c.source.u.gmfn = cases[i].fl & 1 ? cases[i].sr : 0xffffffffff;
        c.dest.u.gmfn = cases[i].fl & 2 ? cases[i].dr : 0xffffffffff;
        EQ(copy_element(0, c), cases[i].status);
    }
    EQ(*(uint8_t *)page(0, 2), 0x21);
    audit_clean();
    world_down();
}

TEST("the other operations answer as recorded")
{
    struct gnttab_cache_flush cf = { .length = 0 };

    prepare();
    EQ(transfer(0, 0xffffffffff, 999, 1), -9);
    EQ(swap(0, 5000, 5001), -3);
    EQ(swap(0, 8, 8), 0);
    EQ(call(GNTTABOP_cache_flush, &cf, 1), 0);
    cf = (struct gnttab_cache_flush){ .a.ref = 8, .offset = 4000, .length = 200,
                                      .op = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_SOURCE_GREF };
    EQ(call(GNTTABOP_cache_flush, &cf, 1), -EINVAL);
    cf = (struct gnttab_cache_flush){ .length = 8, .op = 0x40 };
    EQ(call(GNTTABOP_cache_flush, &cf, 1), -EINVAL);
    world_down();
}

TEST("version changes answer as recorded", "ops:9/2 ops:9/5 ops:9/10")
{
    static const struct {
        uint32_t ask;
        long rc;
        uint32_t now;
    } seq[] = { { 0, -EINVAL, 1 }, { 3, -EINVAL, 1 }, { 1, 0, 1 }, { 2, 0, 2 }, { 2, 0, 2 },
                { 1, 0, 1 } };
    uint64_t list[1];
    uint32_t now, handle;

    prepare();
    EQ(map(0, 0, 8, HOST, A(1), &handle), 0);
    EQ(set_version(0, 2, &now), -EBUSY);
    EQ(now, 1);
    EQ(set_version(0, 1, &now), 0);
    EQ(now, 1);
    EQ(unmap(0, handle, A(1)), 0);
    EQ(set_version(0, 2, &now), 0);
    EQ(now, 2);
    EQ(set_version(0, 1, &now), 0);
    EQ(now, 1);
    EQ(map(0, 0, 8, HOST, A(1), NULL), -1);          /* wiped */
    for (size_t i = 0; i < sizeof seq / sizeof *seq; i++) {
        EQ(set_version(0, seq[i].ask, &now), seq[i].rc);
        EQ(now, seq[i].now);
        if (i == 3) {
            struct gnttab_get_status_frames sf = { .dom = DOMID_SELF, .nr_frames = 1,
                                                   .status = 77 };

            set_xen_guest_handle(sf.frame_list, list);
            EQ(call(GNTTABOP_get_status_frames, &sf, 1), 0);
            EQ(sf.status, 0);
            sf.nr_frames = 1000;
            EQ(call(GNTTABOP_get_status_frames, &sf, 1), 0);
            EQ(sf.status, -1);
        }
    }
    grant(0, 8, 0, 1, 0);
    EQ(map(0, 0, 8, HOST | GNTMAP_readonly, A(1), NULL), 0);
    world_down();
}
