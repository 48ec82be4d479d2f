/* SPDX-License-Identifier: MIT */
/* The entry of grant table hypercalls, and the operations that tell about a table. */
#include "harness.h"

#include "hv_i.h"

SUITE("table");

static long raw(domid_t caller, uint64_t cmd, void *array, uint64_t count)
{
    const uint64_t args[5] = { cmd, (uintptr_t)array, count };

    return hv_hypercall(w.hv, caller, __HYPERVISOR_grant_table_op, args, &hv_plain_memory);
}

TEST("status codes are the public ones", "ops:0.1")
{
    static const char *const messages[] = GNTTABOP_error_msgs;
    static const int16_t codes[] = {
        GNTST_okay, GNTST_general_error, GNTST_bad_domain, GNTST_bad_gntref, GNTST_bad_handle,
        GNTST_bad_virt_addr,
        GNTST_bad_dev_addr, GNTST_no_device_space, GNTST_permission_denied, GNTST_bad_page,
        GNTST_bad_copy_arg,
        GNTST_address_too_big, GNTST_eagain, GNTST_no_space,
    };

    EQ(sizeof messages / sizeof *messages, 14);
    for (int i = 0; i < 14; i++)
        EQ(codes[i], -i);
    OK(!strcmp(messages[12], "operation not done; try again"));
}

TEST_KINDS("the entry checks count, then command", "ops:0.3/1 ops:0.3/2 ops:0.3/3")
{
    uint64_t buffer[64] = { 0 };

    for (unsigned cmd = 0; cmd < 64; cmd++) {
        EQ(raw(1, cmd, buffer, 0x80000000u), -EINVAL);
        EQ(raw(1, cmd, buffer, 0xffffffffu), -EINVAL);
        EQ(raw(1, cmd | 0x1000, buffer, 0xffffffffu), -EINVAL);
    }
    EQ(raw(1, 0xffffffff, buffer, 1), -EINVAL);
    EQ(raw(1, 99 | 0x1000, buffer, 1), -EINVAL);
    EQ(raw(1, GNTTABOP_query_size | 0x80000000u, buffer, 1), -EINVAL);
    EQ(raw(1, 99, buffer, 1), -ENOSYS);
    EQ(raw(1, 13, buffer, 1), -ENOSYS);
    EQ(raw(1, 0xfff, buffer, 1), -ENOSYS);
    /* Registers are wider than what is looked at. */
    EQ(raw(1, UINT64_C(0xdead00000000) | GNTTABOP_query_size, buffer, UINT64_C(0xbeef00000001)), 0);
}

TEST_KINDS("each operation has its rule about count",
           "ops:0.3/op0 ops:0.3/op1 ops:0.3/op2 ops:0.3/op4 ops:0.3/op5 ops:0.3/op6 ops:0.3/op7 "
           "ops:0.3/op8 ops:0.3/op9 ops:0.3/op10 ops:0.3/op11 ops:0.3/op12 ops:3/1 ops:7/count "
           "ops:10/count")
{
    static const unsigned arrays[] = {
        GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_transfer, GNTTABOP_copy,
        GNTTABOP_unmap_and_replace,
        GNTTABOP_swap_grant_ref, GNTTABOP_cache_flush,
    };
    static const unsigned singles[] = { GNTTABOP_setup_table, GNTTABOP_query_size,
                                        GNTTABOP_get_status_frames };
    struct gnttab_set_version sv = { .version = 1 };
    struct gnttab_get_version gv = { .dom = DOMID_SELF };
    uint64_t buffer[64] = { 0 };

    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        EQ(raw(1, arrays[i], NULL, 0), 0);
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        EQ(raw(1, singles[i], buffer, 0), -EINVAL);
        EQ(raw(1, singles[i], buffer, 2), -EINVAL);
        EQ(raw(1, singles[i], buffer, 0x7fffffff), -EINVAL);
    }
    EQ(raw(1, GNTTABOP_set_version, &sv, 0), 0);
    EQ(raw(1, GNTTABOP_set_version, &sv, 7), 0);
    EQ(raw(1, GNTTABOP_get_version, &gv, 0), 0);
    EQ(gv.version, 1);
    EQ(raw(1, GNTTABOP_get_version, &gv, 7), 0);
}

