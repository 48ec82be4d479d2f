/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's side of the protocol on shared grant entries. The owning guest may write an
 * entry at any instant. So the model reads each field once, exchanges {flags, domid} as one word,
 * and bounds every loop. A function that returns int returns a GNTST_* status.
 */
#ifndef GNTSIM_HV_GNTTAB_ENTRY_I_H
#define GNTSIM_HV_GNTTAB_ENTRY_I_H

#include "hv_i.h"

/* The 5th failed exchange is the guest's fault. */
#define MAX_ATTEMPTS 5

union header {
    uint32_t word;
    struct {
        uint16_t flags;
        domid_t domid;
    };
};
static_assert(sizeof(union header) == 4, "header is one word");

/* An entry by where it is: valid until the table's version changes. ref < nr_grant_entries. */
struct entry {
    struct hv_domain *rd;
    uint32_t ref;
    uint32_t *header;
    struct active_entry *act;
};
static inline struct entry entry_at(struct hv_domain *rd, uint32_t ref)
{
    const struct grant_table *gt = &rd->gt;

    return (struct entry){ .rd = rd,
                           .ref = ref,
                           .act = active_entry(gt, ref),
                           .header = gt->version == 1
                               ? (void *)shared_v1(gt, ref) : (void *)shared_v2(gt, ref) };
}

static inline union header read_header(const uint32_t *word)
{
    return (union header){ .word = __atomic_load_n(word, __ATOMIC_SEQ_CST) };
}

static inline void guest_may_act(const struct hv *hv)
{
    if (hv->race)
        hv->race(hv->race_ctx);
}

/* What somebody wants with an entry. */
struct access {
    bool pinned, readonly, map;
    domid_t ldom;
};

/* Whether the header grants it; a pinned entry's type and domid were checked when pinned. */
static inline bool permits(union header h, uint16_t mask, uint16_t type, struct access want)
{
    return (h.flags & mask) == type && h.domid == want.ldom;
}

static inline uint16_t mask_for(struct access want)
{
    return GTF_type_mask | (want.map ? GTF_sub_page : 0);
}

static inline bool is_refused_write(union header h, struct access want)
{
    return !want.readonly && h.flags & GTF_readonly;
}

static inline int set_status_v1(const struct entry *e, struct access want)
{
    /* flags are the lower half */
    const uint32_t set = want.readonly ? GTF_reading : GTF_reading | GTF_writing;
    uint32_t old = read_header(e->header).word;

    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        union header seen = { .word = old };

        if (!want.pinned && !permits(seen, mask_for(want), GTF_permit_access, want))
            return GNTST_general_error;
        if (is_refused_write(seen, want))
            return GNTST_general_error;
        guest_may_act(e->rd->hv);
        if (__atomic_compare_exchange_n(e->header, &old, old | set, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

/* gnttab_entry.c */
int gnttab_set_status_v2(struct entry e, struct access want);
struct grant_frame_ref gnttab_read_frame_v2(struct entry e);

/* Before the first pin, or the first one for writing. */
static inline int set_status(const struct entry *e, bool readonly, bool map, domid_t ldom)
{
    struct access want = {
        .pinned = e->act->pin != 0, .readonly = readonly, .map = map, .ldom = ldom
    };

    return e->rd->gt.version == 1 ? set_status_v1(e, want) : gnttab_set_status_v2(*e, want);
}

/* After a pin was lowered, or when one is not to be: clears what is not true in the entry. */
static inline void reduce_status(const struct entry *e, bool readonly)
{
    uint16_t clear = 0, *where;

    if (!readonly && !(e->act->pin & PIN_WRITE_MASK))
        clear |= GTF_writing;
    if (!e->act->pin)
        clear |= GTF_reading;
    if (!clear)
        return;
    where = e->rd->gt.version == 1 ? (uint16_t *)e->header : status_word(&e->rd->gt, e->ref);
    __atomic_fetch_and(where, (uint16_t)~clear, __ATOMIC_RELEASE);
}

static inline struct grant_frame_ref read_frame(const struct entry *e)
{
    if (e->rd->gt.version != 1)
        return gnttab_read_frame_v2(*e);
    return (struct grant_frame_ref){
        .start = 0,
        .length = HV_PAGE_SIZE,
        .frame = __atomic_load_n(&((grant_entry_v1_t *)(void *)e->header)->frame, __ATOMIC_RELAXED)
    };
}

#endif
