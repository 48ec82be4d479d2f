/* SPDX-License-Identifier: MIT */
/* Pages that domains share: handles, users, counters, and the copies that writes make. */
#include "scene_hap.h"

#include "sharing_i.h"

SUITE("sharing");

static domid_t a, b;

static long nominate(domid_t id, uint64_t gfn, uint64_t *handle)
{
    struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_nominate_gfn,
                                     .domain = id,
                                     .u.nominate.u.gfn = gfn };
    long rc = memory_op(0, XENMEM_sharing_op, &op);

    if (handle)
        *handle = op.u.nominate.handle;
    return rc;
}

static long share(uint64_t source, uint64_t handle, uint64_t client, uint64_t client_handle)
{
    struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_share,
                                     .domain = a,
                                     .u.share = { .source_gfn = source,
                                                  .source_handle = handle,
                                                  .client_domain = b,
                                                  .client_gfn = client,
                                                  .client_handle = client_handle } };

    return memory_op(0, XENMEM_sharing_op, &op);
}

static long users(domid_t id, uint64_t gfn)
{
    struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_debug_gfn,
                                     .domain = id,
                                     .u.debug.u.gfn = gfn };

    return memory_op(0, XENMEM_sharing_op, &op);
}

static long add_to_physmap(uint64_t source, uint64_t handle, uint64_t client)
{
    struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_add_physmap,
                                     .domain = a,
                                     .u.share = { .source_gfn = source,
                                                  .source_handle = handle,
                                                  .client_domain = b,
                                                  .client_gfn = client } };

    return memory_op(0, XENMEM_sharing_op, &op);
}

static long range(uint64_t first, uint64_t last)
{
    struct xen_mem_sharing_op op = {
        .op = XENMEM_sharing_op_range_share,
        .domain = a,
        .u.range = { .first_gfn = first, .last_gfn = last, .client_domain = b }
    };

    return memory_op(0, XENMEM_sharing_op, &op);
}

static void counters(long used, long freed)
{
    EQ(memory_op(0, XENMEM_get_sharing_shared_pages, NULL), used);
    EQ(memory_op(0, XENMEM_get_sharing_freed_pages, NULL), freed);
    audit_clean(); /* which holds the equation of the two */
}

/* Two domains whose page gfn is one. */
static void share_pair(uint64_t gfn)
{
    uint64_t handle, other;

    a = hap_domain();
    b = hap_domain();
    memset(page(a, gfn), 0xaa, HV_PAGE_SIZE);
    EQ(nominate(a, gfn, &handle), 0);
    EQ(nominate(b, gfn, &other), 0);
    EQ(share(gfn, handle, gfn, other), 0);
    grant(a, 8, 0, gfn, 0);
    grant(b, 8, 0, gfn, 0);
}

static struct gnttab_map_grant_ref map_for_device(domid_t id, uint32_t ref, uint32_t flags)
{
    return map_op(0, id, ref, GNTMAP_device_map | flags, 0);
}

TEST_PV("two pages become one, and one again two by a write")
{
    uint64_t free_frames, mfn;
    int64_t handle;

    share_pair(3);
    EQ(mfn_of(a, 3), mfn_of(b, 3));
    EQ(users(a, 3), 2);
    EQ(info(a).shared_pages, 1);
    EQ(info(a).tot_pages, HAP_PAGES - 1);
    counters(1, 1);
    free_frames = hv_nr_free_frames(w.hv);
    handle = hv_foreign_map(w.hv, 0, b, 3, HV_FOREIGN_WRITE, &mfn);
    OK(handle >= 0);
    EQ(hv_nr_free_frames(w.hv), free_frames - 1);
    EQ(((uint8_t *)hv_frame(w.hv, mfn))[7], 0xaa); /* a copy of what was shared */
    OK(mfn != mfn_of(a, 3));
    EQ(users(a, 3), 1);
    EQ(users(b, 3), -EINVAL);
    counters(1, 0);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    handle = hv_foreign_map(w.hv, 0, a, 3, HV_FOREIGN_WRITE, &mfn);
    EQ(users(a, 3), -EINVAL); /* the last one keeps the frame */
    counters(0, 0);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
}