TEST_KINDS("dump_table was never there", "ops:4 ops:0.3/op3")
{
    struct gnttab_dump_table op = { .dom = DOMID_SELF, .status = 77 };

    EQ(raw(1, GNTTABOP_dump_table, &op, 1), -ENOSYS);
    EQ(op.status, 77);
}

/* Operations whose element lies at an address that the hypervisor cannot reach. */
TEST_KINDS("an argument that cannot be read is a fault",
           "ops:3/2 ops:7/fault ops:9/1 ops:10/fault ops:11/get_version-fault ops:5.2/1")
{
    struct window win = { .from = 0x1000, .to = 0x1000 };

    for (unsigned cmd = 0; cmd <= GNTTABOP_cache_flush; cmd++)
        if (cmd != GNTTABOP_dump_table) {
            EQ(grant_op_in(1, cmd, 0x1000, 1, &win), -EFAULT);
            EQ(raw(1, cmd, NULL, 1), -EFAULT);
        }
    audit_clean();
}

TEST_KINDS("an array of a PV domain must not lie in Xen's part", "ops:0.3/4")
{
    static const unsigned checked[] = {
        GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_transfer, GNTTABOP_copy,
        GNTTABOP_unmap_and_replace,
        GNTTABOP_swap_grant_ref, GNTTABOP_cache_flush,
    };
    static const uint64_t bad[] = {
        ARCH_USER_END, UINT64_C(0xffff7fffffffffff), UINT64_C(0xffff800000000000),
        UINT64_C(0xffff87ffffffffff),
    };
    static const uint64_t good[] = { 0, ARCH_USER_END - 1, UINT64_C(0xffff880000000000),
                                     UINT64_MAX };

    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++)
        for (size_t k = 0; k < 4; k++) {
            struct window win = { .from = 0 };

            /* Even when nothing would be read. */
            EQ(grant_op_in(1, checked[i], bad[k], 0, &win), kind == PV ? -EFAULT : 0);
            EQ(grant_op_in(1, checked[i], good[k], 0, &win), 0);
            EQ(win.reads, 0);
            EQ(grant_op_in(1, checked[i], bad[k], 1, &win), -EFAULT);
            EQ(win.reads, kind == PV ? 0 : 1);
        }
}

