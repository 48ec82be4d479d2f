/* SPDX-License-Identifier: MIT */
/* The model's own table of host mappings, against a list of what must be in it. */
#include "harness.h"

#include "hv_i.h"

SUITE("hostmap");

#define NR_KEYS 1024u

struct known {
    uint64_t addr, mfn;
    uint32_t flags;
    bool mapped;
};

/* Neighbours, pages far apart by every power of two, pages of one bit each, entries of one page
 * table, and of many. */
static void choose_addresses(struct known *known)
{
    for (unsigned i = 0; i < NR_KEYS; i++) {
        static const uint64_t starts[] = { UINT64_C(1) << 20, UINT64_C(1) << 32, UINT64_C(1) << 46,
                                           UINT64_C(0xffff888000000000) };
        unsigned kind = i % 8, n = i / 8;
        struct known *k = &known[i];

        *k = (struct known){ .flags = GNTMAP_host_map };
        switch (kind) {
        case 0: case 1: case 2:
            k->addr = starts[kind] + (uint64_t)n * HV_PAGE_SIZE;
            break;
        case 3:
            k->addr = starts[3] + ((uint64_t)n << (12 + n % 16)) + ((uint64_t)n << 40);
            break;
        case 4:
            k->addr = (uint64_t)(n + 1) << 21 | UINT64_C(1) << 45;
            break;
        case 5:
            k->addr = (uint64_t)(n + 1) << 30 | UINT64_C(1) << 44;
            break;
        case 6:
            k->addr = starts[1] + n * 8;
            k->flags |= GNTMAP_contains_pte;
            break;
        default:
            k->addr = starts[2] + (uint64_t)n * 4096 + 8;
            k->flags |= GNTMAP_contains_pte;
        }
    }
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % below;
}

/* Each is where it should be, and nowhere with other rights or another frame. */
static void all_are_there(struct hv_domain *d, const struct known *known)
{
    uint64_t used = 0;

    for (unsigned i = 0; i < NR_KEYS; i++) {
        const struct known *k = &known[i];

        EQ(hostmap_unmap(d, k->addr, k->flags, k->mfn + 1, 0), -ENOENT);
        EQ(hostmap_unmap(d, k->addr, k->flags ^ GNTMAP_readonly, k->mfn, 0), -ENOENT);
        used += k->mapped;
        if (k->mapped)
            EQ(hostmap_map(d, k->addr, k->flags, 5), -EBUSY);
    }
    EQ(d->hostmap.used, used);
}

static void map_or_unmap(struct hv_domain *d, struct known *k, uint32_t *seed)
{
    if (k->mapped) {
        EQ(hostmap_unmap(d, k->addr, k->flags, k->mfn, 0), 0);
        k->mapped = false;
        return;
    }
    EQ(hostmap_unmap(d, k->addr, k->flags, k->mfn, 0), -ENOENT);
    k->flags = (k->flags & ~(uint32_t)GNTMAP_readonly) | (draw(seed, 2) ? GNTMAP_readonly : 0);
    k->mfn = draw(seed, 1000);
    EQ(hostmap_map(d, k->addr, k->flags, k->mfn), 0);
    k->mapped = true;
}

/* What is at one page moves to another one, whose mapping ends. */
static void replace_one(struct hv_domain *d, struct known *to, struct known *from)
{
    if (to == from || !to->mapped || !from->mapped ||
        (to->flags | from->flags) & GNTMAP_contains_pte)
        return;
    EQ(hostmap_unmap(d, to->addr, to->flags, to->mfn, from->addr), 0);
    to->mfn = from->mfn;
    to->flags = from->flags;
    from->mapped = false;
}

TEST_PV("any pattern of addresses is kept apart")
{
    static struct known known[NR_KEYS];
    struct hv_domain *d = domain_lookup(w.hv, 2);
    uint32_t seed = 4711;

    choose_addresses(known);
    for (unsigned i = 0; i < 60000; i++) {
        /* sometimes few of them, again and again */
        unsigned key = draw(&seed, i % 20000 < 10000 ? NR_KEYS : 64);

        if (draw(&seed, 16))
            map_or_unmap(d, &known[key], &seed);
        else
            replace_one(d, &known[key], &known[draw(&seed, NR_KEYS)]);
        if (i % 4096 == 0)
            all_are_there(d, known);
    }
    all_are_there(d, known);
    for (unsigned i = 0; i < NR_KEYS; i++)
        if (known[i].mapped)
            EQ(hostmap_unmap(d, known[i].addr, known[i].flags, known[i].mfn, 0), 0);
    EQ(d->hostmap.used, 0);
}
