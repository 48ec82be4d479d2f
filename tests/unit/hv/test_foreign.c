/* SPDX-License-Identifier: MIT */
/* Mappings of another domain's frames without a grant (hv_foreign_map). */
#include "harness.h"

#include "hv_i.h"

SUITE("foreign");

TEST_KINDS("a control domain maps another's page")
{
    uint64_t mfn = 0, again = 0;
    int64_t handle = hv_foreign_map(w.hv, 0, 1, number(1, 3), HV_FOREIGN_WRITE, &mfn);
    int64_t second = hv_foreign_map(w.hv, 0, 1, number(1, 3), 0, &again);

    OK(handle >= 0 && second >= 0 && handle != second);
    EQ(mfn, mfn_of(1, 3));
    EQ(again, mfn);
    EQ(frame(mfn).refs, 3);
    EQ(frame(mfn).writable_types, kind == PV);     /* only a PV domain's pages have types */
    audit_clean();
    EQ(hv_page_out(w.hv, 1, 3), -EBUSY);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);
    hv_foreign_unmap(w.hv, 0, (uint32_t)handle);           /* nothing any more */
    EQ(frame(mfn).refs, 2);
    EQ(frame(mfn).writable_types, 0);
    hv_foreign_unmap(w.hv, 0, (uint32_t)second);
    hv_foreign_unmap(w.hv, 0, 12345);
    hv_foreign_unmap(w.hv, 777, 0);
    EQ(hv_page_out(w.hv, 1, 3), 0);
}

TEST_KINDS("what cannot be mapped")
{
    uint64_t mfn;

    EQ(hv_foreign_map(w.hv, 1, 2, number(2, 3), 0, &mfn), -EPERM);
    OK(hv_foreign_map(w.hv, 1, DOMID_SELF, number(1, 3), 0, &mfn) >= 0);
    EQ(hv_foreign_map(w.hv, 0, 999, 3, 0, &mfn), -ESRCH);
    EQ(hv_foreign_map(w.hv, 999, 1, 3, 0, &mfn), -ESRCH);
    grant(3, 8, 2, 3, 0);
    EQ(map(2, 3, 8, GNTMAP_host_map, A(1), NULL), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 3), 0);
    EQ(hv_domain_state(w.hv, 3), 1);                       /* dead, and kept by that mapping */
    EQ(hv_foreign_map(w.hv, 3, DOMID_SELF, number(1, 3), 0, &mfn), -ESRCH);
    EQ(hv_foreign_map(w.hv, 0, 1, UINT64_MAX, 0, &mfn), -EINVAL);
    EQ(hv_foreign_map(w.hv, 0, 1, 1u << 20, 0, &mfn), -EINVAL);
    /* not its own */
    EQ(hv_foreign_map(w.hv, 0, 1, mfn_of(2, 3), HV_FOREIGN_MFN, &mfn), -EINVAL);
    w.hv->fail_alloc = 0;
    EQ(hv_foreign_map(w.hv, 0, 1, number(1, 3), 0, &mfn), -ENOMEM);
    w.hv->fail_alloc = -1;
    audit_clean();
}

TEST_KINDS("a page that is out is asked for")
{
    uint64_t mfn, frame_number = number(1, 3);

    EQ(hv_page_out(w.hv, 1, 3), 0);
    EQ(hv_foreign_map(w.hv, 0, 1, frame_number, 0, &mfn), -ENOENT);
    EQ(w.populates, 1);
    EQ(hv_page_in(w.hv, 1, 3), 0);
    OK(hv_foreign_map(w.hv, 0, 1, frame_number, 0, &mfn) >= 0);
}

TEST_KINDS("the hypervisor's frames are named by number and outlive their domain")
{
    uint64_t mfn, table = hv_grant_frame_mfn(w.hv, 1, 0);

    OK(hv_foreign_map(w.hv, 0, 1, table, HV_FOREIGN_MFN | HV_FOREIGN_WRITE, &mfn) >= 0);
    EQ(mfn, table);
    audit_clean();
    /* The dead domain's frames stay until the mapper lets go. */
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_state(w.hv, 1), 1);
    audit_clean();
    hv_foreign_unmap(w.hv, 0, 0);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
}

TEST_KINDS("a dying mapper lets go")
{
    uint64_t mfn, first;

    for (unsigned i = 0; i < 40; i++)
        OK(hv_foreign_map(w.hv, 0, 1, number(1, i % 16), i % 2 ? HV_FOREIGN_WRITE : 0, &mfn) >= 0);
    first = mfn_of(1, 0);
    hv_foreign_unmap(w.hv, 0, 7);
    EQ(hv_foreign_map(w.hv, 0, 1, number(1, 7), 0, &mfn), 7);
    audit_clean();
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_state(w.hv, 1), 1);
    EQ(frame(first).owner, 1);
    EQ(hv_domain_destroy(w.hv, 0), 0);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    EQ(frame(first).owner, -1);
}

TEST_KINDS("the audit counts them")
{
    uint64_t mfn;

    OK(hv_foreign_map(w.hv, 0, 1, number(1, 3), HV_FOREIGN_WRITE, &mfn) >= 0);
    domain_lookup(w.hv, 0)->foreign.in_use++;
    EQ(hv_audit(w.hv, NULL), 1);
    domain_lookup(w.hv, 0)->foreign.in_use--;
    frame_of(w.hv, mfn)->refs++;
    EQ(hv_audit(w.hv, NULL), 1);
    frame_of(w.hv, mfn)->refs--;
    audit_clean();
}
