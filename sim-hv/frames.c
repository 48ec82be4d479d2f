/* SPDX-License-Identifier: MIT */
/*
 * Counts references to machine frames and manages the free ones. Counting follows Xen's: the owner
 * holds the "allocated" reference, and each user holds one. When the last one goes, the frame
 * becomes free, unless a server of mappings holds it (hv_frame_get).
 */
#include "hv_i.h"

static uint64_t words_for(uint64_t bits)
{
    return (bits + 63) / 64;
}

static void pool_add(struct frame_pool *pool, uint64_t mfn)
{
    uint64_t word = mfn / 64;

    assert(!(pool->free[word] >> mfn % 64 & 1));
    pool->free[word] |= UINT64_C(1) << mfn % 64;
    pool->some[word / 64] |= UINT64_C(1) << word % 64;
    pool->nr_free++;
}

static void pool_remove(struct frame_pool *pool, uint64_t mfn)
{
    uint64_t word = mfn / 64;

    assert(pool->free[word] >> mfn % 64 & 1);
    pool->free[word] &= ~(UINT64_C(1) << mfn % 64);
    if (!pool->free[word])
        pool->some[word / 64] &= ~(UINT64_C(1) << word % 64);
    pool->nr_free--;
    if (mfn >= pool->top)
        pool->top = mfn + 1;
}

/* Lowest free frame >= from; 0 when there is none. */
static uint64_t pool_next(const struct frame_pool *pool, uint64_t from)
{
    uint64_t word = from / 64, bits, sum;

    if (word >= pool->words)
        return 0;
    bits = pool->free[word] & (UINT64_MAX << from % 64);
    if (bits)
        return word * 64 + (unsigned)__builtin_ctzll(bits);
    word++;
    for (uint64_t s = word / 64; s < pool->some_words; s++) {
        sum = pool->some[s];
        if (s == word / 64)
            sum &= UINT64_MAX << word % 64;
        if (sum) {
            word = s * 64 + (unsigned)__builtin_ctzll(sum);
            return word * 64 + (unsigned)__builtin_ctzll(pool->free[word]);
        }
    }
    return 0;
}

