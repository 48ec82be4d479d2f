/* SPDX-License-Identifier: MIT */
/* The parts of the protocol on shared entries that need not be inline: version 2 and transfers. */
#include "gnttab_entry_i.h"

static uint32_t *header_word(const struct grant_table *gt, uint32_t ref)
{
    return gt->version == 1 ? (void *)shared_v1(gt, ref) : (void *)shared_v2(gt, ref);
}

uint16_t gnttab_header_flags(const struct grant_table *gt, uint32_t ref)
{
    return read_header(header_word(gt, ref)).flags;
}

static bool permits_v2(union header h, struct access want)
{
    return want.pinned || permits(h, mask_for(want), GTF_permit_access, want) ||
           (!want.map && permits(h, GTF_type_mask, GTF_transitive, want));
}

int gnttab_set_status_v2(struct entry e, struct access want)
{
    const uint16_t both = GTF_reading | GTF_writing;
    grant_status_t *status = status_word(&e.rd->gt, e.ref);
    union header h = read_header(e.header);

    if (!permits_v2(h, want) || is_refused_write(h, want))
        return GNTST_general_error;
    /*
     * The guest revokes by clearing the flags and then, after a barrier, looking here. Our write
     * and the read below are sequentially consistent, so one of the two sees the other.
     */
    __atomic_fetch_or(status, want.readonly ? GTF_reading : both, __ATOMIC_SEQ_CST);
    guest_may_act(e.rd->hv);
    h = read_header(e.header);
    if (permits_v2(h, want) && !is_refused_write(h, want))
        return GNTST_okay;
    __atomic_fetch_and(status, (uint16_t)~(want.pinned ? GTF_writing : both), __ATOMIC_SEQ_CST);
    return GNTST_general_error;
}

struct grant_frame_ref gnttab_read_frame_v2(struct entry e)
{
    const grant_entry_v2_t *v2 = (void *)e.header;
    struct grant_frame_ref ref = { .start = 0, .length = HV_PAGE_SIZE };

    ref.frame = __atomic_load_n(&v2->full_page.frame, __ATOMIC_RELAXED);
    if (read_header(e.header).flags & GTF_sub_page) {
        ref.is_sub_page = true;
        ref.start = __atomic_load_n(&v2->sub_page.page_off, __ATOMIC_RELAXED);
        ref.length = __atomic_load_n(&v2->sub_page.length, __ATOMIC_RELAXED);
    }
    return ref;
}

int gnttab_prepare_transfer(struct hv_domain *rd, uint32_t ref, domid_t from)
{
    const struct grant_table *gt = &rd->gt;
    union header offer = { .flags = GTF_accept_transfer, .domid = from }, committed = offer;

    if (ref >= nr_grant_entries(gt))
        return -EINVAL;
    if (read_header(header_word(gt, ref)).word != offer.word)
        return -EINVAL;
    committed.flags |= GTF_transfer_committed;
    guest_may_act(rd->hv);
    /* The offer is the whole word: a failed exchange has seen another one, and is not repeated. */
    if (!__atomic_compare_exchange_n(header_word(gt, ref), &offer.word, committed.word, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return -EINVAL;
    return 0;
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
