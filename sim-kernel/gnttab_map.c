/* SPDX-License-Identifier: MIT */
/* Maps and copies other domains' grants, with the kernel's retries and delays. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_i.h"

/* An entry is tried again after 1, 2 .. 255 ms. */
#define MAX_RETRY_DELAY 256u
/* How long to wait for other holders of a page: this long, then twice as long, and so on. */
#define UNMAP_DELAY_MS 5u

/* ---- Places to map at ------------------------------------------------------------------------ */

int gnttab_alloc_pages(struct kernel *k, unsigned nr, struct gnttab_pages **out)
{
    struct gnttab_pages *pages;
    unsigned done = 0;

    if (k->dead || nr > MAX_SLOTS - slots_in_use(&k->slots))
        return -ENOMEM;
    pages = calloc(1, sizeof *pages);
    if (!pages)
        return -ENOMEM;
    pages->nr = nr;
    pages->slot = malloc(nr * sizeof *pages->slot);
    pages->mfn = malloc(nr * sizeof *pages->mfn);
    if (nr && (!pages->slot || !pages->mfn))
        goto fail;
    for (; done < nr; done++) {
        pages->mfn[done] = HV_INVALID_MFN;
        if (slots_get(&k->slots, &pages->slot[done]))
            goto fail;
        if (k->space && pv_space_register(k->space, pages->slot[done])) {
            slots_put(&k->slots, pages->slot[done]);
            goto fail;
        }
    }
    DL_PREPEND2(k->places, pages, prev_of_all, next_of_all);
    *out = pages;
    return 0;

fail:
    pages->nr = done;
    gnttab_free_pages(k, pages);
    return -ENOMEM;
}

/* Unmapping failed: such a place must never be used again. */
static bool still_mapped(const struct kernel *k, const struct gnttab_pages *pages, unsigned i)
{
    uint32_t slot = pages->slot[i];

    if (k->dead)
        return false;
    if (!k->space)
        return pages->mfn[i] != HV_INVALID_MFN;
    return pv_space_pte_mfn(k->space, slot) != HV_INVALID_MFN ||
           pv_space_page_mfn(k->space, slot) != HV_INVALID_MFN;
}

void gnttab_free_pages(struct kernel *k, struct gnttab_pages *pages)
{
    if (!pages)
        return;
    for (unsigned i = pages->nr; i-- > 0;) {
        if (still_mapped(k, pages, i)) {
            kernel_log(k, "grant table: page slot %u is lost, something is still mapped there",
                       pages->slot[i]);
            continue;
        }
        if (k->space)
            pv_space_unregister(k->space, pages->slot[i]);
        slots_put(&k->slots, pages->slot[i]);
    }
    if (pages->prev_of_all)
        DL_DELETE2(k->places, pages, prev_of_all, next_of_all);
    free(pages->slot);
    free(pages->mfn);
    free(pages->holders);
    free(pages);
}

uint64_t gnttab_page_addr(const struct kernel *k, const struct gnttab_pages *pages, unsigned i)
{
    assert(i < pages->nr);
    if (k->space)
        return pv_space_page(pages->slot[i]);
    return (k->first_slot_gfn + pages->slot[i]) << PAGE_SHIFT;
}

uint64_t gnttab_page_pte(const struct gnttab_pages *pages, unsigned i)
{
    assert(i < pages->nr);
    return pv_space_pte(pages->slot[i]);
}

void *gnttab_page_data(const struct kernel *k, const struct gnttab_pages *pages, unsigned i)
{
    assert(i < pages->nr);
    return k->dead || pages->mfn[i] == HV_INVALID_MFN ? NULL : hv_frame(k->hv, pages->mfn[i]);
}

int gnttab_page_hold(struct gnttab_pages *pages, unsigned i)
{
    assert(i < pages->nr);
    if (!pages->holders)
        pages->holders = calloc(pages->nr, sizeof *pages->holders);
    if (!pages->holders)
        return -ENOMEM;
    pages->holders[i]++;
    return 0;
}

void gnttab_page_release(struct gnttab_pages *pages, unsigned i)
{
    assert(i < pages->nr && pages->holders && pages->holders[i]);
    pages->holders[i]--;
}

/* ---- Retried batches ------------------------------------------------------------------------- */

struct batch_op {
    size_t size;
    size_t status;
    const char *name;
};

static const struct batch_op map_op = {
    sizeof(struct gnttab_map_grant_ref), offsetof(struct gnttab_map_grant_ref, status), "map",
};
static const struct batch_op copy_op = {
    sizeof(struct gnttab_copy), offsetof(struct gnttab_copy, status), "copy",
};

static const struct batch_op *op_of(const struct gnttab_batch *b)
{
    return b->cmd == GNTTABOP_copy ? &copy_op : &map_op;
}

static void *entry_at(const struct gnttab_batch *b, unsigned i)
{
    return (char *)b->ops + i * op_of(b)->size;
}