TEST_KINDS("dead and unknown domains do not call", "ops:12/caller ops:12/info")
{
    struct gnttab_query_size op = { .dom = DOMID_SELF };
    const uint64_t args[5] = { GNTTABOP_query_size, (uintptr_t)&op, 1 };

    uint64_t before = hv_nr_hypercalls(w.hv);

    EQ(raw(999, GNTTABOP_query_size, &op, 1), -ESRCH);
    EQ(hv_nr_hypercalls(w.hv), before + 1);
    EQ(raw(DOMID_SELF, GNTTABOP_query_size, &op, 1), -ESRCH);
    EQ(hv_hypercall(w.hv, 1, 63, args, &hv_plain_memory), -ENOSYS);
    EQ(hv_hypercall(w.hv, 1, 0, args, &hv_plain_memory), -ENOSYS);
    grant(1, 8, 2, 3, 0);
    EQ(map(2, 1, 8, GNTMAP_host_map, A(1), NULL), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(raw(1, GNTTABOP_query_size, &op, 1), -ESRCH);
    EQ(raw(0, GNTTABOP_query_size, &op, 1), 0);
    op.dom = 1;
    /* a privileged caller is told about the dead */
    EQ(raw(0, GNTTABOP_query_size, &op, 1), 0);
    EQ(op.status, GNTST_okay);
}

/* Plain memory wrapped into an accessor of one's own is an accessor like any other. */
TEST_KINDS("plain memory can be built upon")
{
    struct hv_guest_memory mem = { .copy_from = hv_plain_memory.copy_from,
                                   .copy_to = window_memory(NULL).copy_to };
    struct gnttab_query_size op = { .dom = DOMID_SELF, .status = 77 };
    struct window win = { .from = (uintptr_t)&op, .to = (uintptr_t)(&op + 1) };
    const uint64_t args[5] = { GNTTABOP_query_size, (uintptr_t)&op, 1 };

    mem.ctx = &win;
    EQ(hv_hypercall(w.hv, 1, __HYPERVISOR_grant_table_op, args, &mem), 0);
    EQ(op.status, GNTST_okay);
    EQ(win.writes, 1);
    mem = (struct hv_guest_memory){ .copy_from = window_memory(NULL).copy_from,
                                    .copy_to = hv_plain_memory.copy_to, .ctx = &win };
    op.status = 77;
    EQ(hv_hypercall(w.hv, 1, __HYPERVISOR_grant_table_op, args, &mem), 0);
    EQ(op.status, GNTST_okay);
    EQ(hv_plain_memory.copy_to(NULL, 0, &op, 1), -EFAULT);
}

/* ---- Who may ask about whom ------------------------------------------------------------------ */

struct who {
    domid_t caller, dom;
    int status;
};
static const struct who who[] = {
    { 1, DOMID_SELF, GNTST_okay }, { 1, 1, GNTST_okay }, { 0, 1, GNTST_okay },
    { 0, DOMID_SELF, GNTST_okay },
    { 1, 2, GNTST_permission_denied }, { 1, 0, GNTST_permission_denied },
    { 1, 999, GNTST_bad_domain },
    { 0, 999, GNTST_bad_domain }, { 0, DOMID_IO, GNTST_bad_domain },
    { 0, DOMID_XEN, GNTST_bad_domain },
    { 0, DOMID_INVALID, GNTST_bad_domain },
};
#define EACH_WHO(p) for (const struct who *p = who; p < who + sizeof who / sizeof *who; p++)

TEST_KINDS("a size is told to the domain and its controller",
           "ops:7/order ops:0.5/setup ops:0.4/query_size ent:2/frames ent:2.2/query")
{
    EACH_WHO(p) {
        struct gnttab_query_size op = { .dom = p->dom, .nr_frames = 55, .max_nr_frames = 66,
                                        .status = 77 };

        EQ(raw(p->caller, GNTTABOP_query_size, &op, 1), 0);
        EQ(op.status, p->status);
        EQ(op.nr_frames, p->status ? 55 : 1);
        EQ(op.max_nr_frames, p->status ? 66 : 64);
    }
}

TEST_KINDS("a version is told to the domain and its controller",
           "ops:11/get_version ops:0.5/get_version ops:0.4/get_version")
{
    EQ(set_version(1, 2, NULL), 0);
    EACH_WHO(p) {
        struct gnttab_get_version op = { .dom = p->dom, .pad = 0xffff, .version = 99 };
        long rc = p->status == GNTST_bad_domain ? -ESRCH : p->status ? -EPERM : 0;

        EQ(raw(p->caller, GNTTABOP_get_version, &op, 1), rc);
        EQ(op.version, rc ? 99 : info(p->dom == DOMID_SELF ? p->caller : p->dom).grant_version);
        EQ(op.pad, 0xffff);
    }
}

/* setup_table; list may be NULL when n is 0. */
static int setup(domid_t caller, domid_t dom, unsigned n, xen_pfn_t *list)
{
    struct gnttab_setup_table op = { .dom = dom, .nr_frames = n, .status = 77 };

    set_xen_guest_handle(op.frame_list, list);
    EQ(raw(caller, GNTTABOP_setup_table, &op, 1), 0);
    EQ(op.nr_frames, n);
    return op.status;
}

TEST_KINDS("a table is set up by the domain and its controller",
           "ops:3/4 ops:3/5 ops:3/10 ops:3/unmapped ops:0.5/setup")
{
    EACH_WHO(p) {
        xen_pfn_t list[2] = { 5, 6 };
        domid_t dom = p->dom == DOMID_SELF ? p->caller : p->dom;

        EQ(setup(p->caller, p->dom, 1, list), p->status);
        if (p->status)
            EQ(list[0], 5);
        else if (kind == PV)
            EQ(list[0], hv_grant_frame_mfn(w.hv, dom, 0));
        else
            EQ(list[0], UINT64_MAX);                     /* not in the physmap yet */
        EQ(list[1], 6);
    }
}

TEST_VERSIONS("a table grows to what is asked for",
              "ops:3/6 ops:3/8 ops:3/9-okay ops:3/zero ent:2.1/exact ent:2.1/setup ent:2.2/setup "
              "ent:2/entries ent:2.1/zeroed")
{
    xen_pfn_t list[65];

    EQ(setup(1, DOMID_SELF, 0, NULL), GNTST_okay);
    EQ(hv_nr_grant_frames(w.hv, 1), 1);
    EQ(setup(1, DOMID_SELF, 3, list), GNTST_okay);
    EQ(hv_nr_grant_frames(w.hv, 1), 3);
    EQ(info(1).nr_status_frames, version == 2 ? 1 : 0);
    for (unsigned i = 0; i < 3 && kind == PV; i++)
        EQ(list[i], hv_grant_frame_mfn(w.hv, 1, i));
    EQ(setup(1, DOMID_SELF, 2, list), GNTST_okay);       /* never shrinks */
    EQ(hv_nr_grant_frames(w.hv, 1), 3);
    EQ(setup(1, DOMID_SELF, 65, list), GNTST_general_error);
    EQ(setup(1, DOMID_SELF, UINT32_MAX, list), GNTST_general_error);
    EQ(hv_nr_grant_frames(w.hv, 1), 3);
    EQ(setup(0, 1, 64, list), GNTST_okay);
    EQ(hv_nr_grant_frames(w.hv, 1), 64);
    EQ(info(1).nr_status_frames, version == 2 ? 8 : 0);
    /* The new frames are usable at once, and empty. */
    EQ(flags_of(1, version == 1 ? 32767 : 16383), 0);
    EQ(map(2, 1, version == 1 ? 32767 : 16383, GNTMAP_host_map, A(1), NULL), GNTST_general_error);
    EQ(map(2, 1, version == 1 ? 32768 : 16384, GNTMAP_host_map, A(1), NULL), GNTST_bad_gntref);
    audit_clean();
}

TEST_VERSIONS("an active entry keeps its place when the table grows")
{
    uint32_t handle;

    grant(1, 100, 2, 3, 0);
    EQ(map(2, 1, 100, GNTMAP_host_map, A(1), &handle), GNTST_okay);
    EQ(setup(1, DOMID_SELF, 0, NULL), GNTST_okay);
    EQ(gnttab_grow(domain_lookup(w.hv, 1), 40), 0);
    EQ(entry(1, 100).pin_host_write, 1);
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 100), GTF_permit_access);
}

