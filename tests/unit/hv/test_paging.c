/* SPDX-License-Identifier: MIT */
/* A pager in domain 0: pages that go out and come back, its ring, and who meets one that is out. */
#include "scene_hap.h"

SUITE("paging");

static uint8_t buffer[HV_PAGE_SIZE];

static long pager(uint8_t what, domid_t id, uint64_t gfn, void *contents)
{
    struct xen_mem_paging_op op = { .op = what, .domain = id, .gfn = gfn };

    set_xen_guest_handle(op.buffer, contents);
    return memory_op(0, XENMEM_paging_op, &op);
}

static long nominate(domid_t id, uint64_t gfn)
{
    return pager(XENMEM_paging_op_nominate, id, gfn, NULL);
}

static long evict(domid_t id, uint64_t gfn) { return pager(XENMEM_paging_op_evict, id, gfn, NULL); }

static long prep(domid_t id, uint64_t gfn) { return pager(XENMEM_paging_op_prep, id, gfn, NULL); }

static long load(domid_t id, uint64_t gfn, int value)
{
    memset(buffer, value, sizeof buffer);
    return pager(XENMEM_paging_op_prep, id, gfn, buffer);
}

static void page_out(domid_t id, uint64_t gfn)
{
    EQ(nominate(id, gfn), 0);
    EQ(evict(id, gfn), 0);
}

static struct ring paged_domain(domid_t *id)
{
    *id = hap_domain();
    return ring_open(*id, XEN_DOMCTL_VM_EVENT_OP_PAGING, HVM_PARAM_PAGING_RING_PFN);
}

/* Of domain 0, for its device only: a status. */
static int try_map(domid_t id, uint32_t ref)
{
    struct gnttab_map_grant_ref op = map_op(0, id, ref, GNTMAP_device_map | GNTMAP_readonly, 0);

    if (op.status == GNTST_okay)
        EQ(unmap_parts(0, op.handle, 0, op.dev_bus_addr), GNTST_okay);
    return op.status;
}

TEST_PV("a page goes out and comes back with what the pager has of it")
{
    domid_t id;
    struct ring r = paged_domain(&id);
    uint64_t free_frames = hv_nr_free_frames(w.hv), pages = info(id).tot_pages;

    EQ(nominate(id, 3), 0);
    EQ(nominate(id, 3), -EBUSY);
    EQ(prep(id, 3), -ENOENT);
    EQ(evict(id, 3), 0);
    EQ(evict(id, 3), -EBUSY);
    EQ(hv_nr_free_frames(w.hv), free_frames + 1);
    EQ(info(id).tot_pages, pages - 1);
    EQ(info(id).paged_pages, 1);
    EQ(prep(id, 3), -EINVAL);
    EQ(load(id, 3, 0x33), 0);
    EQ(load(id, 3, 0x34), -ENOENT);
    EQ(((uint8_t *)page(id, 3))[99], 0x33);
    EQ(info(id).tot_pages, pages);
    EQ(info(id).paged_pages, 0);
    EQ(evict(id, 4), -EBUSY);
    EQ(nominate(id, 99), -EBUSY);
    EQ(load(id, 99, 1), -ENOENT);
    EQ(pager(17, id, 3, NULL), -ENOSYS);
    EQ(take_all(&r), 0);
}

TEST_PV("a page that somebody else refers to stays")
{
    domid_t id;
    uint64_t mfn;
    int64_t handle;

    paged_domain(&id);
    handle = hv_foreign_map(w.hv, 0, id, 5, 0, &mfn);
    EQ(nominate(id, 5), -EBUSY);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    EQ(nominate(id, 5), 0);
    handle = hv_foreign_map(w.hv, 0, id, 5, 0, &mfn); /* a nominated one can be mapped */
    OK(handle >= 0);
    EQ(evict(id, 5), -EBUSY);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    EQ(evict(id, 5), 0);
    EQ(nominate(id, RING_GFN + HVM_PARAM_PAGING_RING_PFN), -EBUSY);
}

