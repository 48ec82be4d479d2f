/* SPDX-License-Identifier: MIT */
/* GNTTABOP_unmap_grant_ref and unmap_and_replace: parts, passes, batches, handles. */
#include "harness.h"

#include "hv_i.h"

SUITE("unmap");

#define HOST GNTMAP_host_map
#define DEV GNTMAP_device_map
#define RO GNTMAP_readonly

TEST_KINDS("a handle that is not in use is bad", "ops:2.1/1 ops:2.1/2 life:2.3/bad")
{
    uint32_t handle;

    EQ(unmap(2, 0, A(1)), GNTST_bad_handle);                    /* no frame of handles yet */
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(unmap(2, handle + 1, A(1)), GNTST_bad_handle);           /* free */
    EQ(unmap(2, 256, A(1)), GNTST_bad_handle);                  /* beyond the limit */
    EQ(unmap(2, UINT32_MAX, A(1)), GNTST_bad_handle);
    EQ(unmap(3, handle, A(1)), GNTST_bad_handle);               /* another domain's */
    EQ(replace(2, 256, A(1), A(2)), GNTST_bad_handle);
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(unmap(2, handle, A(1)), GNTST_bad_handle);
    audit_clean();
}

TEST_PV("a wrong bus address undoes nothing", "ops:2.1/7")
{
    uint64_t bus;
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map_dev(2, 1, 8, HOST, &handle, &bus), GNTST_okay);
    EQ(unmap_parts(2, handle, A(900) + 8 * 4096, bus + 4096), GNTST_bad_dev_addr);
    EQ(unmap_parts(2, handle, A(900) + 8 * 4096, bus + 1), GNTST_bad_dev_addr);
    EQ(unmap_parts(2, handle, 0, bus | UINT64_C(1) << 63), GNTST_bad_dev_addr);
    EQ(entry(1, 8).pin_host_write, 1);
    EQ(entry(1, 8).pin_dev_write, 1);
    audit_clean();
    EQ(unmap_parts(2, handle, A(900) + 8 * 4096, bus), GNTST_okay);
}

TEST_PV("parts go one by one",
        "ops:2.1/8 ops:2.1/9 ops:2.1/10 ops:2.1/11 ops:2.1/13 ops:2.1/zero ops:2.3 "
        "life:2.4/partial")
{
    uint64_t bus, addr = A(900) + 8 * 4096, mfn = mfn_of(1, 3);
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    for (int order = 0; order < 2; order++) {
        EQ(map_dev(2, 1, 8, HOST, &handle, &bus), GNTST_okay);
        /* No address at all: nothing is done, ten times over. */
        for (int i = 0; i < 10; i++)
            EQ(unmap_parts(2, handle, 0, 0), GNTST_okay);
        EQ(frame(mfn).refs, 3);
        EQ(unmap_parts(2, handle, order ? addr : 0, order ? 0 : bus), GNTST_okay);
        EQ(frame(mfn).refs, 2);
        EQ(frame(mfn).writable_types, 1);
        EQ(flags_of(1, 8), GTF_permit_access | GTF_reading | GTF_writing);
        audit_clean();
        /* What is gone already is ignored, right or wrong. */
        EQ(unmap_parts(2, handle, order ? A(77) : 0, order ? 0 : bus + 5), GNTST_okay);
        EQ(frame(mfn).refs, 2);
        EQ(unmap_parts(2, handle, order ? 0 : addr, order ? bus : 0), GNTST_okay);
        EQ(frame(mfn).refs, 1);
        EQ(flags_of(1, 8), GTF_permit_access);
        EQ(unmap_parts(2, handle, addr, bus), GNTST_bad_handle);
        audit_clean();
    }
}

TEST_PV("addresses of parts that are not there are ignored", "ops:2.1/ignored")
{
    uint64_t bus;
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(unmap_parts(2, handle, 0, 12345), GNTST_okay);
    EQ(entry(1, 8).pin_host_write, 1);
    EQ(unmap_parts(2, handle, A(1), 12345), GNTST_okay);
    EQ(entry(1, 8).pin_host_write, 0);
    EQ(map_dev(2, 1, 8, 0, &handle, &bus), GNTST_okay);
    EQ(unmap_parts(2, handle, A(1), 0), GNTST_okay);
    EQ(entry(1, 8).pin_dev_write, 1);
    EQ(unmap_parts(2, handle, A(1), bus), GNTST_okay);
    EQ(entry(1, 8).pin_dev_write, 0);
}

