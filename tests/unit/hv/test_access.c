/* SPDX-License-Identifier: MIT */
/* What a listener in domain 0 sets and gets of a domain's access to its pages. */
#include "scene_hap.h"

SUITE("access");

static long set(domid_t id, unsigned access, uint64_t pfn, uint32_t nr)
{
    struct xen_mem_access_op op = { .op = XENMEM_access_op_set_access,
                                    .domid = id,
                                    .access = (uint8_t)access,
                                    .pfn = pfn,
                                    .nr = nr };

    return memory_op(0, XENMEM_access_op, &op);
}

/* The access, or an errno. */
static long get(domid_t id, uint64_t pfn)
{
    struct xen_mem_access_op op = { .op = XENMEM_access_op_get_access, .domid = id, .pfn = pfn };
    long rc = memory_op(0, XENMEM_access_op, &op);

    return rc ? rc : op.access;
}

static domid_t watched_domain(void)
{
    domid_t id = hap_domain();

    ring_open(id, XEN_DOMCTL_VM_EVENT_OP_MONITOR, HVM_PARAM_MONITOR_RING_PFN);
    return id;
}

TEST_PV("the access to pages is set and read back")
{
    domid_t id = watched_domain();

    EQ(get(id, 3), XENMEM_access_rwx);
    EQ(set(id, XENMEM_access_rx, 3, 2), 0);
    EQ(get(id, 2), XENMEM_access_rwx);
    EQ(get(id, 3), XENMEM_access_rx);
    EQ(get(id, 4), XENMEM_access_rx);
    EQ(get(id, 5), XENMEM_access_rwx);
    EQ(set(id, XENMEM_access_default + 1, 3, 1), -EINVAL);
    EQ(set(id, XENMEM_access_r, 3, 0), -EINVAL);
    EQ(set(id, XENMEM_access_r, 3, 1u << 20), -EINVAL);
    EQ(set(id, XENMEM_access_r, UINT64_MAX - 1, 5), -EINVAL);
    EQ(get(id, 3), XENMEM_access_rx);
    EQ(set(id, XENMEM_access_r, 20, 1), 0); /* a hole has none */
    EQ(get(id, 20), -ESRCH);
    EQ(get(id, 1u << 20), -EINVAL);
}

TEST_PV("the access of a domain is that of its pages to come")
{
    domid_t id = watched_domain();

    EQ(set(id, XENMEM_access_rw, UINT64_MAX, 0), 0);
    EQ(get(id, UINT64_MAX), XENMEM_access_rw);
    EQ(get(id, 3), XENMEM_access_rwx);
    EQ(set(id, XENMEM_access_default, 4, 1), 0);
    EQ(get(id, 4), XENMEM_access_rw);
    EQ(change(XENMEM_populate_physmap, id, 20), 1);
    EQ(get(id, 20), XENMEM_access_rw);
}

TEST_PV("accesses are set one by one up to the first that is none")
{
    domid_t id = watched_domain();
    uint64_t pfns[] = { 1, 2, 3 };
    uint8_t accesses[] = { XENMEM_access_r, 99, XENMEM_access_w };
    struct xen_mem_access_op op = { .op = XENMEM_access_op_set_access_multi, .domid = id, .nr = 3 };

    set_xen_guest_handle(op.pfn_list, pfns);
    set_xen_guest_handle(op.access_list, accesses);
    EQ(memory_op(0, XENMEM_access_op, &op), -EINVAL);
    EQ(get(id, 1), XENMEM_access_r);
    EQ(get(id, 3), XENMEM_access_rwx);
    accesses[1] = XENMEM_access_x;
    EQ(memory_op(0, XENMEM_access_op, &op), 0);
    EQ(get(id, 2), XENMEM_access_x);
}

TEST_PV("nobody but the domain itself is stopped")
{
    domid_t id = watched_domain();
    uint64_t mfn;
    int64_t handle;

    EQ(set(id, XENMEM_access_n, 3, 1), 0);
    handle = hv_foreign_map(w.hv, 0, id, 3, HV_FOREIGN_WRITE, &mfn);
    OK(handle >= 0);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    EQ(get(id, 3), XENMEM_access_n);
}

TEST_PV("without a listener, or of another kind of domain, there is no access to set")
{
    domid_t id = hap_domain();

    EQ(set(id, XENMEM_access_r, 3, 1), -ENODEV);
    EQ(get(99, 3), -ESRCH);
    EQ(get(0, 3), -EPERM);
    EQ(get(1, 3), -EINVAL);
}