TEST_PV("who meets a page that is out asks for it once")
{
    vm_event_request_t request;
    domid_t id;
    struct ring r = paged_domain(&id);
    uint64_t mfn;

    grant(id, 8, 0, 3, 0);
    page_out(id, 3);
    EQ(try_map(id, 8), GNTST_eagain);
    OK(take(&r, &request));
    EQ(request.reason, VM_EVENT_REASON_MEM_PAGING);
    EQ(request.flags, VM_EVENT_FLAG_FOREIGN);
    EQ(request.u.mem_paging.gfn, 3);
    EQ(request.u.mem_paging.p2mt, 10);
    EQ(request.u.mem_paging.flags, 0);
    OK(evt_pending(0, r.local));
    EQ(try_map(id, 8), GNTST_eagain);
    EQ(hv_foreign_map(w.hv, 0, id, 3, 0, &mfn), -ENOENT);
    EQ(take_all(&r), 0);
    answer(&r, request);
    EQ(evt_port(0, EVTCHNOP_send, r.local), 0);
    EQ(try_map(id, 8), GNTST_eagain); /* an answer alone changes nothing */
    EQ(load(id, 3, 1), 0);
    EQ(try_map(id, 8), GNTST_okay);
}

TEST_PV("who meets a page that is only nominated gets it by prep")
{
    vm_event_request_t request;
    domid_t id;
    struct ring r = paged_domain(&id);

    grant(id, 8, 0, 3, 0);
    EQ(nominate(id, 3), 0);
    EQ(try_map(id, 8), GNTST_eagain);
    OK(take(&r, &request));
    EQ(request.u.mem_paging.p2mt, 9);
    EQ(request.u.mem_paging.flags, MEM_PAGING_EVICT_FAIL);
    EQ(evict(id, 3), -EBUSY);
    EQ(prep(id, 3), 0);
    EQ(try_map(id, 8), GNTST_okay);
}

TEST_PV("a ring that is full has room again when its requests are answered")
{
    vm_event_request_t request;
    domid_t id;
    struct ring r = paged_domain(&id);

    for (unsigned i = 0; i < 10; i++) {
        grant(id, 8 + i, 0, i, 0);
        page_out(id, i);
        EQ(try_map(id, 8 + i), GNTST_eagain);
    }
    EQ(take_all(&r), 8);
    EQ(try_map(id, 17), GNTST_eagain);
    EQ(take_all(&r), 0); /* reading them is not enough */
    memset(&request, 0, sizeof request);
    for (unsigned i = 0; i < 2; i++)
        answer(&r, request);
    EQ(ring_op(id, XEN_DOMCTL_VM_EVENT_OP_PAGING, XEN_VM_EVENT_RESUME, NULL), 0);
    for (unsigned i = 0; i < 10; i++)
        EQ(try_map(id, 8 + i), GNTST_eagain);
    OK(take(&r, &request));
    EQ(request.u.mem_paging.gfn, 8);
    EQ(take_all(&r), 1);
}

TEST_PV("a ring that a hostile pager fills with numbers harms nobody")
{
    domid_t id;
    struct ring r = paged_domain(&id);

    grant(id, 8, 0, 3, 0);
    page_out(id, 3);
    for (uint64_t n = 1; n < 1ull << 32; n = n * 7 + 5) {
        memset(r.back.sring->ring, (int)n, 8 * sizeof r.back.sring->ring[0]);
        r.back.sring->rsp_prod = (uint32_t)n;
        EQ(ring_op(id, XEN_DOMCTL_VM_EVENT_OP_PAGING, XEN_VM_EVENT_RESUME, NULL), 0);
        EQ(try_map(id, 8), GNTST_eagain);
        audit_clean();
    }
    EQ(load(id, 3, 1), 0);
}

TEST_PV("without a pager the domain is crashed whose page somebody needs")
{
    domid_t id;

    paged_domain(&id);
    grant(id, 8, 0, 3, 0);
    grant(id, 9, 0, 4, 0);
    page_out(id, 3);
    EQ(ring_op(id, XEN_DOMCTL_VM_EVENT_OP_PAGING, XEN_VM_EVENT_DISABLE, NULL), 0);
    EQ(prep(id, 3), -ENODEV);
    EQ(w.crashes, 0);
    EQ(try_map(id, 8), GNTST_eagain);
    EQ(w.crashes, 1);
    EQ(try_map(id, 9), GNTST_okay);
}