TEST_KINDS("a mapping must be where it is said to be", "ops:2.1/8 ops:2.2/hvm")
{
    uint32_t h1, h2;

    grant(1, 8, 2, 3, 0);
    grant(1, 9, 2, 4, 0);
    EQ(map(2, 1, 8, HOST, A(1), &h1), GNTST_okay);
    EQ(map(2, 1, 9, HOST, A(2), &h2), GNTST_okay);
    EQ(unmap(2, h1, A(3)), GNTST_general_error);                /* nothing there */
    EQ(unmap(2, h1, A(2)), GNTST_general_error);                /* another frame */
    EQ(unmap(2, h1, UINT64_MAX - 4095), GNTST_general_error);
    EQ(unmap(3, h1, A(1)), GNTST_bad_handle);
    if (kind == HVM)
        EQ(unmap(2, h1, 3 * 4096), GNTST_general_error);        /* memory */
    audit_clean();
    EQ(unmap(2, h1, A(1)), GNTST_okay);                         /* the handle stayed valid */
    EQ(unmap(2, h2, A(2)), GNTST_okay);
}

TEST_KINDS("handles of the same frame may change addresses", "ops:2.2/hvm life:2.4/holds")
{
    uint32_t h1, h2;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &h1), GNTST_okay);
    EQ(map(2, 1, 8, HOST, A(2), &h2), GNTST_okay);
    EQ(unmap(2, h1, A(2)), GNTST_okay);
    audit_clean();
    EQ(unmap(2, h2, A(1)), GNTST_okay);
}

TEST_PV("a PV mapping must have the same rights", "ops:2.2/pv")
{
    uint32_t rw, ro, pte;

    grant(1, 8, 2, 3, 0);
    /* nothing mapped at all */
    EQ(hostmap_unmap(domain_lookup(w.hv, 2), A(1), HOST, 5, 0), -ENOENT);
    EQ(map(2, 1, 8, HOST, A(1), &rw), GNTST_okay);
    EQ(map(2, 1, 8, HOST | RO, A(2), &ro), GNTST_okay);
    /* the number of a page-table entry */
    EQ(map(2, 1, 8, HOST | GNTMAP_contains_pte, A(1), &pte), GNTST_okay);
    EQ(unmap(2, rw, A(2)), GNTST_general_error);
    EQ(unmap(2, ro, A(1)), GNTST_general_error);
    EQ(unmap(2, pte, A(2)), GNTST_general_error);
    EQ(unmap(2, pte, A(1)), GNTST_okay);
    EQ(unmap(2, rw, A(1)), GNTST_okay);
    EQ(unmap(2, ro, A(2)), GNTST_okay);
}

/* ---- Batches --------------------------------------------------------------------------------- */

struct observer {
    unsigned writes;
    uint16_t seen;
    unsigned at;
};

/* What the entry of the first element shows while a later element's status is written. */
static int observe(void *ctx, uint64_t to, const void *from, size_t size)
{
    struct observer *o = ctx;

    memcpy((void *)(uintptr_t)to, from, size);
    if (++o->writes == o->at)
        o->seen = flags_of(1, 8);
    return 0;
}

