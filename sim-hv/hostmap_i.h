/* SPDX-License-Identifier: MIT */
/* The table of host mappings that the model keeps for a PV domain without pv_ops. */
#ifndef GNTSIM_HV_HOSTMAP_I_H
#define GNTSIM_HV_HOSTMAP_I_H

#include <gntsim/hv.h>

struct hv_domain;

/* Host mappings of a PV domain without hv_pv_ops: host_addr -> frame, open addressing. */
enum { SLOT_USED = 1u, SLOT_READONLY = 2u };
struct hostmap_slot {
    /* host_addr, bit 0: a page-table entry's address (GNTMAP_contains_pte) */
    uint64_t key;
    uint32_t mfn;
    uint32_t state;        /* SLOT_*; 0: free */
};
struct hostmap {
    struct hostmap_slot *slots;
    uint64_t size;         /* a power of two, or 0 */
    uint64_t used;
};

/* -EINVAL: address not usable; -EBUSY: in use; -ENOMEM. */
int hostmap_map(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn);
/*
 * -ENOENT: no such mapping of that frame with these rights. new_addr's content moves to host_addr.
 */
int hostmap_unmap(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn,
                  uint64_t new_addr);
void hostmap_destroy(struct hostmap *map);

#endif
