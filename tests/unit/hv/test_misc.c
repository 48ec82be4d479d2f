/* SPDX-License-Identifier: MIT */
/* GNTTABOP_swap_grant_ref and cache_flush. */
#include "harness.h"

#include "hv_i.h"

SUITE("misc");

#define HOST GNTMAP_host_map

TEST_VERSIONS("swapped entries change places whole",
              "ops:11/swap-same ops:11/swap-busy ops:11/swap ops:11/swap-reserved page:1/swap "
              "ops:0.5/self")
{
    uint32_t handle;

    grant(1, 8, 2, 3, GTF_readonly);
    grant(1, 0, 3, 4, 0);
    if (version == 2) {
        v2(1, 8)->full_page.pad0 = 0xabcd;
        *status2(1, 8) = GTF_reading;       /* set by the guest, but it goes along */
    }
    EQ(swap(1, 8, 0), GNTST_okay);           /* reserved ones are not special */
    EQ(entry(1, 0).frame, number(1, 3));
    EQ(entry(1, 0).domid, 2);
    EQ(flags_of(1, 0), GTF_permit_access | GTF_readonly | (version == 2 ? GTF_reading : 0));
    EQ(entry(1, 8).frame, number(1, 4));
    EQ(entry(1, 8).domid, 3);
    EQ(flags_of(1, 8), GTF_permit_access);
    if (version == 2) {
        EQ(v2(1, 0)->full_page.pad0, 0xabcd);
        *status2(1, 0) = 0;
    }
    EQ(map(2, 1, 0, HOST | GNTMAP_readonly, A(1), &handle), GNTST_okay);
    EQ(swap(1, 0, 8), GNTST_eagain);
    EQ(swap(1, 8, 0), GNTST_eagain);
    EQ(swap(1, 0, 0), GNTST_okay);           /* the same one, even if in use */
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(swap(1, 0, 8), GNTST_okay);
    EQ(entry(1, 8).domid, 2);
}

TEST_VERSIONS("references to swap must exist", "ops:11/swap-refs")
{
    uint32_t past = version == 1 ? 512 : 256;

    EQ(swap(1, past, 0), GNTST_bad_gntref);
    EQ(swap(1, 0, past), GNTST_bad_gntref);
    EQ(swap(1, UINT32_MAX, UINT32_MAX), GNTST_bad_gntref);
    EQ(swap(1, past, past), GNTST_bad_gntref);
    EQ(swap(1, past - 1, 0), GNTST_okay);
}

TEST_KINDS("swap is a batch", "ops:0.3/op11")
{
    struct gnttab_swap_grant_ref ops[3] = { { 512, 0, 77 }, { 8, 9, 77 }, { 9, 10, 77 } };
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 2) };

    grant(1, 8, 2, 3, 0);
    EQ(grant_op_in(1, GNTTABOP_swap_grant_ref, (uintptr_t)ops, 3, &win), -EFAULT);
    EQ(ops[0].status, GNTST_bad_gntref);
    EQ(ops[1].status, GNTST_okay);
    EQ(ops[2].status, 77);
    EQ(flags_of(1, 9), GTF_permit_access);
    win = (struct window){ .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 3),
                           .fail_write_after = 1 };
    EQ(grant_op_in(1, GNTTABOP_swap_grant_ref, (uintptr_t)(ops + 2), 1, &win), -EFAULT);
    EQ(flags_of(1, 10), GTF_permit_access);   /* done all the same */
}

/* ---- cache_flush ----------------------------------------------------------------------------- */

static long flush(domid_t caller, uint64_t addr, unsigned offset, unsigned length, uint32_t op)
{
    struct gnttab_cache_flush f = { .a.dev_bus_addr = addr, .offset = (uint16_t)offset,
                                    .length = (uint16_t)length, .op = op };

    return hv_grant_table_op(w.hv, caller, GNTTABOP_cache_flush, &f, 1);
}

#define CLEAN GNTTAB_CACHE_CLEAN
#define INVAL GNTTAB_CACHE_INVAL

TEST_KINDS("a flush is checked in order",
           "ops:11/flush1 ops:11/flush2 ops:11/flush3 ops:11/flush4 ops:11/flush5 ops:11/flush6")
{
    uint64_t own = mfn_of(2, 3) * 4096, other = mfn_of(1, 3) * 4096, none = w.nr_frames * 4096;
    uint32_t handle;

    EQ(flush(2, none, 4096, 0, 0), -EINVAL);
    EQ(flush(2, none, 0, 4097, 0), -EINVAL);
    EQ(flush(2, none, 4000, 97, CLEAN), -EINVAL);
    EQ(flush(2, none, 0, 0, 4), -EINVAL);
    EQ(flush(2, none, 0, 0, CLEAN | GNTTAB_CACHE_SOURCE_GREF), -EINVAL);
    EQ(flush(2, none, 0, 0, CLEAN), 0);
    EQ(flush(2, none, 0, 8, 0), 0);
    EQ(flush(2, none, 0, 8, CLEAN), -EINVAL);
    EQ(flush(2, UINT64_MAX, 0, 8, CLEAN), -EINVAL);
    EQ(flush(2, 0, 0, 8, CLEAN), -EPERM);                                 /* nobody's */
    EQ(flush(2, (w.nr_frames - 1) * 4096, 0, 8, CLEAN), -EPERM);
    EQ(flush(2, own, 0, 4096, CLEAN), 0);
    EQ(flush(2, own, 4095, 1, INVAL), -EOPNOTSUPP);                       /* x86 cannot */
    EQ(flush(2, other, 4095, 1, INVAL), -EINVAL);
    EQ(flush(2, own, 0, 8, CLEAN | INVAL), 0);
    EQ(flush(2, other, 0, 8, CLEAN), -EINVAL);
    grant(1, 8, 2, 3, 0);
    /* granted is not mapped */
    EQ(flush(2, other, 0, 8, CLEAN), -EINVAL);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(flush(2, other, 0, 8, CLEAN), 0);
    EQ(flush(2, other, 0, 8, INVAL), -EOPNOTSUPP);
    EQ(flush(3, other, 0, 8, CLEAN), -EINVAL);
    EQ(flush(2, mfn_of(1, 4) * 4096, 0, 8, CLEAN), -EINVAL);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flush(2, other, 0, 8, CLEAN), -EINVAL);
    EQ(map(2, 1, 8, HOST | GNTMAP_readonly, A(1), &handle), GNTST_okay);
    EQ(flush(2, other, 0, 8, INVAL), 0);                                  /* a clean, then */
}