TEST_PV("a ring is refused where there can be none")
{
    domid_t id = hap_domain(), pv;
    const uint32_t mode = XEN_DOMCTL_VM_EVENT_OP_PAGING;
    uint32_t port;
    struct ring r;

    EQ(ring_op(99, mode, XEN_VM_EVENT_ENABLE, &port), -ESRCH);
    EQ(ring_op(0, mode, XEN_VM_EVENT_ENABLE, &port), -EINVAL);
    EQ(ring_op(1, mode, XEN_VM_EVENT_ENABLE, &port), -ENODEV);
    EQ(create(0, &pv), 0);
    EQ(ring_op(pv, mode, XEN_VM_EVENT_ENABLE, &port), -EINVAL); /* no vCPU */
    EQ(ring_op(id, mode, XEN_VM_EVENT_ENABLE, &port), -EOPNOTSUPP);
    EQ(ring_op(id, mode, XEN_VM_EVENT_DISABLE, &port), -EINVAL);
    EQ(ring_op(id, mode, XEN_VM_EVENT_RESUME, &port), -ENODEV);
    EQ(ring_op(id, 17, XEN_VM_EVENT_ENABLE, &port), -ENOSYS);
    r = ring_open(id, mode, HVM_PARAM_PAGING_RING_PFN);
    EQ(ring_op(id, mode, XEN_VM_EVENT_ENABLE, &port), -EBUSY);
    EQ(evt_port(id, EVTCHNOP_close, r.port), -EINVAL); /* Xen's, not the guest's */
    EQ(evt_port(id, EVTCHNOP_send, r.port), -EINVAL);
    EQ(ring_op(DOMID_INVALID, mode, XEN_VM_EVENT_GET_VERSION, &port), 0);
    EQ(port, VM_EVENT_INTERFACE_VERSION);
}

TEST_PV("memory over a page that is out, and less of it, is counted as Xen counts")
{
    struct xen_remove_from_physmap remove;
    vm_event_request_t request;
    domid_t id;
    struct ring r = paged_domain(&id);
    uint64_t pages = info(id).tot_pages;

    remove = (struct xen_remove_from_physmap){ .domid = id, .gpfn = 3 };
    page_out(id, 3);
    EQ(change(XENMEM_decrease_reservation, id, 3), 0);
    EQ(memory_op(0, XENMEM_remove_from_physmap, &remove), -ENOENT);
    EQ(change(XENMEM_populate_physmap, id, 3), 1);
    EQ(info(id).tot_pages, pages);
    EQ(info(id).paged_pages, 0);
    EQ(nominate(id, 4), 0);
    EQ(change(XENMEM_populate_physmap, id, 4), 1);
    EQ(info(id).tot_pages, pages + 1); /* the old frame stays its */
    grant(id, 8, 0, 5, 0);
    EQ(nominate(id, 5), 0);
    EQ(try_map(id, 8), GNTST_eagain);
    OK(take(&r, &request));
    EQ(change(XENMEM_decrease_reservation, id, 5), 1);
    EQ(info(id).paged_pages, -1);
    OK(take(&r, &request));
    EQ(request.u.mem_paging.flags, MEM_PAGING_DROP_PAGE);
    EQ(try_map(id, 8), GNTST_bad_page);
}

TEST_PV("a load without memory for it waits until there is some")
{
    domid_t id;
    uint64_t pages;

    paged_domain(&id);
    page_out(id, 3);
    pages = info(id).tot_pages;
    EQ(set_max(id, pages), 0);
    EQ(load(id, 3, 1), -ENOMEM);
    EQ(set_max(id, pages + 1), 0);
    EQ(load(id, 3, 1), 0);
}

TEST_PV("a page that a program sees keeps its frame and what is in it")
{
    domid_t id;
    uint64_t mfn;

    paged_domain(&id);
    mfn = mfn_of(id, 3);
    hv_frame_get(w.hv, mfn);
    page_out(id, 3);
    EQ(info(id).paged_pages, 1);
    memset(hv_frame(w.hv, mfn), 0x77, HV_PAGE_SIZE);
    EQ(load(id, 3, 1), 0);
    EQ(mfn_of(id, 3), mfn);
    EQ(((uint8_t *)page(id, 3))[0], 0x77);
    hv_frame_put(w.hv, mfn);
}
