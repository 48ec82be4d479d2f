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
    return (union header){ .word = __atomic_load_n(header_word(gt, ref), __ATOMIC_SEQ_CST) };
}

uint16_t gnttab_header_flags(const struct grant_table *gt, uint32_t ref)
{
    return read_header(gt, ref).flags;
}

static void guest_may_act(const struct hv *hv)
{
    if (hv->race)
        hv->race(hv->race_ctx);
}

/* What somebody wants with an entry. */
struct access {
    bool pinned, readonly, map;
    domid_t ldom;
};

/* Whether the header grants it; a pinned entry's type and domid were looked at when it was pinned. */
static bool permits(union header h, uint16_t mask, uint16_t type, struct access want)
{
    return (h.flags & mask) == type && h.domid == want.ldom;
}

static uint16_t mask_for(struct access want)
{
    return GTF_type_mask | (want.map ? GTF_sub_page : 0);
}

static bool is_refused_write(union header h, struct access want)
{
    return !want.readonly && h.flags & GTF_readonly;
}

static int set_status_v1(struct domain *rd, uint32_t ref, struct access want)
{
    uint32_t *word = header_word(&rd->gt, ref);
    union header old = read_header(&rd->gt, ref), new;

    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        if (!want.pinned && !permits(old, mask_for(want), GTF_permit_access, want))
            return GNTST_general_error;
        if (is_refused_write(old, want))
            return GNTST_general_error;
        new = old;
        new.flags |= want.readonly ? GTF_reading : GTF_reading | GTF_writing;
        guest_may_act(rd->hv);
        if (__atomic_compare_exchange_n(word, &old.word, new.word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

static bool permits_v2(union header h, struct access want)
{
    return want.pinned || permits(h, mask_for(want), GTF_permit_access, want) ||
           (!want.map && permits(h, GTF_type_mask, GTF_transitive, want));
}

static int set_status_v2(struct domain *rd, uint32_t ref, struct access want)
{
    const uint16_t both = GTF_reading | GTF_writing;
    grant_status_t *status = status_word(&rd->gt, ref);
    union header h = read_header(&rd->gt, ref);

    if (!permits_v2(h, want) || is_refused_write(h, want))
        return GNTST_general_error;
    /*
     * The guest revokes by clearing the flags and then, after a barrier, looking here. Our write and the read below are
     * sequentially consistent, so one of the two sees the other.
     */
    __atomic_fetch_or(status, want.readonly ? GTF_reading : both, __ATOMIC_SEQ_CST);
    guest_may_act(rd->hv);
    h = read_header(&rd->gt, ref);
    if (permits_v2(h, want) && !is_refused_write(h, want))
        return GNTST_okay;
    __atomic_fetch_and(status, (uint16_t)~(want.pinned ? GTF_writing : both), __ATOMIC_SEQ_CST);
    return GNTST_general_error;
}

int gnttab_set_status(struct domain *rd, uint32_t ref, const struct active_entry *act, bool readonly, bool map,
                      domid_t ldom)
{
    struct access want = { .pinned = act->pin != 0, .readonly = readonly, .map = map, .ldom = ldom };

    return rd->gt.version == 1 ? set_status_v1(rd, ref, want) : set_status_v2(rd, ref, want);
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
    union header offer = { .flags = GTF_accept_transfer, .domid = from }, committed = offer;

    if (ref >= nr_grant_entries(gt))
        return -EINVAL;
    if (read_header(gt, ref).word != offer.word)
        return -EINVAL;
    committed.flags |= GTF_transfer_committed;
    guest_may_act(rd->hv);
    /* The offer is the whole word: an exchange that fails has seen another one, and need not be tried again. */
    if (!__atomic_compare_exchange_n(header_word(gt, ref), &offer.word, committed.word, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
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