TEST_PV("a handle is good until its page is written")
{
    uint64_t handle, again, other;

    a = hap_domain();
    b = hap_domain();
    EQ(nominate(a, 1, &handle), 0);
    EQ(nominate(a, 1, &again), 0);
    EQ(again, handle);
    EQ(nominate(b, 1, &other), 0);
    EQ(share(1, handle + 99, 1, other + 99), XENMEM_SHARING_OP_S_HANDLE_INVALID);
    EQ(share(1, handle, 1, other + 99), XENMEM_SHARING_OP_C_HANDLE_INVALID);
    EQ(share(2, handle, 1, other), XENMEM_SHARING_OP_S_HANDLE_INVALID);
    EQ(share(1, handle, 2, other), XENMEM_SHARING_OP_C_HANDLE_INVALID);
    EQ(share(1, handle, 1, other), 0);
    EQ(share(1, 12345, 1, 54321), 0); /* the same frame already */
    EQ(nominate(b, 1, &again), 0);
    EQ(again, handle);
    EQ(change(XENMEM_decrease_reservation, a, 1), 1);
    EQ(share(1, handle, 1, other), XENMEM_SHARING_OP_S_HANDLE_INVALID);
    counters(1, 0);
}

TEST_PV("what cannot be shared is refused with the reason")
{
    uint64_t mfn;
    int64_t handle;
    struct gnttab_map_grant_ref map;

    a = b = hap_domain();
    EQ(nominate(a, 99, NULL), -EINVAL);
    EQ(nominate(0, 1, NULL), -EPERM);
    EQ(nominate(99, 1, NULL), -ESRCH);
    EQ(nominate(1, 1, NULL), -EOPNOTSUPP); /* a PV domain */
    handle = hv_foreign_map(w.hv, 0, a, 1, HV_FOREIGN_WRITE, &mfn);
    EQ(nominate(a, 1, NULL), -E2BIG);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    grant(a, 8, 0, 2, 0);
    map = map_for_device(a, 8, 0);
    EQ(nominate(a, 2, NULL), -EINVAL); /* it is writable */
    EQ(unmap_parts(0, map.handle, 0, map.dev_bus_addr), 0);
    mfn = mfn_of(a, 4);
    hv_frame_get(w.hv, mfn); /* a program of the domain has it */
    EQ(nominate(a, 4, NULL), -E2BIG);
    hv_frame_put(w.hv, mfn);
    EQ(nominate(a, 4, NULL), 0);
    counters(1, 0);
}

TEST_PV("a grant shows a shared page, and a writable one a copy")
{
    struct gnttab_map_grant_ref ro, rw;

    share_pair(3);
    ro = map_for_device(a, 8, GNTMAP_readonly);
    EQ(ro.status, GNTST_okay);
    EQ(users(a, 3), 2);
    rw = map_for_device(a, 8, 0);
    EQ(rw.status, GNTST_general_error); /* on top of the other's pin */
    EQ(unmap_parts(0, ro.handle, 0, ro.dev_bus_addr), 0);
    rw = map_for_device(a, 8, 0);
    EQ(rw.status, GNTST_okay);
    EQ(users(a, 3), -EINVAL);
    EQ(users(b, 3), 1);
    counters(1, 0);
    EQ(unmap_parts(0, rw.handle, 0, rw.dev_bus_addr), 0);
}

TEST_PV("a copy reads a shared page, and writes to a copy of it")
{
    share_pair(3);
    grant(b, 9, 0, 4, 0);
    EQ(copy_refs(0, a, 8, b, 9, 64), GNTST_okay);
    EQ(((uint8_t *)page(b, 4))[63], 0xaa);
    EQ(users(a, 3), 2);
    EQ(copy_refs(0, b, 9, a, 8, 0), GNTST_okay); /* of no bytes, too */
    EQ(users(a, 3), -EINVAL);
    counters(1, 0);
}

