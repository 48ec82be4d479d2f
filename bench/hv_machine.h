/* SPDX-License-Identifier: MIT */
/* Machines of the hypervisor model alone, to measure with. */
#ifndef GNTSIM_BENCH_HV_MACHINE_H
#define GNTSIM_BENCH_HV_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include <gntsim/hv.h>

#define REF0 8u
#define BATCH 64u
#define ADDR(i) (UINT64_C(0x10000000) + (uint64_t)(i) * HV_PAGE_SIZE)

struct machine {
    struct hv *hv;
    void *memory;
    size_t bytes;
    /* ids 1 .. domains; each maps mappings references of the one before it */
    unsigned domains, mappings;
};

void machine_up(struct machine *m, uint64_t nr_frames);
void machine_down(struct machine *m);
void add_domain(struct machine *m, domid_t id, uint64_t pages);
void grow_table(struct machine *m, domid_t id, unsigned frames);
grant_entry_v1_t *entry(const struct machine *m, domid_t id, uint32_t ref);
/* Every domain has granted mappings + BATCH references of as many pages to the next. */
void populate(struct machine *m, unsigned domains, unsigned mappings);
/* All but the BATCH. */
void map_all(struct machine *m);

/* Domain 0, which controls, and two auto-translated ones of as many pages each. */
void sharing_up(struct machine *m, uint64_t pages);
/* The page at gfn of the one with the other's. */
void share(const struct machine *m, uint64_t gfn);
/* Shares and unshares all, which are shared at the same time. In us a pair. */
double time_sharing(const struct machine *m, uint64_t pages);
/* In ns. */
double time_audit(const struct machine *m);

/* Within what is timed. */
static inline struct gnttab_map_grant_ref map_op(domid_t granter, uint32_t ref, uint64_t addr)
{
    return (struct gnttab_map_grant_ref){ .host_addr = addr, .flags = GNTMAP_host_map, .ref = ref,
                                          .dom = granter };
}

static inline domid_t granter_of(const struct machine *m, domid_t mapper)
{
    return mapper == 1 ? (domid_t)m->domains : (domid_t)(mapper - 1);
}

#endif
