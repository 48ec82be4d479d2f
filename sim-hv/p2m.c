/* SPDX-License-Identifier: MIT */
/* Keeps a domain's physical memory map as a radix tree. */
#include "hv_i.h"

/*
 * Entries are packed into one word: the frame's number above, the access, and the type in the low
 * bits; 0 is a hole. One that was vacated has no type, but still the frame that was there: it is as
 * good as a hole, but for who looks for one. Frame 0, which nobody ever has, stands for none.
 */
#define ENTRY(type, access, mfn) ((mfn) << 8 | (uint64_t)(access) << 4 | (uint64_t)(type))
#define ENTRY_TYPE(word) ((enum p2m_type)((word)&0xf))
#define ENTRY_ACCESS(word) ((uint8_t)((word) >> 4 & 0xf))
#define ENTRY_MFN(word) ((word) >> 8)

static bool is_used(uint64_t word)
{
    return ENTRY_TYPE(word) != P2M_INVALID;
}

static bool is_vacated(uint64_t word)
{
    return word && !is_used(word);
}

static struct p2m_entry unpack(uint64_t word)
{
    return (struct p2m_entry){ .mfn = ENTRY_MFN(word) ? ENTRY_MFN(word) : HV_INVALID_MFN,
                               .type = ENTRY_TYPE(word),
                               .access = ENTRY_ACCESS(word) };
}

struct p2m_node {
    union {
        struct p2m_node *child[P2M_FANOUT];
        uint64_t entry[P2M_FANOUT];
    };
};

static unsigned index_at(uint64_t gfn, unsigned level)
{
    return gfn >> (level * P2M_BITS) & (P2M_FANOUT - 1);
}

static uint64_t *find(const struct p2m *p2m, uint64_t gfn)
{
    struct p2m_node *node = p2m->root;

    if (gfn >= P2M_MAX_GFN)
        return NULL;
    for (unsigned level = P2M_LEVELS - 1; node && level > 0; level--)
        node = node->child[index_at(gfn, level)];
    return node ? &node->entry[index_at(gfn, 0)] : NULL;
}

struct p2m_entry p2m_get(const struct p2m *p2m, uint64_t gfn)
{
    const uint64_t *word = find(p2m, gfn);

    return unpack(word && is_used(*word) ? *word : 0);
}

static struct p2m_node *new_node(struct hv *hv, struct p2m *p2m)
{
    struct p2m_node *node;

    if (p2m->nr_nodes >= p2m->max_nodes)
        return NULL;
    node = hv_alloc(hv, 1, sizeof *node);
    if (node)
        p2m->nr_nodes++;
    return node;
}

int p2m_set(struct hv *hv, struct p2m *p2m, uint64_t gfn, enum p2m_type type, uint64_t mfn)
{
    struct p2m_node **link = &p2m->root;

    assert(type != P2M_INVALID && (mfn < hv->nr_frames || mfn == HV_INVALID_MFN));
    if (gfn >= P2M_MAX_GFN)
        return -EINVAL;
    for (unsigned level = P2M_LEVELS - 1;; level--) {
        if (!*link)
            *link = new_node(hv, p2m);
        if (!*link)
            return -ENOMEM;
        if (level == 0)
            break;
        link = &(*link)->child[index_at(gfn, level)];
    }
    (*link)->entry[index_at(gfn, 0)] =
        ENTRY(type, p2m->default_access, mfn == HV_INVALID_MFN ? 0 : mfn);
    if (gfn > p2m->max_gfn)
        p2m->max_gfn = gfn;
    return 0;
}

void p2m_change(struct p2m *p2m, uint64_t gfn, enum p2m_type type, uint64_t mfn)
{
    uint64_t *word = find(p2m, gfn);

    assert(word && is_used(*word) && type != P2M_INVALID);
    *word = ENTRY(type, ENTRY_ACCESS(*word), mfn == HV_INVALID_MFN ? 0 : mfn);
}