TEST_PV("without memory for the copy the page stays shared, and the helper is told")
{
    vm_event_request_t request;
    struct ring r;

    share_pair(3);
    EQ(set_max(a, HAP_PAGES - 1), 0);
    EQ(map_for_device(a, 8, 0).status, GNTST_eagain);
    EQ(change(XENMEM_decrease_reservation, a, 3), 0);
    EQ(users(a, 3), 2);
    EQ(set_max(a, 64), 0);
    r = ring_open(a, XEN_DOMCTL_VM_EVENT_OP_SHARING, HVM_PARAM_SHARING_RING_PFN);
    EQ(set_max(a, info(a).tot_pages), 0);
    for (unsigned i = 0; i < 10; i++)
        EQ(map_for_device(a, 8, 0).status, GNTST_eagain);
    OK(take(&r, &request));
    EQ(request.reason, VM_EVENT_REASON_MEM_SHARING);
    EQ(request.flags, VM_EVENT_FLAG_FOREIGN);
    EQ(request.u.mem_sharing.gfn, 3);
    EQ(request.u.mem_sharing.p2mt, 12);
    EQ(take_all(&r), 7);
    counters(1, 1);
}

/* What the hooks were told last, and how often. */
static struct {
    uint64_t from, to;
    bool writable;
    unsigned nr, go_on;
} told;

static bool follow_all(void *ctx, domid_t dom, uint64_t gfn, uint64_t mfn)
{
    (void)ctx;
    return dom && gfn == 3 && mfn;
}

static void note_shown(void *ctx, domid_t dom, uint64_t gfn, uint64_t from, uint64_t to,
                       bool writable)
{
    (void)ctx;
    (void)dom;
    (void)gfn;
    told.from = from;
    told.to = to;
    told.writable = writable;
    told.nr++;
}

static void note_go_on(void *ctx, domid_t dom)
{
    (void)ctx;
    told.go_on += dom == a;
}

TEST_PV("a page that programs see is shared if they follow, and their write makes the copy")
{
    uint64_t mfn, client, handle, other;

    memset(&told, 0, sizeof told);
    w.hv->hooks.follows = follow_all;
    w.hv->hooks.shows = note_shown;
    a = hap_domain();
    b = hap_domain();
    mfn = mfn_of(a, 3);
    client = mfn_of(b, 3);
    hv_frame_get(w.hv, mfn);
    hv_frame_get(w.hv, client);
    hv_frame_get(w.hv, mfn_of(a, 4));
    EQ(nominate(a, 4, NULL), -E2BIG); /* its program does not follow */
    EQ(nominate(a, 3, &handle), 0);
    OK(told.from == mfn && told.to == mfn && !told.writable);
    EQ(nominate(b, 3, &other), 0);
    EQ(share(3, handle, 3, other), 0);
    OK(told.from == client && told.to == mfn && !told.writable);
    EQ(hv_page_write(w.hv, a, 3), 0);
    EQ(told.from, mfn);
    EQ(told.to, mfn_of(a, 3));
    OK(told.to != mfn && told.writable);
    EQ(hv_page_write(w.hv, b, 3), 0);
    OK(told.from == told.to && told.to == mfn && told.writable); /* the last one keeps it */
    EQ(hv_page_write(w.hv, b, 3), 0);
    EQ(hv_page_write(w.hv, b, 63), -ENOENT);
    EQ(hv_page_write(w.hv, 999, 3), -ESRCH);
    hv_frame_put(w.hv, client);
    hv_frame_put(w.hv, mfn);
    counters(0, 0);
}

