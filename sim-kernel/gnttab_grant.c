/* SPDX-License-Identifier: MIT */
/* Grants access to a page and ends it; a timer ends what the peer still has mapped. */
#include <assert.h>
#include <stdlib.h>

#include "kernel_i.h"

/* Tries after which the log mentions an entry that is still in use. */
#define WARN_AFTER 60

void gnttab_grant_foreign_access_ref(struct kernel *k, grant_ref_t ref, domid_t domid,
                                     uint64_t frame, bool readonly)
{
    assert(ref < k->gnttab.nr_refs && k->gnttab.state[ref] == REF_USED);
    grant_entry_write(k, ref, domid, frame, GTF_permit_access | (readonly ? GTF_readonly : 0));
}

int64_t gnttab_grant_foreign_access(struct kernel *k, domid_t domid, uint64_t frame, bool readonly)
{
    grant_ref_t ref;

    if (gnttab_alloc_grant_references(k, 1, &ref))
        return -ENOSPC;
    gnttab_grant_foreign_access_ref(k, ref, domid, frame, readonly);
    return ref;
}

bool gnttab_query_foreign_access(struct kernel *k, grant_ref_t ref)
{
    return grant_entry_in_use(k, ref);
}

bool gnttab_end_foreign_access_ref(struct kernel *k, grant_ref_t ref)
{
    if (grant_entry_end(k, ref))
        return true;
    kernel_log(k, "grant table: g.e. %#x still in use!", ref);
    return false;
}

bool gnttab_try_end_foreign_access(struct kernel *k, grant_ref_t ref)
{
    if (!grant_entry_end(k, ref))
        return false;
    gnttab_free_grant_reference(k, ref);
    return true;
}

/* ---- Deferred ends --------------------------------------------------------------------------- */

static void release_memory(struct kernel *k, struct gnttab_deferred *entry)
{
    if (entry->page)
        kernel_page_put(k, entry->page);
    else if (entry->held_mfn != HV_INVALID_MFN)
        hv_frame_put(k->hv, entry->held_mfn);
}

static void handle_deferred(struct ktimer *timer)
{
    struct kernel *k = container_of(timer, struct kernel, gnttab.deferred_timer);
    struct gnttab *t = &k->gnttab;
    struct gnttab_deferred *entry, *first_busy = NULL;
    uint64_t budget = t->free_per_iteration ? (uint64_t)t->free_per_iteration : UINT64_MAX;
    struct kernel_verdict verdict = point_passed(k, KERNEL_DEFER, t->nr_deferred, 0);

    if (k->dead)
        return;
    if (verdict.action == KERNEL_DROP || verdict.action == KERNEL_LATE) {
        ktimer_set(k, timer, verdict.action == KERNEL_LATE ? verdict.ns : NSEC_PER_SEC,
                   handle_deferred);
        return;
    }
    while (budget-- && t->deferred && t->deferred != first_busy) {
        entry = t->deferred;
        DL_DELETE(t->deferred, entry);
        if (grant_entry_end(k, entry->ref)) {
            t->nr_deferred--;
            gnttab_free_grant_reference(k, entry->ref);
            release_memory(k, entry);
            free(entry);
            continue;
        }
        if (entry->warn_delay && !--entry->warn_delay)
            kernel_log(k, "grant table: g.e. %#x still pending", entry->ref);
        if (!first_busy)
            first_busy = entry;
        DL_APPEND(t->deferred, entry);
    }
    if (t->deferred)
        ktimer_set(k, &t->deferred_timer, NSEC_PER_SEC, handle_deferred);
}

/* Holds the granted memory, so that it is not reused while the peer can reach it. */
static uint64_t hold_granted_frame(struct kernel *k, grant_ref_t ref)
{
    struct grant_entry_view view;
    struct hv_frame_info info;
    uint64_t mfn;

    if (!grant_entry_read(k, ref, &view))
        return HV_INVALID_MFN;
    mfn = view.frame;
    if (k->profile->auto_translated && hv_gfn_to_mfn(k->hv, k->domid, view.frame, &mfn))
        return HV_INVALID_MFN;
    if (hv_frame_info(k->hv, mfn, &info) || info.owner != k->domid)
        return HV_INVALID_MFN;
    hv_frame_get(k->hv, mfn);
    return mfn;
}

static void defer(struct kernel *k, grant_ref_t ref, struct kernel_page *page)
{
    struct gnttab *t = &k->gnttab;
    struct gnttab_deferred *entry = malloc(sizeof *entry);

    if (!entry) {
        kernel_log(k, "grant table: leaking g.e. %#x", ref);
        if (page)
            page_leak(k, page);
        return;
    }
    *entry = (struct gnttab_deferred){
        .ref = ref, .page = page, .held_mfn = HV_INVALID_MFN, .warn_delay = WARN_AFTER
    };
    if (!page)
        entry->held_mfn = hold_granted_frame(k, ref);
    DL_APPEND(t->deferred, entry);
    t->nr_deferred++;
    if (!t->deferred_timer.kernel)
        ktimer_set(k, &t->deferred_timer, NSEC_PER_SEC, handle_deferred);
}

void gnttab_end_foreign_access(struct kernel *k, grant_ref_t ref, struct kernel_page *page)
{
    if (k->dead || !gnttab_try_end_foreign_access(k, ref))
        goto busy;
    if (page)
        kernel_page_put(k, page);
    return;

busy:
    if (!k->dead)
        defer(k, ref, page);
    else if (page)
        kernel_page_put(k, page);
}

uint64_t gnttab_nr_deferred(const struct kernel *k)
{
    return k->gnttab.nr_deferred;
}