static int read_all(void *ctx, void *to, uint64_t from, size_t size)
{
    (void)ctx;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

TEST_KINDS("entries stay in use until 32 elements are through", "ops:2.4/chunk")
{
    struct gnttab_unmap_grant_ref ops[33];
    struct observer o = { .at = 32 };
    struct hv_guest_memory mem = { .copy_from = read_all, .copy_to = observe, .ctx = &o };
    const uint64_t args[5] = { GNTTABOP_unmap_grant_ref, (uintptr_t)ops, 33 };

    for (int round = 0; round < 2; round++) {
        o = (struct observer){ .at = round ? 33 : 32 };
        for (uint32_t i = 0; i < 33; i++) {
            grant(1, 8 + i, 2, 3, 0);
            ops[i] = (struct gnttab_unmap_grant_ref){ .host_addr = A(1 + i) };
            EQ(map(2, 1, 8 + i, HOST, A(1 + i), &ops[i].handle), GNTST_okay);
        }
        EQ(hv_hypercall(w.hv, 2, __HYPERVISOR_grant_table_op, args, &mem), 0);
        EQ(o.seen, GTF_permit_access | (round ? 0 : GTF_reading | GTF_writing));
        for (int i = 0; i < 33; i++)
            EQ(ops[i].status, GNTST_okay);
        EQ(flags_of(1, 8 + 32), GTF_permit_access);
        audit_clean();
    }
}

TEST_KINDS("the same handle twice is bad the second time", "ops:2.4/twice ops:0.4/return")
{
    struct gnttab_unmap_grant_ref ops[3];
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    for (int i = 0; i < 3; i++)
        ops[i] = (struct gnttab_unmap_grant_ref){ .host_addr = A(1),
                                                  .handle = i == 1 ? 0x70000000 : handle };
    EQ(hv_grant_table_op(w.hv, 2, GNTTABOP_unmap_grant_ref, ops, 3), 0);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, GNTST_bad_handle);
    EQ(ops[2].status, GNTST_bad_handle);
    EQ(frame(mfn_of(1, 3)).refs, 1);
    audit_clean();
}

TEST_KINDS("a fault in the middle does not keep the others from ending",
           "ops:2.4/fault ops:0.4/fault")
{
    struct gnttab_unmap_grant_ref ops[4];
    struct window win = { .from = (uintptr_t)ops, .to = (uintptr_t)(ops + 4),
                          .fail_write_after = 2 };

    for (uint32_t i = 0; i < 4; i++) {
        grant(1, 8 + i, 2, 3, 0);
        ops[i] = (struct gnttab_unmap_grant_ref){ .host_addr = A(1 + i), .status = 77 };
        EQ(map(2, 1, 8 + i, HOST, A(1 + i), &ops[i].handle), GNTST_okay);
    }
    EQ(grant_op_in(2, GNTTABOP_unmap_grant_ref, (uintptr_t)ops, 4, &win), -EFAULT);
    EQ(ops[0].status, GNTST_okay);
    EQ(ops[1].status, 77);
    EQ(flags_of(1, 8), GTF_permit_access);
    /* unmapped, though its status was not written */
    EQ(flags_of(1, 9), GTF_permit_access);
    EQ(flags_of(1, 10), GTF_permit_access | GTF_reading | GTF_writing);
    audit_clean();
    /* A fault on reading the third. */
    win = (struct window){ .from = (uintptr_t)(ops + 2), .to = (uintptr_t)(ops + 3) };
    EQ(grant_op_in(2, GNTTABOP_unmap_grant_ref, (uintptr_t)(ops + 2), 2, &win), -EFAULT);
    EQ(ops[2].status, GNTST_okay);
    EQ(flags_of(1, 10), GTF_permit_access);
    EQ(flags_of(1, 11), GTF_permit_access | GTF_reading | GTF_writing);
    audit_clean();
}

/* ---- unmap_and_replace ----------------------------------------------------------------------- */

TEST_HVM("an auto-translated domain has nothing to replace with", "ops:8/hvm")
{
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, HOST, A(1), &handle), GNTST_okay);
    EQ(replace(2, handle + 1, A(1), A(2)), GNTST_bad_handle);   /* handles are looked at first */
    EQ(replace(2, handle, A(1), A(2)), GNTST_general_error);
    EQ(entry(1, 8).pin_host_write, 1);
    EQ(replace(2, handle, A(1), 0), GNTST_okay);
    EQ(entry(1, 8).pin_host_write, 0);
}

TEST_PV("the mapping at the new address moves", "ops:8/pv")
{
    uint32_t h1, h2, pte;

    grant(1, 8, 2, 3, 0);
    grant(1, 9, 2, 4, 0);
    EQ(map(2, 1, 8, HOST, A(1), &h1), GNTST_okay);
    EQ(map(2, 1, 9, HOST, A(2), &h2), GNTST_okay);
    EQ(replace(2, h1, A(1), A(2)), GNTST_okay);
    audit_clean();
    EQ(unmap(2, h2, A(2)), GNTST_general_error);                /* empty now */
    EQ(unmap(2, h2, A(1)), GNTST_okay);
    /* Nothing at the new address: nothing moves. */
    EQ(map(2, 1, 8, HOST, A(1), &h1), GNTST_okay);
    EQ(replace(2, h1, A(3), A(2)), GNTST_general_error);
    EQ(replace(2, h1, A(1), A(1)), GNTST_general_error);
    EQ(replace(2, h1, A(1), A(2) + 1), GNTST_general_error);
    EQ(replace(2, h1, A(1), A(2)), GNTST_okay);
    EQ(entry(1, 8).pin_host_write, 0);
    /* A page-table entry cannot be replaced. */
    EQ(map(2, 1, 8, HOST | GNTMAP_contains_pte, A(1), &pte), GNTST_okay);
    EQ(replace(2, pte, A(1), A(2)), GNTST_general_error);
    EQ(replace(2, pte, A(1), 0), GNTST_okay);
    audit_clean();
}

