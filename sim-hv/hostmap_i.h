/* SPDX-License-Identifier: MIT */
/* The model's own table of host mappings, for PV domains whose address space nobody else keeps. */
#ifndef GNTSIM_HV_HOSTMAP_I_H
#define GNTSIM_HV_HOSTMAP_I_H

#include <gntsim/hv.h>

struct domain;

/* Host mappings of a PV domain without hv_pv_ops: host_addr -> frame, open addressing. */
enum { SLOT_USED = 1u, SLOT_READONLY = 2u, SLOT_DISPLACED = 4u /* not where its key would have it */ };
struct hostmap_slot {
    uint64_t key;          /* host_addr, bit 0: a page-table entry's address (GNTMAP_contains_pte) */
    uint32_t mfn;
    uint32_t state;        /* SLOT_*; 0: free */
};
struct hostmap {
    struct hostmap_slot *slots;
    uint64_t mask;         /* size - 1 */
    uint64_t used, most;   /* beyond most it grows */
};

#define HOSTMAP_BLOCK_BITS 3   /* so many neighbouring pages, or entries of a page table, are neighbours here: two cache lines */

/* Where a page, or an entry of a page table, belongs. There are slots. */
static inline struct hostmap_slot *hostmap_home(const struct hostmap *map, uint64_t unit)
{
    uint64_t block = ((unit >> HOSTMAP_BLOCK_BITS) * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

    return &map->slots[(block << HOSTMAP_BLOCK_BITS | (unit & ((1u << HOSTMAP_BLOCK_BITS) - 1))) & map->mask];
}
static inline uint32_t hostmap_state(uint32_t gntmap_flags)
{
    return SLOT_USED | (gntmap_flags & GNTMAP_readonly ? SLOT_READONLY : 0);
}
/* Whether the address is of a page: what the two functions below can do. */
static inline bool hostmap_is_page(uint64_t host_addr, uint32_t flags)
{
    return !(host_addr & (HV_PAGE_SIZE - 1)) && !(flags & GNTMAP_contains_pte);
}
/* Most pages find their home free, and are still there alone when they go: without a call. false: nothing is done. */
static inline bool hostmap_map_home(struct hostmap *map, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    struct hostmap_slot *home;

    if (map->used >= map->most || !hostmap_is_page(host_addr, flags))
        return false;
    home = hostmap_home(map, host_addr / HV_PAGE_SIZE);
    if (home->state)
        return false;
    *home = (struct hostmap_slot){ .key = host_addr, .mfn = (uint32_t)mfn, .state = hostmap_state(flags) };
    map->used++;
    return true;
}
static inline bool hostmap_unmap_home(struct hostmap *map, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    struct hostmap_slot *home, *next;

    if (!map->slots || !hostmap_is_page(host_addr, flags))
        return false;
    home = hostmap_home(map, host_addr / HV_PAGE_SIZE);
    next = home == &map->slots[map->mask] ? map->slots : home + 1;
    if (home->key != host_addr || home->mfn != mfn || home->state != hostmap_state(flags) || next->state & SLOT_DISPLACED)
        return false;
    home->state = 0;
    map->used--;
    return true;
}
/* -EINVAL: address not usable; -EBUSY: in use; -ENOMEM. */
int hostmap_map(struct domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn);
/* -ENOENT: no such mapping of that frame with these rights. new_addr: what is there moves to host_addr. */
int hostmap_unmap(struct domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn, uint64_t new_addr);
void hostmap_destroy(struct hostmap *map);

#endif
