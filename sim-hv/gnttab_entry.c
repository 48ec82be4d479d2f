/* SPDX-License-Identifier: MIT */
/*
 * The protocol on shared entries. The guest that owns them may write them at any instant, so each field is read
 * once, {flags, domid} are taken and exchanged as one word, and no loop depends on the guest holding still.
 */
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

static void *entry_address(const struct grant_table *gt, uint32_t ref)
{
    return gt->version == 1 ? (void *)shared_v1(gt, ref) : (void *)shared_v2(gt, ref);
}

static uint32_t *header_word(const struct grant_table *gt, uint32_t ref)
{
    return entry_address(gt, ref);
}

/* Where GTF_reading and GTF_writing are. */
static uint16_t *status_location(const struct grant_table *gt, uint32_t ref)
{
    return gt->version == 1 ? &shared_v1(gt, ref)->flags : status_word(gt, ref);
}

static union header read_header(const struct grant_table *gt, uint32_t ref)
{
    return (union header){ .word = __atomic_load_n(header_word(gt, ref), __ATOMIC_ACQUIRE) };
}

uint16_t gnttab_header_flags(const struct grant_table *gt, uint32_t ref)
{
    return read_header(gt, ref).flags;
}

static bool permits(union header h, uint16_t mask, uint16_t type, domid_t ldom)
{
    return (h.flags & mask) == type && h.domid == ldom;
}

static int set_status_v1(struct grant_table *gt, uint32_t ref, bool pinned, bool readonly, bool map, domid_t ldom)
{
    uint16_t mask = GTF_type_mask | (map ? GTF_sub_page : 0);
    union header old = read_header(gt, ref), new;

    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        if (!pinned && !permits(old, mask, GTF_permit_access, ldom))
            return GNTST_general_error;
        if (!readonly && old.flags & GTF_readonly)
            return GNTST_general_error;
        new = old;
        new.flags |= readonly ? GTF_reading : GTF_reading | GTF_writing;
        if (__atomic_compare_exchange_n(header_word(gt, ref), &old.word, new.word, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

static int set_status_v2(struct grant_table *gt, uint32_t ref, bool pinned, bool readonly, bool map, domid_t ldom)
{
    uint16_t mask = GTF_type_mask | (map ? GTF_sub_page : 0);
    uint16_t bits = readonly ? GTF_reading : GTF_reading | GTF_writing;
    grant_status_t *status = status_word(gt, ref);
    union header h = read_header(gt, ref);
    bool permitted = permits(h, mask, GTF_permit_access, ldom) ||
                     (!map && permits(h, GTF_type_mask, GTF_transitive, ldom));

    if (!pinned && !permitted)
        return GNTST_general_error;
    if (!readonly && h.flags & GTF_readonly)
        return GNTST_general_error;
    /* The guest revokes by clearing the flags and then looking here: one of the two sees the other. */
    __atomic_fetch_or(status, bits, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    h = read_header(gt, ref);
    permitted = permits(h, mask, GTF_permit_access, ldom) ||
                (!map && permits(h, GTF_type_mask, GTF_transitive, ldom));
    if (!pinned && (!permitted || (!readonly && h.flags & GTF_readonly))) {
        __atomic_fetch_and(status, (uint16_t)~(GTF_reading | GTF_writing), __ATOMIC_SEQ_CST);
        return GNTST_general_error;
    }
    if (pinned && !readonly && h.flags & GTF_readonly) {
        __atomic_fetch_and(status, (uint16_t)~GTF_writing, __ATOMIC_SEQ_CST);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

int gnttab_set_status(struct domain *rd, uint32_t ref, const struct active_entry *act, bool readonly, bool map,
                      domid_t ldom)
{
    struct grant_table *gt = &rd->gt;

    return gt->version == 1 ? set_status_v1(gt, ref, act->pin != 0, readonly, map, ldom)
                            : set_status_v2(gt, ref, act->pin != 0, readonly, map, ldom);
}

void gnttab_reduce_status(struct domain *rd, uint32_t ref, const struct active_entry *act, bool readonly)
{
    uint16_t clear = 0;

    /* Pins keep the version from changing, except for the reserved entries, whose place is looked up here anew. */
    assert(ref < nr_grant_entries(&rd->gt));
    if (!readonly && !(act->pin & PIN_WRITE_MASK))
        clear |= GTF_writing;
    if (!act->pin)
        clear |= GTF_reading;
    if (clear)
        __atomic_fetch_and(status_location(&rd->gt, ref), (uint16_t)~clear, __ATOMIC_RELEASE);
}

void gnttab_read_frame(const struct grant_table *gt, uint32_t ref, struct grant_frame_ref *out)
{
    const grant_entry_v2_t *v2;

    *out = (struct grant_frame_ref){ .start = 0, .length = HV_PAGE_SIZE };
    if (gt->version == 1) {
        out->frame = __atomic_load_n(&shared_v1(gt, ref)->frame, __ATOMIC_RELAXED);
        return;
    }
    v2 = shared_v2(gt, ref);
    out->frame = __atomic_load_n(&v2->full_page.frame, __ATOMIC_RELAXED);
    if (gnttab_header_flags(gt, ref) & GTF_sub_page) {
        out->is_sub_page = true;
        out->start = __atomic_load_n(&v2->sub_page.page_off, __ATOMIC_RELAXED);
        out->length = __atomic_load_n(&v2->sub_page.length, __ATOMIC_RELAXED);
    }
}

int gnttab_prepare_transfer(struct domain *rd, uint32_t ref, domid_t from)
{
    const struct grant_table *gt = &rd->gt;
    union header old, new;

    if (ref >= nr_grant_entries(gt))
        return -EINVAL;
    old = read_header(gt, ref);
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        if (old.flags != GTF_accept_transfer || old.domid != from)
            return -EINVAL;
        new = old;
        new.flags |= GTF_transfer_committed;
        if (__atomic_compare_exchange_n(header_word(gt, ref), &old.word, new.word, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return 0;
    }
    return -EINVAL;
}

uint64_t gnttab_transfer_frame(const struct grant_table *gt, uint32_t ref)
{
    if (gt->version == 1)
        return __atomic_load_n(&shared_v1(gt, ref)->frame, __ATOMIC_RELAXED);
    return __atomic_load_n(&shared_v2(gt, ref)->full_page.frame, __ATOMIC_RELAXED);
}

void gnttab_complete_transfer(const struct grant_table *gt, uint32_t ref, uint64_t frame)
{
    if (frame != HV_INVALID_MFN) {
        if (gt->version == 1)
            __atomic_store_n(&shared_v1(gt, ref)->frame, (uint32_t)frame, __ATOMIC_RELAXED);
        else
            __atomic_store_n(&shared_v2(gt, ref)->full_page.frame, frame, __ATOMIC_RELAXED);
    }
    /* Releases the frame number with it. */
    __atomic_fetch_or((uint16_t *)header_word(gt, ref), GTF_transfer_completed, __ATOMIC_RELEASE);
}