TEST_PV("a program's write without memory waits for the helper, or ends its domain")
{
    vm_event_request_t request;
    struct ring r;

    memset(&told, 0, sizeof told);
    w.hv->hooks.goes_on = note_go_on;
    share_pair(3);
    r = ring_open(a, XEN_DOMCTL_VM_EVENT_OP_SHARING, HVM_PARAM_SHARING_RING_PFN);
    EQ(set_max(a, info(a).tot_pages), 0);
    EQ(hv_page_write(w.hv, a, 3), -ENOMEM);
    OK(take(&r, &request));
    EQ(request.flags, VM_EVENT_FLAG_VCPU_PAUSED);
    for (unsigned i = 1; i < 8; i++)
        EQ(hv_page_write(w.hv, a, 3), -ENOMEM);
    EQ(hv_page_write(w.hv, a, 3), -EAGAIN); /* the ring is full */
    EQ(users(a, 3), 2);
    counters(1, 1);
    EQ(set_max(b, info(b).tot_pages), 0);
    EQ(hv_page_write(w.hv, b, 3), -ESRCH); /* it has no helper */
    OK(info(b).crashed);
    counters(1, 1);
}

TEST_PV("a domain's end leaves its pages to those who share them")
{
    struct gnttab_map_grant_ref ro;

    share_pair(3);
    ro = map_for_device(a, 8, GNTMAP_readonly);
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
    EQ(users(b, 3), 1);
    counters(1, 0);
    EQ(hv_domain_state(w.hv, a), 1); /* its grant is mapped */
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, b), 0);
    counters(0, 0);
    EQ(((uint8_t *)hv_frame(w.hv, ro.dev_bus_addr / HV_PAGE_SIZE))[0], 0xaa);
    EQ(unmap_parts(0, ro.handle, 0, ro.dev_bus_addr), 0);
    EQ(hv_domain_state(w.hv, a), -ESRCH);
}

TEST_PV("a shared page fills a hole of another domain")
{
    uint64_t handle;

    a = hap_domain();
    b = hap_domain();
    EQ(nominate(a, 1, &handle), 0);
    EQ(add_to_physmap(1, handle + 1, 99), XENMEM_SHARING_OP_S_HANDLE_INVALID);
    EQ(add_to_physmap(1, handle, 2), XENMEM_SHARING_OP_C_HANDLE_INVALID);
    EQ(add_to_physmap(1 | XENMEM_SHARING_OP_FIELD_IS_GREF_FLAG, handle, 99), -EINVAL);
    EQ(add_to_physmap(1, handle, 99), 0);
    EQ(mfn_of(b, 99), mfn_of(a, 1));
    EQ(info(b).tot_pages, HAP_PAGES);
    counters(1, 1);
}

TEST_PV("a range is shared page by page, and what cannot be is passed over")
{
    uint64_t mfn;
    int64_t handle;

    a = hap_domain();
    b = hap_domain();
    EQ(range(2, 99), -EINVAL); /* beyond all pages */
    EQ(range(5, 2), 0);
    handle = hv_foreign_map(w.hv, 0, b, 3, 0, &mfn);
    EQ(range(2, 4), 0);
    counters(3, 2);
    EQ(range(2, 3), -E2BIG); /* the last one's error counts */
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    EQ(domctl_plain(XEN_DOMCTL_unpausedomain, b), 0);
    EQ(range(5, 6), -EINVAL); /* it might run */
}

TEST_PV("a shared page that is taken out of the map is still counted until its domain ends")
{
    struct xen_remove_from_physmap op;
    struct xen_mem_sharing_op audit = { .op = XENMEM_sharing_op_audit };

    share_pair(3);
    op = (struct xen_remove_from_physmap){ .domid = a, .gpfn = 3 };
    EQ(memory_op(0, XENMEM_sharing_op, &audit), 0);
    EQ(memory_op(0, XENMEM_remove_from_physmap, &op), 0);
    EQ(users(b, 3), 2);
    EQ(memory_op(0, XENMEM_sharing_op, &audit), 1);
    counters(1, 1);
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
    EQ(users(b, 3), 1);
    counters(1, 0);
}

TEST_PV("the audit finds a user that does not show the page, and a wrong count")
{
    FILE *nowhere = fopen("/dev/null", "w");

    share_pair(3);
    w.hv->nr_saved++;
    OK(hv_audit(w.hv, nowhere) > 0);
    w.hv->nr_saved--;
    audit_clean();
    p2m_change(&domain_lookup(w.hv, a)->p2m, 3, P2M_RAM_SHARED, mfn_of(a, 4));
    OK(hv_audit(w.hv, nowhere) > 0);
    p2m_change(&domain_lookup(w.hv, a)->p2m, 3, P2M_RAM_SHARED, mfn_of(b, 3));
    fclose(nowhere);
}