TEST_PV("replacing leaves the device part", "ops:8/device")
{
    uint64_t bus;
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    EQ(map_dev(2, 1, 8, HOST, &handle, &bus), GNTST_okay);
    EQ(replace(2, handle, A(900) + 8 * 4096, bus), GNTST_okay);
    EQ(entry(1, 8).pin_dev_write, 1);
    EQ(entry(1, 8).pin_host_write, 0);
    audit_clean();
    EQ(unmap_parts(2, handle, 0, bus), GNTST_okay);
}

/* ---- Handles --------------------------------------------------------------------------------- */

static uint32_t map_at(uint32_t i)
{
    uint32_t handle = 0;

    EQ(map(2, 1, 8 + i % 64, HOST | (i / 64 % 2 ? RO : 0), A(10 + i), &handle), GNTST_okay);
    return handle;
}

static void grant_64(void)
{
    for (uint32_t i = 0; i < 64; i++)
        grant(1, 8 + i, 2, 3, 0);
}

TEST_KINDS("handles come in Xen's order",
           "life:2.1/fifo life:2.2/1 life:2.2/2 life:2.3/first-255 life:2.3/256 life:2.3/257 "
           "life:2.3/512 ent:2/per-frame")
{
    uint32_t i;

    grant_64();
    for (i = 0; i < 255; i++)
        EQ(map_at(i), i);
    EQ(info(2).maptrack_limit, 256);
    /* 255 stays: it is the end of the list */
    EQ(map_at(i++), 256);
    EQ(info(2).maptrack_limit, 512);
    for (; i < 511; i++)
        EQ(map_at(i), i + 1);
    EQ(map_at(i), 512);                                         /* 255 is still the end */
    EQ(info(2).maptrack_in_use, 512);
    audit_clean();
}

TEST_KINDS("a freed handle goes to the end of the line",
           "life:2.1/tail life:2.3/reuse life:2.3/stale life:2.3/limit")
{
    uint32_t i;

    grant_64();
    EQ(map_at(0), 0);
    EQ(unmap(2, 0, A(10)), GNTST_okay);
    EQ(map_at(0), 1);
    EQ(unmap(2, 1, A(10)), GNTST_okay);
    for (i = 2; i < 256; i++)
        EQ(map_at(i), i);
    /* reused at last; 1 is the end now */
    EQ(map_at(i++), 0);
    EQ(map_at(i++), 256);
    /* A stale number hits whoever has it now. */
    EQ(unmap(2, 0, A(10 + 256)), GNTST_okay);
    audit_clean();
}

TEST_KINDS("a domain limited to one frame has 255 mappings",
           "life:2.1/sentinel life:2.2/4 life:2.3/max life:2.3/one-frame life:2.3/exhausted")
{
    struct hv_domain_config config;
    uint32_t handle;

    hv_domain_config_init(&config);
    config.auto_translated = kind == HVM;
    config.max_maptrack_frames = 1;
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(add_domain_with(2, &config), 0);
    grant_64();
    for (uint32_t i = 0; i < 255; i++)
        EQ(map_at(i), i);
    EQ(map(2, 1, 8, HOST, A(500), NULL), GNTST_no_space);
    EQ(info(2).maptrack_in_use, 255);
    EQ(unmap(2, 7, A(17)), GNTST_okay);
    EQ(map(2, 1, 8, HOST, A(500), &handle), GNTST_okay);
    EQ(handle, 255);                                            /* 7 is the end now */
    EQ(map(2, 1, 8, HOST, A(501), NULL), GNTST_no_space);
    audit_clean();
}
