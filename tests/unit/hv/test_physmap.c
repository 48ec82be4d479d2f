/* SPDX-License-Identifier: MIT */
/* XENMEM_add_to_physmap and XENMEM_acquire_resource of grant frames. */
#include "harness.h"

#include "hv_i.h"

SUITE("physmap");

#define STATUS XENMAPIDX_grant_table_status

static long memory_op(domid_t caller, uint64_t cmd, void *arg)
{
    const uint64_t args[5] = { cmd, (uintptr_t)arg };

    return hv_hypercall(w.hv, caller, __HYPERVISOR_memory_op, args, &hv_plain_memory);
}

static long place(domid_t caller, domid_t dom, unsigned space, uint64_t idx, uint64_t gfn)
{
    struct xen_add_to_physmap op = { .domid = dom, .space = space, .idx = idx, .gpfn = gfn };

    return memory_op(caller, XENMEM_add_to_physmap, &op);
}

TEST_HVM("a guest places its grant frames",
         "ent:2.1/add ent:2.3/ram ent:2.3/special ent:2.3/moved ops:3/unmapped")
{
    xen_pfn_t list[3];
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 3 };
    uint64_t mfn;

    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 0x100), 0);
    EQ(mfn_of(1, 0x100), hv_grant_frame_mfn(w.hv, 1, 0));
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 2, 0x102), 0);
    EQ(hv_nr_grant_frames(w.hv, 1), 3);              /* it grows to have it */
    set_xen_guest_handle(setup.frame_list, list);
    EQ(hv_grant_table_op(w.hv, 1, GNTTABOP_setup_table, &setup, 1), 0);
    EQ(list[0], 0x100);
    EQ(list[1], UINT64_MAX);
    EQ(list[2], 0x102);
    /* A frame is at one gfn only. */
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 0x200), 0);
    EQ(hv_gfn_to_mfn(w.hv, 1, 0x100, &mfn), -ENOENT);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 0x200), 0);
    audit_clean();
    /* On ordinary memory: that is freed. On another of the hypervisor's frames: that goes out of
     * sight. */
    mfn = mfn_of(1, 3);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 3), 0);
    EQ(frame(mfn).owner, -1);
    EQ(info(1).tot_pages, 15);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 1, 3), 0);
    EQ(frame(hv_grant_frame_mfn(w.hv, 1, 0)).gfn, UINT64_MAX);
    EQ(frame(hv_grant_frame_mfn(w.hv, 1, 0)).owner, -2);
    audit_clean();
    /* On a page that is out, and on a grant. */
    EQ(hv_page_out(w.hv, 1, 4), 0);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 4), 0);
    EQ(info(1).paged_pages, 0);
    grant(2, 8, 1, 3, 0);
    EQ(map(1, 2, 8, GNTMAP_host_map, 0x300000, NULL), GNTST_okay);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 0x300), -ENXIO);
    audit_clean();
    /* Taken out by the guest, it stays the hypervisor's; and it cannot be paged out. */
    EQ(hv_page_out(w.hv, 1, 4), -EBUSY);
    EQ(hv_page_free(w.hv, 1, 4), 0);
    EQ(frame(hv_grant_frame_mfn(w.hv, 1, 0)).owner, -2);
    audit_clean();
    EQ(place(1, DOMID_SELF, XENMAPSPACE_shared_info, 0, 0x400), 0);
    EQ(mfn_of(1, 0x400), hv_shared_info_mfn(w.hv, 1));
    audit_clean();
    EQ(hv_domain_destroy(w.hv, 1), 0);
    audit_clean();
}

TEST_HVM("placing is refused", "ent:2.3/idx ent:2.3/status-v1")
{
    EQ(place(1, 999, XENMAPSPACE_grant_table, 0, 0x100), -ESRCH);
    EQ(place(1, 2, XENMAPSPACE_grant_table, 0, 0x100), -EPERM);
    EQ(place(0, 2, XENMAPSPACE_grant_table, 0, 0x100), 0);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, UINT64_MAX), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, P2M_MAX_GFN), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 64, 0x100), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, UINT64_MAX, 0x100), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, STATUS, 0x100), -EINVAL);       /* version 1 */
    EQ(place(1, DOMID_SELF, XENMAPSPACE_shared_info, 1, 0x100), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_gmfn, 0, 0x100), -EINVAL);
    EQ(memory_op(1, XENMEM_add_to_physmap, NULL), -EFAULT);
    EQ(memory_op(1, XENMEM_exchange, NULL), -ENOSYS);
    EQ(hv_nr_grant_frames(w.hv, 1), 1);
    audit_clean();
}

TEST_HVM("status frames can be placed and grow the table",
         "ent:2.1/add-status ent:2/grant-for-status")
{
    EQ(set_version(1, 2, NULL), 0);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, STATUS, 0x100), 0);
    EQ(mfn_of(1, 0x100), hv_status_frame_mfn(w.hv, 1, 0));
    EQ(hv_nr_grant_frames(w.hv, 1), 1);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, STATUS | 2, 0x102), 0);
    EQ(hv_nr_grant_frames(w.hv, 1), 24);
    EQ(info(1).nr_status_frames, 3);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, STATUS | 8, 0x103), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, STATUS | 0x7fffffff, 0x103), -EINVAL);
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, STATUS | UINT64_C(0x10000000000), 0x103),
       -EINVAL);
    EQ(hv_nr_grant_frames(w.hv, 1), 24);
    audit_clean();
}