/* First frame >= from that is not free (nr_frames if none). */
static uint64_t pool_next_used(const struct hv *hv, uint64_t from)
{
    for (uint64_t word = from / 64; word < hv->pool.words; word++) {
        uint64_t bits = ~hv->pool.free[word];

        if (word == from / 64)
            bits &= UINT64_MAX << from % 64;
        if (bits)
            return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return hv->nr_frames;
}

bool frame_is_free(const struct hv *hv, uint64_t mfn)
{
    assert(mfn < hv->nr_frames);
    return hv->pool.free[mfn / 64] >> mfn % 64 & 1;
}

int frames_init(struct hv *hv)
{
    struct frame_pool *pool = &hv->pool;

    pool->words = words_for(hv->nr_frames);
    pool->some_words = words_for(pool->words);
    pool->free = hv_alloc(hv, pool->words, sizeof *pool->free);
    pool->some = hv_alloc(hv, pool->some_words, sizeof *pool->some);
    hv->frames = hv_alloc(hv, hv->nr_frames, sizeof *hv->frames);
    if (!pool->free || !pool->some || !hv->frames)
        return -ENOMEM;
    for (uint64_t mfn = 1; mfn < hv->nr_frames; mfn++)
        pool_add(pool, mfn);
    pool->top = 1;
    return 0;
}

void frames_destroy(struct hv *hv)
{
    free(hv->pool.free);
    free(hv->pool.some);
    free(hv->frames);
}

/* A frame that was never handed out still has the embedder's zeroes, and no host memory. */
static void take_from_pool(struct hv *hv, uint64_t mfn)
{
    struct frame *f = frame_of(hv, mfn);

    assert(f->refs == 0 && f->held == 0 && f->types == 0);
    pool_remove(&hv->pool, mfn);
    if (f->flags & FRAME_DIRTY)
        memset(frame_data(hv, mfn), 0, HV_PAGE_SIZE);
    *f = (struct frame){ .refs = 1, .owner = NO_OWNER, .flags = FRAME_DIRTY, .gfn = NO_GFN };
}

int frame_alloc(struct hv *hv, uint64_t *mfn)
{
    return frame_alloc_run(hv, 1, mfn);
}

int frame_alloc_run(struct hv *hv, uint64_t nr, uint64_t *first)
{
    uint64_t start, end;

    assert(nr > 0);
    frames_flush_freed(hv);
    for (start = pool_next(&hv->pool, 1); start; start = pool_next(&hv->pool, end)) {
        end = nr == 1 ? start + 1 : pool_next_used(hv, start);
        if (end - start >= nr)
            break;
    }
    if (!start)
        return -ENOMEM;
    if (start + nr > hv->pool.top && hv->hooks.memory_grows &&
        hv->hooks.memory_grows(hv->hook_ctx, start + nr))
        return -ENOMEM;
    for (uint64_t i = 0; i < nr; i++)
        take_from_pool(hv, start + i);
    *first = start;
    return 0;
}

static void list_add(struct hv_domain *d, uint64_t mfn)
{
    struct frame *f = frame_of(d->hv, mfn);

    f->owner = d->id;
    f->prev = 0;
    f->next = d->pages;
    if (d->pages)
        frame_of(d->hv, d->pages)->prev = (uint32_t)mfn;
    d->pages = (uint32_t)mfn;
    d->nr_owned++;
}

static void list_remove(struct hv_domain *d, struct frame *f)
{
    assert(d && f->owner == d->id && d->nr_owned > 0);
    if (f->prev)
        frame_of(d->hv, f->prev)->next = f->next;
    else
        d->pages = f->next;
    if (f->next)
        frame_of(d->hv, f->next)->prev = f->prev;
    f->next = f->prev = 0;
    d->nr_owned--;
}

void frame_assign(struct hv_domain *d, uint64_t mfn)
{
    struct frame *f = frame_of(d->hv, mfn);

    assert(f->owner == NO_OWNER && f->refs == 1);
    f->flags |= FRAME_ALLOCATED;
    list_add(d, mfn);
}

void frame_to_cow(struct hv *hv, uint64_t mfn, struct shared_page *shared)
{
    struct frame *f = frame_of(hv, mfn);

    assert(f->flags & FRAME_ALLOCATED && !(f->flags & (FRAME_XENHEAP | FRAME_PAGED)));
    list_remove(domain_lookup(hv, f->owner), f);
    f->owner = DOMID_COW;
    f->flags |= FRAME_SHARED;
    f->shared = shared;
}

void frame_from_cow(struct hv_domain *d, uint64_t mfn, uint64_t gfn)
{
    struct frame *f = frame_of(d->hv, mfn);

    assert(f->owner == DOMID_COW && f->flags & FRAME_SHARED);
    f->flags &= (uint8_t)~FRAME_SHARED;
    f->gfn = gfn;
    list_add(d, mfn);
}

void frame_assign_xenheap(struct hv_domain *d, uint64_t mfn)
{
    struct frame *f = frame_of(d->hv, mfn);

    assert(f->owner == NO_OWNER && f->refs == 1);
    f->owner = d->id;
    f->flags |= FRAME_ALLOCATED | FRAME_XENHEAP;
}

void frame_unassign(struct hv *hv, uint64_t mfn)
{
    struct frame *f = frame_of(hv, mfn);
    struct hv_domain *d = domain_lookup(hv, f->owner);

    assert(!(f->flags & FRAME_XENHEAP));
    list_remove(d, f);
    if (f->flags & FRAME_PAGED) {
        d->paged_pages--;
        d->kept_pages--;
    }
    f->flags &= (uint8_t) ~(FRAME_ALLOCATED | FRAME_PAGED);
    f->owner = NO_OWNER;
    f->gfn = NO_GFN;
    if (domain_dying(d))
        domain_queue_reap(d);
}

static void return_to_pool(struct hv *hv, uint64_t mfn)
{
    pool_add(&hv->pool, mfn);
    if (hv->freed_nr && mfn == hv->freed_first + hv->freed_nr) {
        hv->freed_nr++;
        return;
    }
    if (hv->freed_nr && mfn + 1 == hv->freed_first) {
        hv->freed_first--;
        hv->freed_nr++;
        return;
    }
    frames_flush_freed(hv);
    hv->freed_first = mfn;
    hv->freed_nr = 1;
}

void frames_flush_freed(struct hv *hv)
{
    if (hv->freed_nr && hv->hooks.frames_freed)
        hv->hooks.frames_freed(hv->hook_ctx, hv->freed_first, hv->freed_nr);
    hv->freed_nr = 0;
}

/* The last reference went, or one to a frame of the hypervisor's. */
void frame_was_put(struct hv *hv, uint64_t mfn)
{
    struct frame *f = frame_of(hv, mfn);
    struct hv_domain *d;

    if (f->refs) {
        /* One of the hypervisor's frames of a dead domain may have been all that kept it. */
        if (f->flags & FRAME_XENHEAP) {
            d = domain_lookup(hv, f->owner);
            if (d && domain_dying(d))
                domain_queue_reap(d);
        }
        return;
    }
    assert(f->types == 0);
    assert(!(f->flags & FRAME_SHARED));
    if (f->flags & FRAME_XENHEAP || f->owner == DOMID_COW) {
        f->owner = NO_OWNER;
        f->flags = FRAME_DIRTY;
        f->gfn = NO_GFN;
    } else if (f->owner != NO_OWNER) {
        frame_unassign(hv, mfn);
    }
    if (f->held == 0)
        return_to_pool(hv, mfn);
}

void frame_drop_allocated(struct hv *hv, uint64_t mfn)
{
    struct frame *f = frame_of(hv, mfn);

    if (f->flags & FRAME_ALLOCATED) {
        f->flags &= (uint8_t)~FRAME_ALLOCATED;
        frame_put(hv, mfn);
    }
}

void hv_frame_get(struct hv *hv, uint64_t mfn)
{
    assert(mfn < hv->nr_frames && !frame_is_free(hv, mfn));
    frame_of(hv, mfn)->held++;
}

void hv_frame_put(struct hv *hv, uint64_t mfn)
{
    struct frame *f;

    assert(mfn < hv->nr_frames);
    f = frame_of(hv, mfn);
    assert(f->held > 0);
    if (--f->held == 0 && f->refs == 0)
        return_to_pool(hv, mfn);
    frames_flush_freed(hv);
}

uint64_t hv_nr_frames(const struct hv *hv)
{
    return hv->nr_frames;
}

uint64_t hv_nr_free_frames(const struct hv *hv)
{
    return hv->pool.nr_free;
}
