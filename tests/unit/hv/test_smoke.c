/* SPDX-License-Identifier: MIT */
/* The path that everything else takes: a granted page can be mapped and unmapped. */
#include "harness.h"

SUITE("smoke");

TEST_KINDS("a granted page can be mapped and unmapped")
{
    struct gnttab_map_grant_ref op;
    char *mapped;

    grant(1, 8, 2, 3, 0);
    op = map_op(2, 1, 8, GNTMAP_host_map, A(1));
    EQ(op.status, GNTST_okay);
    EQ(op.handle, 0);
    audit_clean();
    EQ(flags_of(1, 8), GTF_permit_access | GTF_reading | GTF_writing);
    EQ(op.dev_bus_addr, mfn_of(1, 3) * HV_PAGE_SIZE);
    mapped = hv_frame(w.hv, op.dev_bus_addr / HV_PAGE_SIZE);
    strcpy(mapped, "hello");
    OK(!strcmp(page(1, 3), "hello"));
    EQ(unmap(2, op.handle, A(1)), GNTST_okay);
    EQ(flags_of(1, 8), GTF_permit_access);
    EQ(frame(mfn_of(1, 3)).refs, 1);
}

TEST_KINDS("an event reaches its peer")
{
    uint32_t p1, p2;

    EQ(evt_alloc(1, DOMID_SELF, 2, &p1), 0);
    EQ(evt_bind(2, 1, p1, &p2), 0);
    EQ(evt_port(2, EVTCHNOP_send, p2), 0);
    OK(evt_pending(1, p1));
    EQ(w.upcalls[1], 1);
}

TEST_KINDS("a copy between two grants moves bytes")
{
    grant(1, 8, 2, 3, GTF_readonly);
    grant(1, 9, 2, 4, 0);
    strcpy(page(1, 3), "copied");
    EQ(copy_refs(2, 1, 8, 1, 9, 7), GNTST_okay);
    OK(!strcmp(page(1, 4), "copied"));
    EQ(flags_of(1, 9), GTF_permit_access);
}

TEST_KINDS("a dead granter stays until its last page is unmapped")
{
    uint32_t handle;

    grant(1, 8, 2, 3, 0);
    grant(1, 9, 2, 4, 0);
    EQ(map(2, 1, 8, GNTMAP_host_map, A(1), &handle), GNTST_okay);
    EQ(map(2, 1, 9, GNTMAP_host_map | GNTMAP_readonly, A(2), NULL), GNTST_okay);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    EQ(hv_domain_state(w.hv, 1), 1);
    audit_clean();
    EQ(unmap(2, handle, A(1)), GNTST_okay);
    EQ(hv_domain_state(w.hv, 1), 1);
    EQ(hv_domain_destroy(w.hv, 2), 0);
    EQ(hv_domain_state(w.hv, 1), -ESRCH);
    EQ(hv_domain_state(w.hv, 2), -ESRCH);
}

TEST_KINDS("death gives every frame back")
{
    for (domid_t id = 0; id < 4; id++)
        EQ(hv_domain_destroy(w.hv, id), 0);
    EQ(hv_nr_free_frames(w.hv), w.nr_frames - 1);
    EQ(hv_domain_next(w.hv, 0), -1);
}
