/* SPDX-License-Identifier: MIT */
/* A table of host mappings, for PV domains whose embedder keeps no address space. */
#include "hv_i.h"

#define HOSTMAP_MIN 64u
#define BLOCK 8u /* so many neighbouring pages are neighbours here, too: two cache lines */

static uint64_t key_of(uint64_t host_addr, uint32_t flags)
{
    return host_addr | !!(flags & GNTMAP_contains_pte);
}

static uint32_t state_of(uint32_t gntmap_flags)
{
    return SLOT_USED | (gntmap_flags & GNTMAP_readonly ? SLOT_READONLY : 0);
}

static uint64_t next(const struct hostmap *map, uint64_t i)
{
    return (i + 1) & (map->size - 1);
}

/* Where a key belongs. It is there, or behind: all slots between are in use. */
static uint64_t home_of(const struct hostmap *map, uint64_t key)
{
    uint64_t unit = key & 1 ? key / sizeof(uint64_t) : key / HV_PAGE_SIZE;
    uint64_t block = (unit / BLOCK * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

    return (block * BLOCK + unit % BLOCK) & (map->size - 1);
}

static uint64_t distance(const struct hostmap *map, uint64_t from, uint64_t to)
{
    return (to - from) & (map->size - 1);
}

/* The key's slot, or the free one where it would be put. */
static struct hostmap_slot *find(const struct hostmap *map, uint64_t key)
{
    uint64_t i = home_of(map, key);

    while (map->slots[i].state && map->slots[i].key != key)
        i = next(map, i);
    return &map->slots[i];
}

/* At most half of the slots are in use. */
static int make_room(struct hv *hv, struct hostmap *map)
{
    struct hostmap bigger = { .size = map->size ? map->size * 2 : HOSTMAP_MIN, .used = map->used };

    if (map->used < map->size / 2)
        return 0;
    bigger.slots = hv_alloc(hv, bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return -ENOMEM;
    for (uint64_t i = 0; i < map->size; i++)
        if (map->slots[i].state)
            *find(&bigger, map->slots[i].key) = map->slots[i];
    free(map->slots);
    *map = bigger;
    return 0;
}

int hostmap_map(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    uint64_t key = key_of(host_addr, flags);
    struct hostmap *map = &d->hostmap;
    struct hostmap_slot *slot;

    /* A page table's content cannot be overwritten here: an address is good for one mapping. */
    if (host_addr & (flags & GNTMAP_contains_pte ? sizeof(uint64_t) - 1 : HV_PAGE_SIZE - 1))
        return -EINVAL;
    if (make_room(d->hv, map))
        return -ENOMEM;
    slot = find(map, key);
    if (slot->state)
        return -EBUSY;
    *slot = (struct hostmap_slot){ .key = key, .mfn = (uint32_t)mfn, .state = state_of(flags) };
    map->used++;
    return 0;
}

/* What follows moves up if it belongs there or before, so that no tombstones are needed. */
static void remove_slot(struct hostmap *map, struct hostmap_slot *slot)
{
    uint64_t hole = (uint64_t)(slot - map->slots);

    for (uint64_t i = next(map, hole); map->slots[i].state; i = next(map, i))
        if (distance(map, home_of(map, map->slots[i].key), i) >= distance(map, hole, i)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    map->slots[hole].state = 0;
    map->used--;
}

int hostmap_unmap(struct hv_domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn,
                  uint64_t new_addr)
{
    struct hostmap *map = &d->hostmap;
    struct hostmap_slot *slot, *other;

    /* A real hypervisor takes new_addr's entry away first and loses it when the rest fails; here
     * nothing changes then. */
    if (new_addr &&
        (flags & GNTMAP_contains_pte || new_addr % HV_PAGE_SIZE || new_addr == host_addr))
        return -EINVAL;
    if (!map->slots)
        return -ENOENT;
    slot = find(map, key_of(host_addr, flags));
    if (slot->mfn != mfn || slot->state != state_of(flags))
        return -ENOENT;
    other = new_addr ? find(map, key_of(new_addr, 0)) : NULL;
    if (other && other->state) {
        slot->mfn = other->mfn;
        slot->state = other->state;
        slot = other;
    }
    remove_slot(map, slot);
    return 0;
}

void hostmap_destroy(struct hostmap *map)
{
    free(map->slots);
    *map = (struct hostmap){ .slots = NULL };
}
