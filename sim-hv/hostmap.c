/* SPDX-License-Identifier: MIT */
/* The model's own table of host mappings, for PV domains whose address space nobody else keeps. */
#include "hv_i.h"

#define HOSTMAP_MIN 64u

static uint64_t slot_of(const struct hostmap *map, uint64_t key)
{
    return (key * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & map->mask;
}

/* The slot that holds key, or the free one where it would go. There is always a free one. */
static struct hostmap_slot *find(const struct hostmap *map, uint64_t key)
{
    uint64_t i = slot_of(map, key);

    while (map->slots[i].value && map->slots[i].key != key)
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static int make_room(struct hv *hv, struct hostmap *map)
{
    uint64_t size = map->slots ? map->mask + 1 : 0;
    struct hostmap bigger;

    if ((map->used + 1) * 3 <= size * 2)
        return 0;
    size = size ? size * 2 : HOSTMAP_MIN;
    bigger = (struct hostmap){ .slots = hv_alloc(hv, size, sizeof *map->slots), .mask = size - 1, .used = map->used };
    if (!bigger.slots)
        return -ENOMEM;
    for (uint64_t i = 0; map->slots && i <= map->mask; i++)
        if (map->slots[i].value)
            *find(&bigger, map->slots[i].key) = map->slots[i];
    free(map->slots);
    *map = bigger;
    return 0;
}

static uint64_t key_of(uint64_t host_addr, uint32_t flags)
{
    return host_addr | !!(flags & GNTMAP_contains_pte);
}

static uint64_t value_of(uint64_t mfn, uint32_t flags)
{
    return mfn << 2 | (flags & GNTMAP_readonly ? 2 : 0) | 1;
}

int hostmap_map(struct hv *hv, struct hostmap *map, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    uint64_t align = flags & GNTMAP_contains_pte ? sizeof(uint64_t) : HV_PAGE_SIZE;
    struct hostmap_slot *slot;

    /* A page table's content cannot be overwritten here, so an address is good for one mapping at a time. */
    if (host_addr % align)
        return -EINVAL;
    if (make_room(hv, map))
        return -ENOMEM;
    slot = find(map, key_of(host_addr, flags));
    if (slot->value)
        return -EBUSY;
    *slot = (struct hostmap_slot){ .key = key_of(host_addr, flags), .value = value_of(mfn, flags) };
    map->used++;
    return 0;
}

/* Later entries of the same probe sequence move up, so that no tombstones are needed. */
static void remove_slot(struct hostmap *map, struct hostmap_slot *slot)
{
    uint64_t hole = (uint64_t)(slot - map->slots);

    for (uint64_t i = (hole + 1) & map->mask; map->slots[i].value; i = (i + 1) & map->mask) {
        uint64_t home = slot_of(map, map->slots[i].key);

        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = 0;
    map->used--;
}

int hostmap_unmap(struct hostmap *map, uint64_t host_addr, uint32_t flags, uint64_t mfn, uint64_t new_addr)
{
    struct hostmap_slot *slot, *other;
    uint64_t moved;

    /* A real hypervisor takes new_addr's entry away first and loses it when the rest fails; here nothing changes then. */
    if (new_addr && (flags & GNTMAP_contains_pte || new_addr % HV_PAGE_SIZE || new_addr == host_addr))
        return -EINVAL;
    if (!map->slots)
        return -ENOENT;
    slot = find(map, key_of(host_addr, flags));
    if (slot->value != value_of(mfn, flags))
        return -ENOENT;
    if (new_addr) {
        other = find(map, key_of(new_addr, 0));
        if (other->value) {
            moved = other->value;
            slot->value = moved;
            remove_slot(map, other);
            return 0;
        }
    }
    remove_slot(map, slot);
    return 0;
}

void hostmap_destroy(struct hostmap *map)
{
    free(map->slots);
    *map = (struct hostmap){ .slots = NULL };
}