TEST_KINDS("a machine without frames leaves the table as it was", "ops:3/8 ent:2.1/nomem")
{
    xen_pfn_t list[8];
    uint64_t mfn;

    while (hv_nr_free_frames(w.hv) > 4)
        if (hv_page_alloc(w.hv, 3, &mfn) < 0)
            break;
    EQ(add_domain(5, kind, false, 0), hv_nr_free_frames(w.hv) > 1 ? 0 : -ENOMEM);
    if (hv_domain_state(w.hv, 5) == 0) {
        while (hv_page_alloc(w.hv, 5, &mfn) >= 0)
            ;
        EQ(setup(5, DOMID_SELF, 3, list), GNTST_general_error);
        EQ(hv_nr_grant_frames(w.hv, 5), 1);
    }
    EQ(setup(1, DOMID_SELF, 8, list), GNTST_general_error);
    EQ(hv_nr_grant_frames(w.hv, 1), 1);
    audit_clean();
}

TEST_KINDS("a list that cannot be written stops there", "ops:3/3 ops:3/9 ops:3/11")
{
    struct {
        struct gnttab_setup_table op;
        xen_pfn_t list[4];
    } a = { .op = { .dom = DOMID_SELF, .nr_frames = 4, .status = 77 }, .list = { 9, 9, 9, 9 } };
    struct window win = { .from = (uintptr_t)&a, .to = (uintptr_t)&a.list[2] };

    set_xen_guest_handle(a.op.frame_list, a.list);
    EQ(grant_op_in(1, GNTTABOP_setup_table, (uintptr_t)&a, 1, &win), 0);
    EQ(a.op.status, GNTST_bad_virt_addr);
    EQ(hv_nr_grant_frames(w.hv, 1), 4);                  /* it has grown all the same */
    OK(a.list[0] != 9 && a.list[1] != 9);
    EQ(a.list[2], 9);
    /* The status itself. */
    win = (struct window){ .from = (uintptr_t)&a, .to = (uintptr_t)(&a + 1),
                           .fail_write_after = 5 };
    EQ(grant_op_in(1, GNTTABOP_setup_table, (uintptr_t)&a, 1, &win), -EFAULT);
    /* A list where a PV domain cannot have one: before anything else. */
    a.op.status = 77;
    a.op.dom = 999;
    set_xen_guest_handle(a.op.frame_list, (xen_pfn_t *)(uintptr_t)0xffff800000001000);
    win = (struct window){ .from = (uintptr_t)&a, .to = (uintptr_t)(&a + 1) };
    EQ(grant_op_in(1, GNTTABOP_setup_table, (uintptr_t)&a, 1, &win), kind == PV ? -EFAULT : 0);
    EQ(a.op.status, kind == PV ? 77 : GNTST_bad_domain);
}

