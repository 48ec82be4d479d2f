/* SPDX-License-Identifier: MIT */
/* The model's own table of host mappings, for PV domains whose address space nobody else keeps. */
#include "hv_i.h"

#define HOSTMAP_MIN 64u

static uint64_t home_of(const struct hostmap *map, uint64_t key)
{
    return (uint64_t)(hostmap_home(map, key & 1 ? key >> 3 : key / HV_PAGE_SIZE) - map->slots);
}

static uint64_t key_of(uint64_t host_addr, uint32_t flags)
{
    return host_addr | !!(flags & GNTMAP_contains_pte);
}

/* NULL: not there. */
static struct hostmap_slot *find(const struct hostmap *map, uint64_t key)
{
    uint64_t i = home_of(map, key);

    for (; map->slots[i].state; i = (i + 1) & map->mask)
        if (map->slots[i].key == key)
            return &map->slots[i];
    return NULL;
}

static uint64_t distance(const struct hostmap *map, uint64_t i)
{
    return (i - home_of(map, map->slots[i].key)) & map->mask;
}

static void put_at(struct hostmap *map, uint64_t i, struct hostmap_slot item)
{
    item.state &= ~SLOT_DISPLACED;
    if (home_of(map, item.key) != i)
        item.state |= SLOT_DISPLACED;
    map->slots[i] = item;
}

/* Whoever is farther from home stays, the other moves on: then what follows a slot at its home never belongs before it. */
static void place(struct hostmap *map, struct hostmap_slot item)
{
    uint64_t i = home_of(map, item.key), far = 0;

    for (; map->slots[i].state; i = (i + 1) & map->mask, far++) {
        struct hostmap_slot other = map->slots[i];
        uint64_t others = distance(map, i);

        if (others < far) {
            put_at(map, i, item);
            item = other;
            far = others;
        }
    }
    put_at(map, i, item);
}

static int make_room(struct hv *hv, struct hostmap *map)
{
    uint64_t size = map->slots ? (map->mask + 1) * 2 : HOSTMAP_MIN;
    struct hostmap bigger = { .slots = hv_alloc(hv, size, sizeof *map->slots), .mask = size - 1, .used = map->used,
                              .most = size / 3 * 2 };

    if (!bigger.slots)
        return -ENOMEM;
    for (uint64_t i = 0; map->slots && i <= map->mask; i++)
        if (map->slots[i].state)
            place(&bigger, map->slots[i]);
    free(map->slots);
    *map = bigger;
    return 0;
}

int hostmap_map(struct domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn)
{
    uint64_t key = key_of(host_addr, flags);
    struct hostmap *map = &d->hostmap;
    struct hostmap_slot *home;

    /* A page table's content cannot be overwritten here, so an address is good for one mapping at a time. */
    if (host_addr & (flags & GNTMAP_contains_pte ? sizeof(uint64_t) - 1 : HV_PAGE_SIZE - 1))
        return -EINVAL;
    if (map->used >= map->most && make_room(d->hv, map))
        return -ENOMEM;
    home = &map->slots[home_of(map, key)];
    if (!home->state) {
        home->key = key;
        home->mfn = (uint32_t)mfn;
        home->state = hostmap_state(flags);
    } else if (find(map, key)) {
        return -EBUSY;
    } else {
        place(map, (struct hostmap_slot){ .key = key, .mfn = (uint32_t)mfn, .state = hostmap_state(flags) });
    }
    map->used++;
    return 0;
}

/* What follows and is not at home moves up, so that no tombstones are needed. */
static void remove_slot(struct hostmap *map, struct hostmap_slot *slot)
{
    uint64_t hole = (uint64_t)(slot - map->slots), next = (hole + 1) & map->mask;

    for (; map->slots[next].state & SLOT_DISPLACED; hole = next, next = (next + 1) & map->mask)
        put_at(map, hole, map->slots[next]);
    map->slots[hole].state = 0;
    map->used--;
}

int hostmap_unmap(struct domain *d, uint64_t host_addr, uint32_t flags, uint64_t mfn, uint64_t new_addr)
{
    struct hostmap *map = &d->hostmap;
    struct hostmap_slot *slot, *other;

    /* A real hypervisor takes new_addr's entry away first and loses it when the rest fails; here nothing changes then. */
    if (new_addr && (flags & GNTMAP_contains_pte || new_addr % HV_PAGE_SIZE || new_addr == host_addr))
        return -EINVAL;
    if (!map->slots)
        return -ENOENT;
    slot = find(map, key_of(host_addr, flags));
    if (!slot || slot->mfn != mfn || (slot->state & ~SLOT_DISPLACED) != hostmap_state(flags))
        return -ENOENT;
    other = new_addr ? find(map, key_of(new_addr, 0)) : NULL;
    if (other) {
        slot->mfn = other->mfn;
        slot->state = (slot->state & SLOT_DISPLACED) | (other->state & ~SLOT_DISPLACED);
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