TEST_KINDS("the first error ends a flush", "ops:11/flush-error ops:0.4/return")
{
    uint64_t own = mfn_of(2, 3) * 4096;
    struct gnttab_cache_flush ops[3] = {
        { .a.dev_bus_addr = own, .length = 8, .op = CLEAN },
        { .a.dev_bus_addr = own, .length = 8, .op = 0x40 },
        { .a.dev_bus_addr = own, .length = 8, .op = CLEAN },
    };
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 3) };

    EQ(grant_op_in(2, GNTTABOP_cache_flush, (uintptr_t)ops, 3, &win), -EINVAL);
    EQ(win.reads, 2);
    EQ(win.writes, 0);
    EQ(grant_op_in(2, GNTTABOP_cache_flush, (uintptr_t)ops, 1, &win), 0);
    win.to = (uintptr_t)(ops + 1);
    EQ(grant_op_in(2, GNTTABOP_cache_flush, (uintptr_t)ops, 2, &win), -EFAULT);
}

/* The upper bits of the command are where an interrupted one goes on: at which reference. */
TEST_KINDS("a flush goes on where its command says", "ops:0.3/2")
{
    struct gnttab_cache_flush f = { .a.dev_bus_addr = mfn_of(1, 3) * 4096, .length = 8,
                                    .op = CLEAN };

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), NULL), GNTST_okay);
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_cache_flush, &f, 1), 0);
    /* past the entry */
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_cache_flush | 0x1000, &f, 1), -EINVAL);
    f.length = 0;
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_cache_flush | 0x1000, &f, 1), -EILSEQ);
}

#ifdef __x86_64__
TEST("a new hypervisor has no flush on x86", "ops:0.3/op12")
{
    world_up(PV, &hv_profile_xen_4_23);
    EQ(flush(2, mfn_of(2, 3) * 4096, 0, 8, CLEAN), -ENOSYS);
    EQ(flush(2, mfn_of(2, 3) * 4096, 4096, 8, CLEAN), -ENOSYS);
    world_down();
}
#endif

TEST("a hypervisor's release is found by its name")
{
    OK(hv_profile_find("xen-4.17") == hv_profiles[0]);
    OK(hv_profile_find("xen-4.20") == &hv_profile_xen_4_20);
    OK(hv_profile_find("xen-4.23") == &hv_profile_xen_4_23);
    OK(!hv_profile_find("xen-4.2"));
}

/* ---- What the hypervisor says of itself ------------------------------------------------------ */

static long say(domid_t caller, uint64_t cmd, void *arg)
{
    const uint64_t args[5] = { cmd, (uintptr_t)arg };

    return hv_hypercall(w.hv, caller, __HYPERVISOR_xen_version, args, &hv_plain_memory);
}

TEST_KINDS("the hypervisor tells its version, and its command line to a control domain only")
{
    xen_commandline_t line;
    xen_extraversion_t extra;
    struct xen_feature_info features = { .submap_idx = 1 };

    EQ(say(1, XENVER_version, NULL), 4 << 16 | 17);
    EQ(say(1, XENVER_extraversion, extra), 0);
    OK(!strcmp(extra, ".7"));
    EQ(say(1, XENVER_get_features, &features), -EINVAL);
    features.submap_idx = 0;
    EQ(say(1, XENVER_get_features, &features), 0);
    EQ(features.submap >> XENFEAT_dom0 & 1, 0);
    EQ(say(0, XENVER_get_features, &features), 0);
    EQ(features.submap >> XENFEAT_dom0 & 1, 1);
    EQ(say(1, XENVER_pagesize, NULL), 4096);
    EQ(say(1, XENVER_pagesize, extra), -EINVAL);
    EQ(say(1, XENVER_commandline, line), 0);
    OK(!strcmp(line, "<denied>"));
    EQ(say(0, XENVER_commandline, line), 0);
    OK(strcmp(line, "<denied>"));
    EQ(say(0, XENVER_build_id, NULL), -ENODATA);
    EQ(say(1, XENVER_build_id, NULL), -EPERM);
    EQ(say(1, 11, NULL), -ENOSYS);
    EQ(say(1, UINT32_MAX, NULL), -ENOSYS);
}
