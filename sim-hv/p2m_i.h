/* SPDX-License-Identifier: MIT */
/*
 * A domain's physical memory map: each gfn's type and frame. It is a radix tree, because guests
 * choose gfns freely.
 */
#ifndef GNTSIM_HV_P2M_I_H
#define GNTSIM_HV_P2M_I_H

#include <stdbool.h>
#include <stdint.h>

struct hv;

enum p2m_type {
    P2M_INVALID = 0,
    P2M_RAM_RW,
    P2M_RAM_PAGING_OUT, /* nominated: to be paged out, still with its frame */
    P2M_RAM_PAGED,      /* paged out, nobody asked for it yet */
    P2M_RAM_PAGING_IN,  /* a pager was asked; with its frame if that never went */
    P2M_RAM_SHARED,     /* the frame is shared with other gfns (sharing_i.h) */
    P2M_GRANT_MAP_RW,
    P2M_GRANT_MAP_RO,
};

#define P2M_LEVELS 4
#define P2M_BITS 9
#define P2M_FANOUT (1u << P2M_BITS)
#define P2M_MAX_GFN (UINT64_C(1) << (P2M_LEVELS * P2M_BITS))   /* 48-bit physical addresses */

struct p2m_entry {
    uint64_t mfn; /* HV_INVALID_MFN: no frame, which only a page that is out may have */
    enum p2m_type type;
    uint8_t access; /* XENMEM_access_* */
};

struct p2m_node;
struct p2m {
    struct p2m_node *root;
    /* as the p2m pool of a real domain: nodes are kept until it dies */
    uint64_t nr_nodes, max_nodes;
    uint64_t first_hole;            /* no hole below this gfn */
    uint64_t max_gfn;               /* the highest that was ever set */
    uint8_t default_access;         /* of new entries */
};

/* Memory of the domain, which it may at least read. */
static inline bool p2m_is_ram(enum p2m_type type)
{
    return type == P2M_RAM_RW || type == P2M_RAM_SHARED;
}
static inline bool p2m_is_paging(enum p2m_type type)
{
    return type >= P2M_RAM_PAGING_OUT && type <= P2M_RAM_PAGING_IN;
}
static inline bool p2m_is_grant(enum p2m_type type)
{
    return type == P2M_GRANT_MAP_RW || type == P2M_GRANT_MAP_RO;
}

/* Type P2M_INVALID for anything that is not there. */
struct p2m_entry p2m_get(const struct p2m *p2m, uint64_t gfn);
/* -ENOMEM: no node; never when the gfn was set before. -EINVAL: beyond P2M_MAX_GFN. */
int p2m_set(struct hv *hv, struct p2m *p2m, uint64_t gfn, enum p2m_type type, uint64_t mfn);
/* The same of a gfn that is there: the access to it stays what it is. */
void p2m_change(struct p2m *p2m, uint64_t gfn, enum p2m_type type, uint64_t mfn);
/* Of a gfn that is there. */
void p2m_set_access(struct p2m *p2m, uint64_t gfn, uint8_t access);
/* The type's number in Xen, which its events name. */
unsigned p2m_number(enum p2m_type type);
void p2m_clear(struct p2m *p2m, uint64_t gfn);
/* As p2m_clear, but it stays no hole until the domain gives it up: its kernel still has a page
 * there, as far as it knows. */
void p2m_vacate(struct p2m *p2m, uint64_t gfn);
/* Of a gfn that is not there, vacated or not. */
void p2m_give_up(struct p2m *p2m, uint64_t gfn);
/* Nothing is there, and it was not vacated. */
bool p2m_is_hole(const struct p2m *p2m, uint64_t gfn);
/* Lowest gfn from which nr gfns are holes. */
uint64_t p2m_find_hole(struct p2m *p2m, uint64_t nr);
/* The first entry with gfn >= *gfn that is not a hole; false at the end. */
bool p2m_next(const struct p2m *p2m, uint64_t *gfn, struct p2m_entry *entry);
/* The same for a vacated gfn; the frame is the one that was there, and may be another's now. */
bool p2m_next_vacated(const struct p2m *p2m, uint64_t *gfn, struct p2m_entry *entry);
void p2m_destroy(struct p2m *p2m);

#endif