static long fork_op(uint8_t what, domid_t child, domid_t parent, uint16_t flags)
{
    struct xen_mem_sharing_op op = { .op = what,
                                     .domain = child,
                                     .u.fork = { .parent_domain = parent, .flags = flags } };

    return memory_op(0, XENMEM_sharing_op, &op);
}

TEST_PV("a fork shares what is read, and has its own copy of what is written")
{
    const uint8_t start = XENMEM_sharing_op_fork, reset = XENMEM_sharing_op_fork_reset;
    uint64_t mfn;
    int64_t handle;

    a = hap_domain();
    memset(page(a, 3), 0x33, HV_PAGE_SIZE);
    EQ(create(XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, &b), 0);
    EQ(fork_op(reset, b, 0, XENMEM_FORK_RESET_MEMORY), -ENOSYS);
    EQ(fork_op(start, b, 99, 0), -ESRCH);
    EQ(fork_op(start, b, a, 1 << 9), -EINVAL);
    EQ(fork_op(start, b, a, 0), 0);
    counters(1, 1);
    handle = hv_foreign_map(w.hv, 0, b, 3, 0, &mfn);
    OK(handle >= 0);
    EQ(mfn, mfn_of(a, 3));
    counters(2, 2);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    handle = hv_foreign_map(w.hv, 0, b, 4, HV_FOREIGN_WRITE, &mfn);
    OK(handle >= 0 && mfn != mfn_of(a, 4));
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    EQ(info(b).tot_pages, 1);
    EQ(fork_op(reset, b, 0, 0), -EINVAL);
    EQ(fork_op(reset, b, 0, XENMEM_FORK_RESET_MEMORY), 0);
    EQ(info(b).tot_pages, 0);
    EQ(hv_foreign_map(w.hv, 0, b, 99, 0, &mfn), -EINVAL); /* the parent has none either */
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, a), 0);
    EQ(hv_domain_state(w.hv, a), 1); /* its fork keeps it */
    EQ(domctl_plain(XEN_DOMCTL_destroydomain, b), 0);
    EQ(hv_domain_state(w.hv, a), -ESRCH);
    counters(0, 0);
}

TEST_PV("a fork that runs already is refused")
{
    a = hap_domain();
    b = hap_domain();
    EQ(domctl_plain(XEN_DOMCTL_unpausedomain, b), 0);
    EQ(fork_op(XENMEM_sharing_op_fork, b, a, 0), -EBUSY);
    EQ(fork_op(XENMEM_sharing_op_fork, b, b, 0), -EINVAL);
}

/* ---- The audit ------------------------------------------------------------------------------- */

static void finds(const char *text)
{
    static char report[65536];
    FILE *out = fmemopen(report, sizeof report - 1, "w");

    OK(hv_audit(w.hv, out) > 0);
    fclose(out);
    OK(strstr(report, text) != NULL);
}

TEST_PV("the audit compares users with physmaps, and the counters with each other")
{
    struct shared_page *shared;
    uint64_t source, client;

    a = hap_domain();
    b = hap_domain();
    EQ(nominate(a, 5, &source), 0);
    EQ(nominate(b, 5, &client), 0);
    EQ(share(5, source, 5, client), 0);
    EQ(add_to_physmap(5, source, 20), 0);
    audit_clean();
    shared = sharing_at(domain_lookup(w.hv, a), 5);
    shared->users->gfn = 6;
    finds("does not show it");
    /* One of them twice, and another one not: all that are listed do show it. */
    shared->users->gfn = 5;
    finds("the users of shared frames are not the gfns that show them");
    shared->users->gfn = 20;
    audit_clean();
    w.hv->nr_saved++;
    finds("are counted and 3 saved by them");
    w.hv->nr_saved--;
    shared->nr_users++;
    finds("has 3 users, 4 are counted");
    shared->nr_users--;
    audit_clean();
}