static int16_t *status_at(const struct gnttab_batch *b, unsigned i)
{
    return (int16_t *)(void *)((char *)entry_at(b, i) + op_of(b)->status);
}

static void unlink_batch(struct gnttab_batch *b)
{
    ktimer_cancel(&b->timer);
    if (b->prev)
        DL_DELETE(b->k->gnttab.batches, b);
    b->prev = NULL;
}

static void batch_timer(struct ktimer *timer);

static void wait_for_retry(struct gnttab_batch *b)
{
    if (!b->prev)
        DL_PREPEND(b->k->gnttab.batches, b);
    ktimer_set(b->k, &b->timer, b->delay * NSEC_PER_MSEC, batch_timer);
}

/* Retries from the current entry on. KERNEL_PENDING, or 0: no entry answers GNTST_eagain. */
static long retry_entries(struct gnttab_batch *b)
{
    for (; b->current < b->nr; b->current++, b->delay = 0) {
        int16_t *status = status_at(b, b->current);

        while (*status == GNTST_eagain) {
            if (b->delay == MAX_RETRY_DELAY - 1) {
                kernel_log(b->k, "grant table: %s of an eagain grant given up", op_of(b)->name);
                *status = GNTST_bad_page;
                break;
            }
            if (kernel_grant_table_op(b->k, b->cmd, entry_at(b, b->current), 1))
                *status = GNTST_general_error;
            if (*status == GNTST_eagain) {
                b->delay++;
                wait_for_retry(b);
                return KERNEL_PENDING;
            }
        }
        if (b->cmd == GNTTABOP_map_grant_ref && *status == GNTST_no_device_space)
            kernel_log(b->k, "grant table: maptrack limit reached, can't map all guest pages");
    }
    return 0;
}

/* All entries have a final status: the kernel's own view, and what the caller's pages hold now. */
static int finish_map(struct gnttab_batch *b)
{
    struct gnttab_map_grant_ref *ops = b->ops;
    long rc = 0;

    if (b->cmd != GNTTABOP_map_grant_ref)
        return 0;
    if (b->kops)
        rc = kernel_grant_table_op(b->k, GNTTABOP_map_grant_ref, b->kops, b->nr);
    for (unsigned i = 0; b->pages && !rc && i < b->nr; i++)
        if (ops[i].status == GNTST_okay && (!b->kops || b->kops[i].status == GNTST_okay))
            b->pages->mfn[i] = ops[i].dev_bus_addr >> PAGE_SHIFT;
    return (int)rc;
}

static void batch_timer(struct ktimer *timer)
{
    struct gnttab_batch *b = container_of(timer, struct gnttab_batch, timer);

    if (retry_entries(b) == KERNEL_PENDING)
        return;
    unlink_batch(b);
    b->done(b, finish_map(b));
}

static long run_batch(struct gnttab_batch *b)
{
    long rc = kernel_grant_table_op(b->k, b->cmd, b->ops, b->nr);

    b->current = 0;
    b->delay = 0;
    b->timer = (struct ktimer){ .kernel = NULL };
    b->prev = NULL;
    if (rc)
        return rc;
    if (!b->no_retry && retry_entries(b) == KERNEL_PENDING)
        return KERNEL_PENDING;
    return finish_map(b);
}

long gnttab_map_refs(struct gnttab_batch *b, struct gnttab_map_grant_ref *kops,
                     struct gnttab_pages *pages)
{
    assert(!pages || pages->nr >= b->nr);
    b->cmd = GNTTABOP_map_grant_ref;
    b->kops = kops;
    b->pages = pages;
    b->no_retry = b->k->profile->map_eagain == KERNEL_EAGAIN_TO_USER;
    return run_batch(b);
}

long gnttab_batch_copy(struct gnttab_batch *b)
{
    b->cmd = GNTTABOP_copy;
    b->kops = NULL;
    b->pages = NULL;
    b->no_retry = false;
    return run_batch(b);
}

/* ---- Unmapping ------------------------------------------------------------------------------- */

int gnttab_unmap_refs(struct kernel *k, struct gnttab_unmap_grant_ref *ops,
                      struct gnttab_unmap_grant_ref *kops, struct gnttab_pages *pages,
                      unsigned first, unsigned nr)
{
    long rc = kernel_grant_table_op(k, GNTTABOP_unmap_grant_ref, ops, nr);

    if (!rc && kops)
        rc = kernel_grant_table_op(k, GNTTABOP_unmap_grant_ref, kops, nr);
    assert(!pages || (first <= pages->nr && nr <= pages->nr - first));
    for (unsigned i = 0; pages && !rc && i < nr; i++)
        if (ops[i].status == GNTST_okay)
            pages->mfn[first + i] = HV_INVALID_MFN;
    return (int)rc;
}

static bool is_held(const struct gnttab_unmap *u)
{
    if (!u->pages || !u->pages->holders)
        return false;
    for (unsigned i = 0; i < u->nr; i++)
        if (u->pages->holders[u->first + i])
            return true;
    return false;
}

