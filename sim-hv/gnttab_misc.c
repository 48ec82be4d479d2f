/* SPDX-License-Identifier: MIT */
/* The small operations: swap_grant_ref, cache_flush, and dump_table, which does nothing. */
#include "hv_i.h"

/* Entries are one or two aligned words. */
static uint64_t *words(void *entry)
{
    return entry;
}

static void swap64(uint64_t *a, uint64_t *b)
{
    uint64_t was_a = __atomic_load_n(a, __ATOMIC_RELAXED);

    __atomic_store_n(a, __atomic_load_n(b, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    __atomic_store_n(b, was_a, __ATOMIC_RELAXED);
}

/* For the audit, which knows that bits may be left over in reserved entries. */
static void note_swap(struct grant_table *gt, uint32_t a, uint32_t b)
{
    for (unsigned i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++)
        if ((gt->moved[i] ^ i) == a)
            gt->moved[i] = b ^ i;
        else if ((gt->moved[i] ^ i) == b)
            gt->moved[i] = a ^ i;
}

static int swap_one(const struct hv_call *c, void *element, void *state)
{
    const struct gnttab_swap_grant_ref *op = element;
    struct grant_table *gt = &c->d->gt;
    uint32_t a = op->ref_a, b = op->ref_b;

    (void)state;
    if (a >= nr_grant_entries(gt) || b >= nr_grant_entries(gt))
        return GNTST_bad_gntref;
    if (a == b)
        return GNTST_okay;
    if (active_entry(gt, a)->pin || active_entry(gt, b)->pin)
        return GNTST_eagain;
    note_swap(gt, a, b);
    if (gt->version == 1) {
        swap64(words(shared_v1(gt, a)), words(shared_v1(gt, b)));
    } else {
        uint64_t *ea = words(shared_v2(gt, a)), *eb = words(shared_v2(gt, b));
        uint16_t status_a = __atomic_load_n(status_word(gt, a), __ATOMIC_RELAXED);

        swap64(ea, eb);
        swap64(ea + 1, eb + 1);
        __atomic_store_n(status_word(gt, a), __atomic_load_n(status_word(gt, b), __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
        __atomic_store_n(status_word(gt, b), status_a, __ATOMIC_RELAXED);
    }
    return GNTST_okay;
}

long gnttab_swap_grant_ref(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(
        c, uop, count,
        &(struct element_kind){ ELEMENT(struct gnttab_swap_grant_ref), .act = swap_one }, NULL);
}

/* The first entry from first on through which d uses that frame of owner's; NULL without. */
static const struct active_entry *granted(const struct hv_domain *d, const struct hv_domain *owner,
                                          uint64_t mfn, uint32_t first)
{
    for (uint32_t ref = first; ref < nr_grant_entries(&owner->gt); ref++) {
        const struct active_entry *act = active_entry(&owner->gt, ref);

        if (act->pin && act->domid == d->id && act->mfn == mfn)
            return act;
    }
    return NULL;
}

/* A coherent machine has nothing to flush, but a guest learns whether it may ask for it. */
static int flush_one(const struct hv_call *c, const struct gnttab_cache_flush *op,
                     uint32_t first_ref)
{
    uint64_t mfn = op->a.dev_bus_addr / HV_PAGE_SIZE;
    const struct active_entry *act = NULL;
    const struct frame *f;
    struct hv_domain *owner;

    if (op->offset >= HV_PAGE_SIZE || op->offset + op->length > (int)HV_PAGE_SIZE ||
        op->op & ~(uint32_t)(GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN))
        return -EINVAL;
    if (op->length == 0 || op->op == 0)
        return first_ref ? -EILSEQ : 0;
    if (mfn >= c->hv->nr_frames)
        return -EINVAL;
    f = frame_of(c->hv, mfn);
    owner = f->refs ? domain_lookup(c->hv, f->owner) : NULL;
    if (!owner)
        return -EPERM;
    if (owner != c->d) {
        act = granted(c->d, owner, mfn, first_ref);
        if (!act)
            return -EINVAL;
    }
    /* Who may not write the frame must not throw writes away either: that is a clean then. x86 can
     * clean, not invalidate. */
    if (op->op == GNTTAB_CACHE_INVAL && (!act || act->pin & PIN_WRITE_MASK))
        return -EOPNOTSUPP;
    return 0;
}

long gnttab_cache_flush(const struct hv_call *c, uint64_t uop, unsigned count)
{
    struct gnttab_cache_flush op;
    uint32_t first_ref = c->opaque;
    int rc;

    for (; count; count--, uop += sizeof op, first_ref = 0) {
        if (call_from_guest(c, &op, uop, sizeof op))
            return -EFAULT;
        rc = flush_one(c, &op, first_ref);
        if (rc)
            return rc;
    }
    return 0;
}

/* It has had no implementation since 2006. */
long gnttab_dump_table(const struct hv_call *c, uint64_t uop, unsigned count)
{
    (void)c;
    (void)uop;
    (void)count;
    return -ENOSYS;
}