void p2m_set_access(struct p2m *p2m, uint64_t gfn, uint8_t access)
{
    uint64_t *word = find(p2m, gfn);

    assert(word && is_used(*word));
    *word = ENTRY(ENTRY_TYPE(*word), access, ENTRY_MFN(*word));
}

/* Beyond the public headers they stand in the interface of the events alone. */
unsigned p2m_number(enum p2m_type type)
{
    static const unsigned numbers[] = {
        [P2M_RAM_RW] = 0,
        [P2M_INVALID] = 1,
        [P2M_GRANT_MAP_RW] = 7,
        [P2M_GRANT_MAP_RO] = 8,
        [P2M_RAM_PAGING_OUT] = 9,
        [P2M_RAM_PAGED] = 10,
        [P2M_RAM_PAGING_IN] = 11,
        [P2M_RAM_SHARED] = 12,
    };

    return numbers[type];
}

void p2m_clear(struct p2m *p2m, uint64_t gfn)
{
    uint64_t *word = find(p2m, gfn);

    assert(word && *word);
    *word = 0;
    if (gfn < p2m->first_hole)
        p2m->first_hole = gfn;
}

void p2m_vacate(struct p2m *p2m, uint64_t gfn)
{
    uint64_t *word = find(p2m, gfn);

    assert(word && ENTRY_MFN(*word));
    *word = ENTRY(P2M_INVALID, 0, ENTRY_MFN(*word));
}

void p2m_give_up(struct p2m *p2m, uint64_t gfn)
{
    const uint64_t *word = find(p2m, gfn);

    if (word && is_vacated(*word))
        p2m_clear(p2m, gfn);
}

bool p2m_is_hole(const struct p2m *p2m, uint64_t gfn)
{
    const uint64_t *word = find(p2m, gfn);

    return !word || !*word;
}

uint64_t p2m_find_hole(struct p2m *p2m, uint64_t nr)
{
    uint64_t gfn = p2m->first_hole, run = 0, start;

    while (!p2m_is_hole(p2m, gfn))
        gfn++;
    p2m->first_hole = start = gfn;
    for (; run < nr; gfn++) {
        if (p2m_is_hole(p2m, gfn)) {
            run++;
        } else {
            run = 0;
            start = gfn + 1;
        }
    }
    return start;
}

/* The first wanted entry >= gfn below node, whose first gfn is base. */
static bool next_in(const struct p2m_node *node, unsigned level, uint64_t base, uint64_t *gfn,
                    bool (*wanted)(uint64_t word), struct p2m_entry *entry)
{
    uint64_t span = UINT64_C(1) << (level * P2M_BITS), first;

    for (unsigned i = *gfn > base ? (unsigned)((*gfn - base) / span) : 0; i < P2M_FANOUT; i++) {
        first = base + i * span;
        if (level > 0) {
            if (node->child[i] && next_in(node->child[i], level - 1, first, gfn, wanted, entry))
                return true;
        } else if (wanted(node->entry[i])) {
            *gfn = first;
            *entry = unpack(node->entry[i]);
            return true;
        }
    }
    return false;
}

bool p2m_next(const struct p2m *p2m, uint64_t *gfn, struct p2m_entry *entry)
{
    if (!p2m->root || *gfn >= P2M_MAX_GFN)
        return false;
    return next_in(p2m->root, P2M_LEVELS - 1, 0, gfn, is_used, entry);
}

bool p2m_next_vacated(const struct p2m *p2m, uint64_t *gfn, struct p2m_entry *entry)
{
    if (!p2m->root || *gfn >= P2M_MAX_GFN)
        return false;
    return next_in(p2m->root, P2M_LEVELS - 1, 0, gfn, is_vacated, entry);
}

static void free_node(struct p2m_node *node, unsigned level)
{
    if (!node)
        return;
    for (unsigned i = 0; level > 0 && i < P2M_FANOUT; i++)
        free_node(node->child[i], level - 1);
    free(node);
}

void p2m_destroy(struct p2m *p2m)
{
    free_node(p2m->root, P2M_LEVELS - 1);
    *p2m = (struct p2m){ .root = NULL };
}