static void unlink_unmap(struct gnttab_unmap *u)
{
    ktimer_cancel(&u->timer);
    DL_DELETE(u->k->gnttab.unmaps, u);
}

/* Nothing is mapped any more that could be unmapped. */
static int unmap_gone(struct gnttab_unmap *u)
{
    for (unsigned i = 0; i < u->nr; i++) {
        u->ops[i].status = GNTST_okay;
        if (u->kops)
            u->kops[i].status = GNTST_okay;
    }
    return 0;
}

static void unmap_timer(struct ktimer *timer)
{
    struct gnttab_unmap *u = container_of(timer, struct gnttab_unmap, timer);

    if (is_held(u)) {
        u->age++;
        ktimer_set(u->k, timer, UNMAP_DELAY_MS * (u->age + 1ull) * NSEC_PER_MSEC, unmap_timer);
        return;
    }
    unlink_unmap(u);
    u->done(u, u->gone ? unmap_gone(u)
                       : gnttab_unmap_refs(u->k, u->ops, u->kops, u->pages, u->first, u->nr));
}

void gnttab_unmap_refs_async(struct gnttab_unmap *u)
{
    struct kernel_verdict verdict = point_passed(u->k, KERNEL_UNMAP, u->first, u->nr);
    bool late = verdict.action == KERNEL_LATE;

    u->age = 0;
    u->gone = false;
    u->timer = (struct ktimer){ .kernel = NULL };
    if (u->k->dead || (!late && !is_held(u))) {
        u->done(u, gnttab_unmap_refs(u->k, u->ops, u->kops, u->pages, u->first, u->nr));
        return;
    }
    DL_PREPEND(u->k->gnttab.unmaps, u);
    ktimer_set(u->k, &u->timer, late ? verdict.ns : UNMAP_DELAY_MS * NSEC_PER_MSEC, unmap_timer);
}

void gnttab_abort(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;

    assert(k->dead);
    while (t->batches) {
        struct gnttab_batch *b = t->batches;

        unlink_batch(b);
        b->done(b, -ENODEV);
    }
    while (t->unmaps) {
        struct gnttab_unmap *u = t->unmaps;

        unlink_unmap(u);
        u->done(u, -ENODEV);
    }
}

/*
 * Handles are numbers of a domain that is gone: what was mapped with them is not mapped. A batch
 * that is under way goes on with the entries that still answer GNTST_eagain. An unmapping goes on
 * to wait for the holders of its pages, and does nothing then.
 */
void gnttab_map_migrated(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;

    for (struct gnttab_pages *pages = k->places; pages; pages = pages->next_of_all)
        for (unsigned i = 0; i < pages->nr; i++)
            pages->mfn[i] = HV_INVALID_MFN;
    for (struct gnttab_batch *b = t->batches; b; b = b->next)
        for (unsigned i = 0; b->cmd == GNTTABOP_map_grant_ref && i < b->nr; i++)
            if (*status_at(b, i) == GNTST_okay)
                *status_at(b, i) = GNTST_bad_handle;
    for (struct gnttab_unmap *u = t->unmaps; u; u = u->next)
        u->gone = true;
}

/* ---- Spare places ---------------------------------------------------------------------------- */

int gnttab_page_cache_get(struct kernel *k, struct gnttab_page_cache *cache,
                          struct gnttab_pages **page)
{
    if (!cache->pages)
        return gnttab_alloc_pages(k, 1, page);
    *page = cache->pages;
    cache->pages = (*page)->next;
    cache->nr--;
    (*page)->next = NULL;
    return 0;
}

void gnttab_page_cache_put(struct gnttab_page_cache *cache, struct gnttab_pages *page)
{
    assert(page->nr == 1 && page->mfn[0] == HV_INVALID_MFN);
    page->next = cache->pages;
    cache->pages = page;
    cache->nr++;
}

void gnttab_page_cache_shrink(struct kernel *k, struct gnttab_page_cache *cache, unsigned keep)
{
    struct gnttab_pages *page;

    while (cache->nr > keep && !gnttab_page_cache_get(k, cache, &page))
        gnttab_free_pages(k, page);
}

unsigned gnttab_count_grant(uint64_t start, uint64_t len)
{
    return (unsigned)(((start & ~PAGE_MASK) + len + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

void gnttab_foreach_grant_in_range(uint64_t start, uint64_t len,
                                   void (*fn)(uint64_t page, unsigned offset, unsigned len,
                                              void *arg),
                                   void *arg)
{
    while (len) {
        unsigned offset = (unsigned)(start & ~PAGE_MASK);
        unsigned piece = len < PAGE_SIZE - offset ? (unsigned)len : PAGE_SIZE - offset;

        fn(start & PAGE_MASK, offset, piece, arg);
        start += piece;
        len -= piece;
    }
}
