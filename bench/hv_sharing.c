/* SPDX-License-Identifier: MIT */
/* Shares pages of two domains with each other, as a helper in domain 0 does. */
#include "hv_machine.h"
#include "measure.h"

void sharing_up(struct machine *m, uint64_t pages)
{
    struct hv_domain_config config;

    machine_up(m, 4 * pages + 1024);
    hv_domain_config_init(&config);
    config.privileged = true;
    MUST(hv_domain_create(m->hv, 0, &config) == 0);
    config = (struct hv_domain_config){ .auto_translated = true,
                                        .nr_pages = pages,
                                        .max_pages = 2 * pages,
                                        .max_grant_frames = -1,
                                        .max_maptrack_frames = -1 };
    MUST(hv_domain_create(m->hv, 1, &config) == 0);
    MUST(hv_domain_create(m->hv, 2, &config) == 0);
}

static void sharing_op(const struct machine *m, struct xen_mem_sharing_op *op)
{
    const uint64_t args[5] = { XENMEM_sharing_op, (uintptr_t)op };

    MUST(hv_hypercall(m->hv, 0, __HYPERVISOR_memory_op, args, &hv_plain_memory) == 0);
}

static uint64_t nominate(const struct machine *m, domid_t d, uint64_t gfn)
{
    struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_nominate_gfn, .domain = d };

    op.u.nominate.u.gfn = gfn;
    sharing_op(m, &op);
    return op.u.nominate.handle;
}

void share(const struct machine *m, uint64_t gfn)
{
    uint64_t source = nominate(m, 1, gfn), client = nominate(m, 2, gfn);
    struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_share, .domain = 1 };

    op.u.share.source_gfn = op.u.share.client_gfn = gfn;
    op.u.share.source_handle = source;
    op.u.share.client_handle = client;
    op.u.share.client_domain = 2;
    sharing_op(m, &op);
}

/* A mapping that may write makes the page the domain's own. */
static void unshare(const struct machine *m, domid_t d, uint64_t gfn)
{
    uint64_t mfn;
    int64_t handle = hv_foreign_map(m->hv, 0, d, gfn, HV_FOREIGN_WRITE, &mfn);

    MUST(handle >= 0);
    hv_foreign_unmap(m->hv, 0, (uint32_t)handle);
}

/* All pages are shared at the same time. In us a pair. */
double time_sharing(const struct machine *m, uint64_t pages)
{
    double start = now_ns();

    for (uint64_t gfn = 0; gfn < pages; gfn++)
        share(m, gfn);
    for (uint64_t gfn = 0; gfn < pages; gfn++) {
        unshare(m, 2, gfn);
        unshare(m, 1, gfn);
    }
    return (now_ns() - start) / (double)pages / 1000;
}

double time_audit(const struct machine *m)
{
    double start = now_ns();

    MUST(hv_audit(m->hv, NULL) == 0);
    return now_ns() - start;
}
