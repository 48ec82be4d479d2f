/* SPDX-License-Identifier: MIT */
/* Builds machines of the hypervisor model alone, to measure with. */
#include "hv_machine.h"

#include <sys/mman.h>

#include "measure.h"

void machine_up(struct machine *m, uint64_t nr_frames)
{
    struct hv_config config = { .nr_frames = nr_frames };

    m->bytes = nr_frames * HV_PAGE_SIZE;
    m->memory = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(m->memory != MAP_FAILED);
    config.memory = m->memory;
    MUST(hv_create(&m->hv, &config) == 0);
}

void machine_down(struct machine *m)
{
    hv_destroy(m->hv);
    munmap(m->memory, m->bytes);
}

void add_domain(struct machine *m, domid_t id, uint64_t pages)
{
    struct hv_domain_config config;

    hv_domain_config_init(&config);
    config.max_pages = pages + 1;
    MUST(hv_domain_create(m->hv, id, &config) == 0);
    MUST(hv_page_alloc_run(m->hv, id, pages, NULL) == 0);
}

void grow_table(struct machine *m, domid_t id, unsigned frames)
{
    uint64_t list[64];
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = frames };

    op.frame_list.p = (void *)list;
    MUST(hv_grant_table_op(m->hv, id, GNTTABOP_setup_table, &op, 1) == 0 &&
         op.status == GNTST_okay);
}

grant_entry_v1_t *entry(const struct machine *m, domid_t id, uint32_t ref)
{
    return (grant_entry_v1_t *)hv_grant_frame(m->hv, id, ref / 512) + ref % 512;
}

static void grant(struct machine *m, domid_t id, uint32_t ref, domid_t to, uint64_t gfn)
{
    uint64_t frame;

    MUST(hv_grant_frame_number(m->hv, id, gfn, &frame) == 0);
    entry(m, id, ref)->frame = (uint32_t)frame;
    entry(m, id, ref)->domid = to;
    entry(m, id, ref)->flags = GTF_permit_access;
}

void populate(struct machine *m, unsigned domains, unsigned mappings)
{
    unsigned pages = mappings + BATCH;

    *m = (struct machine){ .domains = domains, .mappings = mappings };
    machine_up(m, (uint64_t)domains * (pages + 8) + 64);
    for (unsigned d = 1; d <= domains; d++) {
        add_domain(m, (domid_t)d, pages);
        grow_table(m, (domid_t)d, (REF0 + pages + 511) / 512);
    }
    for (unsigned d = 1; d <= domains; d++)
        for (unsigned i = 0; i < pages; i++)
            grant(m, granter_of(m, (domid_t)d), REF0 + i, (domid_t)d, i);
}

void map_all(struct machine *m)
{
    for (unsigned d = 1; d <= m->domains; d++)
        for (unsigned i = 0; i < m->mappings; i++) {
            struct gnttab_map_grant_ref op = map_op(granter_of(m, (domid_t)d), REF0 + i, ADDR(i));

            MUST(hv_grant_table_op(m->hv, (domid_t)d, GNTTABOP_map_grant_ref, &op, 1) == 0 &&
                 op.status == GNTST_okay);
        }
}