/* get_status_frames */
static int status_frames(domid_t caller, domid_t dom, unsigned n, uint64_t *list)
{
    struct gnttab_get_status_frames op = { .dom = dom, .nr_frames = n, .status = 77 };

    set_xen_guest_handle(op.frame_list, list);
    EQ(raw(caller, GNTTABOP_get_status_frames, &op, 1), 0);
    return op.status;
}

TEST_KINDS("status frames are told but never made",
           "ops:10/order ent:2.2/status ent:2.1/never ent:2/status-frames")
{
    uint64_t list[9] = { 5, 5, 5, 5, 5, 5, 5, 5, 5 };

    EQ(status_frames(1, DOMID_SELF, 0, list), GNTST_okay);               /* version 1 has none */
    EQ(status_frames(1, DOMID_SELF, 1, list), GNTST_general_error);
    EQ(set_version(1, 2, NULL), 0);
    EACH_WHO(p) {
        domid_t dom = p->dom == DOMID_SELF ? p->caller : p->dom;
        bool has = !p->status && dom == 1;

        EQ(status_frames(p->caller, p->dom, 1, list),
           p->status ? p->status : has ? GNTST_okay : GNTST_general_error);
        if (has)
            EQ(list[0], kind == PV ? hv_status_frame_mfn(w.hv, 1, 0) : UINT64_MAX);
    }
    EQ(gnttab_grow(domain_lookup(w.hv, 1), 9), 0);
    EQ(status_frames(1, DOMID_SELF, 2, list), GNTST_okay);
    EQ(list[2], 5);
    /* XSA-382: nothing is written */
    EQ(status_frames(1, DOMID_SELF, 3, list), GNTST_general_error);
    EQ(list[2], 5);
    EQ(status_frames(1, DOMID_SELF, 9, list), GNTST_general_error);
    EQ(status_frames(1, DOMID_SELF, UINT32_MAX, list), GNTST_general_error);
    EQ(info(1).nr_status_frames, 2);
}

TEST_KINDS("a status list that cannot be written is an error", "ops:10/fault")
{
    struct gnttab_get_status_frames op = { .dom = DOMID_SELF, .nr_frames = 1, .status = 77 };
    struct window win = { .from = (uintptr_t)&op, .to = (uintptr_t)(&op + 1) };

    EQ(set_version(1, 2, NULL), 0);
    set_xen_guest_handle(op.frame_list, (uint64_t *)(uintptr_t)16);
    EQ(grant_op_in(1, GNTTABOP_get_status_frames, (uintptr_t)&op, 1, &win), 0);
    EQ(op.status, GNTST_bad_virt_addr);
    set_xen_guest_handle(op.frame_list, (uint64_t *)(uintptr_t)0xffff800000001000);
    EQ(grant_op_in(1, GNTTABOP_get_status_frames, (uintptr_t)&op, 1, &win),
       kind == PV ? -EFAULT : 0);
}