TEST_PV("a PV domain has no physmap")
{
    EQ(place(1, DOMID_SELF, XENMAPSPACE_grant_table, 0, 0x100), -EACCES);
    EQ(place(0, 1, XENMAPSPACE_grant_table, 0, 0x100), -EACCES);
}

static long acquire(domid_t caller, domid_t dom, unsigned id, uint64_t first, uint32_t nr,
                    xen_pfn_t *list, uint32_t *size)
{
    struct xen_mem_acquire_resource op = { .domid = dom, .type = XENMEM_resource_grant_table,
                                           .id = id, .nr_frames = nr,
                                           .frame = first };
    long rc;

    set_xen_guest_handle(op.frame_list, list);
    rc = memory_op(caller, XENMEM_acquire_resource, &op);
    if (size)
        *size = op.nr_frames;
    return rc;
}

TEST_PV("a control domain acquires another's table",
        "ent:2.1/acquire ent:2.1/acquire-status ent:2.3/acquire")
{
    xen_pfn_t list[64];
    uint32_t size = 0;

    EQ(acquire(1, 2, 0, 0, 1, list, NULL), -EPERM);
    EQ(acquire(0, 0, 0, 0, 1, list, NULL), -EPERM);                  /* not its own */
    EQ(acquire(0, DOMID_SELF, 0, 0, 1, list, NULL), -EPERM);
    EQ(acquire(0, 999, 0, 0, 1, list, NULL), -ESRCH);
    EQ(acquire(0, 1, 2, 0, 1, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, 0, 0, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, 64, 1, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, 60, 5, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, UINT64_C(1) << 32, 1, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, UINT32_MAX, 1, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, 0, UINT32_MAX >> 5, list, NULL), -EINVAL);
    /* version 1 has no status frames */
    EQ(acquire(0, 1, 1, 0, 1, list, NULL), -EINVAL);
    EQ(acquire(0, 1, 0, 0, 1, NULL, NULL), -EINVAL);
    EQ(hv_nr_grant_frames(w.hv, 1), 1);
    EQ(acquire(0, 1, 0, 0, 0, NULL, &size), 0);
    EQ(size, 64);
    EQ(acquire(0, 1, 1, 0, 0, NULL, &size), 0);
    EQ(size, 8);
    EQ(acquire(0, 1, 0, 1, 3, list, NULL), 0);
    EQ(hv_nr_grant_frames(w.hv, 1), 4);
    for (unsigned i = 0; i < 3; i++)
        EQ(list[i], hv_grant_frame_mfn(w.hv, 1, 1 + i));
    EQ(set_version(1, 2, NULL), 0);
    EQ(acquire(0, 1, 1, 0, 2, list, NULL), 0);
    EQ(hv_nr_grant_frames(w.hv, 1), 16);
    EQ(list[1], hv_status_frame_mfn(w.hv, 1, 1));
    audit_clean();
}

TEST_PV("odd arguments of acquire are refused", "ent:2.3/acquire")
{
    xen_pfn_t list[8];
    struct xen_mem_acquire_resource op = { .domid = 1, .type = XENMEM_resource_grant_table,
                                           .nr_frames = 2, .pad = 1 };
    struct window win = { .from = (uintptr_t)&op, .to = (uintptr_t)(&op + 1) };
    struct hv_guest_memory mem = window_memory(&win);
    const uint64_t args[5] = { XENMEM_acquire_resource, (uintptr_t)&op };

    set_xen_guest_handle(op.frame_list, list);
    EQ(memory_op(0, XENMEM_acquire_resource, NULL), -EFAULT);
    EQ(memory_op(0, XENMEM_acquire_resource, &op), -EINVAL);
    op.pad = 0;
    op.type = XENMEM_resource_ioreq_server;
    EQ(memory_op(0, XENMEM_acquire_resource, &op), -EINVAL);
    op.type = XENMEM_resource_grant_table;
    EQ(hv_hypercall(w.hv, 0, __HYPERVISOR_memory_op, args, &mem), -EFAULT);     /* the list */
    /* A continuation goes on in the middle. */
    list[0] = list[1] = 7;
    EQ(memory_op(0, XENMEM_acquire_resource | 1 << 6, &op), 0);
    EQ(list[0], 7);
    EQ(list[1], hv_grant_frame_mfn(w.hv, 1, 1));
    EQ(memory_op(0, XENMEM_acquire_resource | 2 << 6, &op), -EINVAL);
    set_xen_guest_handle(op.frame_list, NULL);
    op.nr_frames = 0;
    EQ(memory_op(0, XENMEM_acquire_resource | 2 << 6, &op), -EINVAL);
    win.fail_write_after = 1;
    EQ(hv_hypercall(w.hv, 0, __HYPERVISOR_memory_op, args, &mem), -EFAULT);
}

TEST_HVM("an auto-translated domain acquires nothing")
{
    xen_pfn_t list[1];

    EQ(acquire(0, 1, 0, 0, 1, list, NULL), -EACCES);
}