/* What is written back, byte by byte: everything else must stay as it was. */
TEST_KINDS("only what the operation returns is written",
           "ops:0.4/map ops:0.4/status-only ops:0.4/query_size ops:0.4/set_version "
           "ops:0.4/get_version")
{
    struct {
        unsigned cmd;
        size_t size, offset, length;     /* of the element; of what may change */
        size_t list;                     /* where a pointer must not be nonsense */
    } cases[] = {
        { GNTTABOP_unmap_grant_ref, sizeof(struct gnttab_unmap_grant_ref),
          offsetof(struct gnttab_unmap_grant_ref, status), 2 },
        { GNTTABOP_setup_table, sizeof(struct gnttab_setup_table),
          offsetof(struct gnttab_setup_table, status), 2,
          offsetof(struct gnttab_setup_table, frame_list) },
        { GNTTABOP_transfer, sizeof(struct gnttab_transfer),
          offsetof(struct gnttab_transfer, status), 2 },
        { GNTTABOP_copy, sizeof(struct gnttab_copy), offsetof(struct gnttab_copy, status), 2 },
        { GNTTABOP_query_size, sizeof(struct gnttab_query_size), 0,
          sizeof(struct gnttab_query_size) },
        { GNTTABOP_unmap_and_replace, sizeof(struct gnttab_unmap_and_replace),
          offsetof(struct gnttab_unmap_and_replace, status), 2 },
        { GNTTABOP_map_grant_ref, sizeof(struct gnttab_map_grant_ref), 0,
          sizeof(struct gnttab_map_grant_ref) },
        { GNTTABOP_set_version, sizeof(struct gnttab_set_version), 0,
          sizeof(struct gnttab_set_version) },
        { GNTTABOP_get_status_frames, sizeof(struct gnttab_get_status_frames),
          offsetof(struct gnttab_get_status_frames, status), 2,
          offsetof(struct gnttab_get_status_frames, frame_list) },
        { GNTTABOP_get_version, sizeof(struct gnttab_get_version),
          offsetof(struct gnttab_get_version, version), 0 },
        { GNTTABOP_swap_grant_ref, sizeof(struct gnttab_swap_grant_ref),
          offsetof(struct gnttab_swap_grant_ref, status), 2 },
        { GNTTABOP_cache_flush, sizeof(struct gnttab_cache_flush), 0, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t buffer[64];
        struct window win = { .from = (uintptr_t)buffer, .to = (uintptr_t)buffer + cases[i].size };
        int16_t status;

        /* Every field a nonsense: each operation fails in its own way. */
        memset(buffer, 0x6b, sizeof buffer);
        if (cases[i].list)
            memset(buffer + cases[i].list, 0, 8);
        grant_op_in(1, cases[i].cmd, (uintptr_t)buffer, 1, &win);
        for (size_t b = 0; b < sizeof buffer; b++)
            if (b < cases[i].offset || b >= cases[i].offset + cases[i].length)
                EQ(buffer[b], cases[i].list && b - cases[i].list < 8 ? 0 : 0x6b);
        EQ(win.writes, cases[i].length ? 1 : 0);
        if (cases[i].length == 2) {
            memcpy(&status, buffer + cases[i].offset, 2);
            OK(status <= 0);
        }
    }
}

/* ---- Creation -------------------------------------------------------------------------------- */

static int create_with(uint32_t version, int32_t grant_frames, int32_t maptrack_frames)
{
    struct hv_domain_config config;
    int rc;

    hv_domain_config_init(&config);
    config.max_grant_version = version;
    config.max_grant_frames = grant_frames;
    config.max_maptrack_frames = maptrack_frames;
    rc = add_domain_with(5, &config);
    audit_clean();
    return rc;
}

static void limits(const struct hv_profile *profile, bool bounded)
{
    world_up(PV, profile);
    EQ(create_with(3, -1, -1), -EINVAL);
    EQ(create_with(UINT32_MAX, -1, -1), -EINVAL);
    EQ(create_with(2, 0, -1), -EINVAL);
    EQ(create_with(2, 65, -1), bounded ? -EINVAL : 0);
    if (!bounded) {
        EQ(info(5).max_grant_frames, 65);
        EQ(hv_domain_destroy(w.hv, 5), 0);
    }
    EQ(create_with(2, -1, 1025), bounded ? -EINVAL : 0);
    if (!bounded) {
        EQ(info(5).max_maptrack_frames, 1025);
        EQ(hv_domain_destroy(w.hv, 5), 0);
    }
    EQ(create_with(0, -1, -1), 0);
    EQ(info(5).max_grant_frames, 64);
    EQ(info(5).max_maptrack_frames, 1024);
    EQ(info(5).grant_version, 1);
    EQ(info(5).nr_grant_frames, 1);
    EQ(info(5).nr_status_frames, 0);
    EQ(info(5).maptrack_limit, 0);
    for (uint32_t ref = 0; ref < 512; ref++)
        EQ(flags_of(5, ref), 0);
    EQ(create_with(0, -1, -1), -EEXIST);
    EQ(set_version(5, 2, NULL), 0);
    EQ(hv_domain_destroy(w.hv, 5), 0);
    EQ(create_with(1, 1, 0), 0);
    EQ(set_version(5, 2, NULL), -ENOSYS);
    world_down();
}

TEST("limits of old hypervisors are upper bounds",
     "ops:9/3 ent:2-create/version3 ent:2-create/default ent:2-create/frames0 ent:2-create/bounds "
     "ent:2/initial-frames ent:2/initial-version ent:2/default-frames ent:2/default-maptrack "
     "ent:2/max-version life:1/table life:1/vcpu life:1/failure")
{
    limits(NULL, true);     /* as 4.17 */
    limits(&hv_profile_xen_4_20, false);
    limits(&hv_profile_xen_4_23, false);
}

TEST("entries have the public layout",
     "ent:1.1 ent:1.2 ent:1.3/full ent:1.3/sub ent:1.3/transitive ent:1.4 ent:1.5/values "
     "ent:2/status-need ent:7")
{
    EQ(offsetof(grant_entry_v1_t, flags), 0);
    EQ(offsetof(grant_entry_v1_t, domid), 2);
    EQ(offsetof(grant_entry_v1_t, frame), 4);
    EQ(sizeof(grant_entry_v1_t), 8);
    EQ(sizeof(grant_entry_v2_t), 16);
    EQ(offsetof(grant_entry_v2_t, full_page.frame), 8);
    EQ(offsetof(grant_entry_v2_t, sub_page.page_off), 4);
    EQ(offsetof(grant_entry_v2_t, sub_page.length), 6);
    EQ(offsetof(grant_entry_v2_t, sub_page.frame), 8);
    EQ(offsetof(grant_entry_v2_t, transitive.trans_domid), 4);
    EQ(offsetof(grant_entry_v2_t, transitive.gref), 8);
    EQ(V1_PER_FRAME, 512);
    EQ(V2_PER_FRAME, 256);
    EQ(STATUS_PER_FRAME, 2048);
    for (unsigned n = 0; n < 100; n++)
        EQ(status_frames_for(n), (n + 7) / 8);
    EQ(GTF_transfer_committed, GTF_readonly);
    EQ(GTF_transfer_completed, GTF_reading);
}

TEST_VERSIONS("entries are where the guest sees them", "ent:1.2 ent:1.3/full ent:1.4")
{
    /* Written through the frames, read through the model, at both ends of a frame. */
    const uint32_t refs[] = { 0, 1, 255, 256, 511, 512, 600, 767, 768, 1023 };

    EQ(gnttab_grow(domain_lookup(w.hv, 1), version == 1 ? 2 : 4), 0);
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        uint32_t handle;

        grant(1, refs[i], 2, i, 0);
        EQ(entry(1, refs[i]).domid, 2);
        EQ(entry(1, refs[i]).frame, number(1, i));
        EQ(map(2, 1, refs[i], GNTMAP_host_map, A(1 + i), &handle), GNTST_okay);
        EQ(entry(1, refs[i]).mfn, mfn_of(1, i));
        if (version == 2)
            EQ(*status2(1, refs[i]), GTF_reading | GTF_writing);
    }
    audit_clean();
}
