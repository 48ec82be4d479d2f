/* SPDX-License-Identifier: MIT */
/* Mapping and copying as a driver in the kernel does it: retries, holders, caches. */
#include "harness.h"

SUITE("gnttab-map", "pv pvh");

static struct file *a;
static struct vma *pages;
static uint32_t refs[4];

/* Domain 0 shares four pages with domain 1. */
static void up_with(const struct kernel_profile *profile)
{
    world_up_with(profile);
    a = open_dev(0, "gntalloc");
    pages = share(a, 1, 4, refs);
    for (unsigned i = 0; i < 4; i++)
        *at(pages, i, 0) = (uint8_t)(0xa0 + i);
}

static void up(void)
{
    up_with(w.profile);
}

static void down(void)
{
    do_munmap(pages);
    close_dev(a);
    world_down();
}

struct driver {
    struct gnttab_batch batch;
    struct gnttab_map_grant_ref ops[4];
    struct gnttab_unmap_grant_ref unmap[4];
    struct gnttab_unmap unmap_item;
    struct gnttab_pages *pages;
    struct gnttab_copy copy[4];
    unsigned done;
    int result;
};

static void batch_done(struct gnttab_batch *batch, int result)
{
    struct driver *d = batch->owner;

    d->done++;
    d->result = result;
    if (result == -ENODEV)
        gnttab_free_pages(batch->k, d->pages);
}

static void unmap_done(struct gnttab_unmap *unmap, int result)
{
    struct driver *d = unmap->owner;

    d->done++;
    d->result = result;
    if (result == -ENODEV)
        gnttab_free_pages(unmap->k, d->pages);
}

static void driver_init(struct driver *d, unsigned nr)
{
    *d = (struct driver){ .batch = { .k = w.k[1], .nr = nr, .done = batch_done, .owner = d } };
    MUST(gnttab_alloc_pages(w.k[1], nr, &d->pages) == 0);
    d->batch.ops = d->ops;
    for (unsigned i = 0; i < nr; i++)
        d->ops[i] = (struct gnttab_map_grant_ref){ .host_addr = gnttab_page_addr(w.k[1], d->pages,
                                                                                 i),
                                                   .flags = GNTMAP_host_map, .ref = refs[i],
                                                   .dom = 0 };
}

static void driver_unmap_ops(struct driver *d)
{
    for (unsigned i = 0; i < d->batch.nr; i++)
        d->unmap[i] = (struct gnttab_unmap_grant_ref){ .host_addr = d->ops[i].host_addr,
                                                       .handle = d->ops[i].handle };
}

TEST("a driver maps grants at pages without memory, reads them, and unmaps")
{
    struct driver d;

    up();
    driver_init(&d, 4);
    OK(gnttab_page_data(w.k[1], d.pages, 0) == NULL);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    for (unsigned i = 0; i < 4; i++) {
        EQ(d.ops[i].status, GNTST_okay);
        EQ(*(uint8_t *)gnttab_page_data(w.k[1], d.pages, i), 0xa0 + i);
        OK(in_use(0, refs[i]));
    }
    EQ(d.done, 0);
    driver_unmap_ops(&d);
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 4), 0);
    for (unsigned i = 0; i < 4; i++) {
        EQ(d.unmap[i].status, GNTST_okay);
        OK(!in_use(0, refs[i]));
    }
    OK(gnttab_page_data(w.k[1], d.pages, 0) == NULL);
    gnttab_free_pages(w.k[1], d.pages);
    gnttab_free_pages(w.k[1], NULL);
    down();
}

TEST("bad grants of a batch have their status, the others are mapped")
{
    struct driver d;

    up();
    driver_init(&d, 4);
    d.ops[1].ref = 400;
    d.ops[2].dom = 9;
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    EQ(d.ops[0].status, GNTST_okay);
    EQ(d.ops[1].status, GNTST_general_error);
    EQ(d.ops[2].status, GNTST_bad_domain);
    EQ(d.ops[3].status, GNTST_okay);
    OK(gnttab_page_data(w.k[1], d.pages, 1) == NULL);
    OK(gnttab_page_data(w.k[1], d.pages, 3) != NULL);
    driver_unmap_ops(&d);
    d.unmap[1].handle = d.unmap[2].handle = UINT32_MAX;
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 4), 0);
    EQ(d.unmap[1].status, GNTST_bad_handle);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

TEST("a place where something stays mapped is never used again")
{
    struct driver d;
    struct gnttab_pages *again;
    uint64_t addr;

    up();
    driver_init(&d, 1);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    driver_unmap_ops(&d);
    addr = d.ops[0].host_addr;
    d.unmap[0].handle = 77;
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 1), 0);
    EQ(d.unmap[0].status, GNTST_bad_handle);
    gnttab_free_pages(w.k[1], d.pages);
    OK(logged("is lost"));
    EQ(gnttab_alloc_pages(w.k[1], 1, &again), 0);
    OK(gnttab_page_addr(w.k[1], again, 0) != addr);
    gnttab_free_pages(w.k[1], again);
    d.unmap[0].handle = d.ops[0].handle;
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, NULL, 0, 1), 0);
    EQ(d.unmap[0].status, GNTST_okay);
    down();
}

TEST("without maptrack handles mapping has no space")
{
    struct driver d;

    world_empty(w.profile, 16384);
    boot(0, w.profile);
    boot_with(1, w.profile, 0, -1, 0);
    a = open_dev(0, "gntalloc");
    pages = share(a, 1, 4, refs);
    driver_init(&d, 2);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    EQ(d.ops[0].status, GNTST_no_space);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

/* ---- Retries --------------------------------------------------------------------------------- */

TEST("a paged-out grant is retried after 1, 2, 3 ms until it is back, one entry after the other")
{
    struct driver d;

    up();
    driver_init(&d, 4);
    page_out(pages, 1);
    page_out(pages, 3);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), KERNEL_PENDING);
    EQ(d.ops[0].status, GNTST_okay);
    /* Sleeps of 1, 2, 3 ms: tries at 1, 3 and 6 ms. */
    EQ(kernel_next_timer(w.k[1]), 1 * MS);
    advance(1 * MS);
    EQ(kernel_next_timer(w.k[1]), 3 * MS);
    advance(4 * MS);
    EQ(kernel_next_timer(w.k[1]), 6 * MS);
    page_in(pages, 1);
    advance(1 * MS);
    EQ(d.ops[1].status, GNTST_okay);
    /* One entry after the other, each with its own delays. */
    EQ(d.done, 0);
    EQ(kernel_next_timer(w.k[1]), 7 * MS);
    page_in(pages, 3);
    advance(1 * MS);
    EQ(d.done, 1);
    EQ(d.result, 0);
    EQ(d.ops[3].status, GNTST_okay);
    EQ(kernel_next_timer(w.k[1]), UINT64_MAX);
    EQ(*(uint8_t *)gnttab_page_data(w.k[1], d.pages, 3), 0xa3);
    driver_unmap_ops(&d);
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 4), 0);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

TEST("after 255 tries and 32.64 s the status is bad_page")
{
    struct driver d;

    up();
    driver_init(&d, 2);
    page_out(pages, 0);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), KERNEL_PENDING);
    advance(32640 * MS - 1);
    EQ(d.done, 0);
    EQ(kernel_next_timer(w.k[1]), 32640 * MS);
    advance(1);
    EQ(d.done, 1);
    EQ(d.result, 0);
    EQ(d.ops[0].status, GNTST_bad_page);
    EQ(d.ops[1].status, GNTST_okay);
    OK(logged("given up"));
    page_in(pages, 0);
    d.ops[0].handle = UINT32_MAX;
    driver_unmap_ops(&d);
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 2), 0);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

TEST("a page that is back for the last try is mapped")
{
    struct driver d;

    up();
    driver_init(&d, 1);
    page_out(pages, 0);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), KERNEL_PENDING);
    advance((32640 - 255) * MS - 1);
    page_in(pages, 0);
    advance(1);
    EQ(d.done, 1);
    EQ(d.ops[0].status, GNTST_okay);
    driver_unmap_ops(&d);
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 1), 0);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

TEST("a granter that dies while its grant is retried ends the wait")
{
    struct driver d;

    up();
    driver_init(&d, 2);
    page_out(pages, 0);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), KERNEL_PENDING);
    destroy_domain(0);
    do_munmap(pages);
    close_dev(a);
    /* What is mapped keeps the dead domain; what is not there any more fails at the next try. */
    advance(1 * MS);
    EQ(d.done, 1);
    EQ(d.ops[0].status, GNTST_bad_page);
    EQ(d.ops[1].status, GNTST_okay);
    driver_unmap_ops(&d);
    d.unmap[0].handle = UINT32_MAX;
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 2), 0);
    gnttab_free_pages(w.k[1], d.pages);
    world_down();
}

TEST("a copy from a paged-out grant is retried alike")
{
    struct kernel_page *local;
    struct driver d;

    up();
    driver_init(&d, 1);
    local = kernel_page_alloc(w.k[1]);
    page_out(pages, 2);
    for (unsigned i = 0; i < 2; i++)
        d.copy[i] = (struct gnttab_copy){
            .source = { .u.ref = refs[i + 1], .domid = 0 },
            .dest = { .u.gmfn = kernel_page_frame(local), .domid = DOMID_SELF,
                      .offset = (uint16_t)(16 * i) },
            .len = 1, .flags = GNTCOPY_source_gref,
        };
    d.batch.ops = d.copy;
    d.batch.nr = 2;
    EQ(gnttab_batch_copy(&d.batch), KERNEL_PENDING);
    page_in(pages, 2);
    advance(1 * MS);
    EQ(d.done, 1);
    EQ(d.copy[0].status, GNTST_okay);
    EQ(d.copy[1].status, GNTST_okay);
    EQ(((uint8_t *)kernel_page_address(w.k[1], local))[0], 0xa1);
    EQ(((uint8_t *)kernel_page_address(w.k[1], local))[16], 0xa2);
    kernel_page_put(w.k[1], local);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

TEST("an old kernel does not retry (profile legacy)")
{
    struct driver d;

    up_with(&kernel_profile_legacy);
    driver_init(&d, 2);
    page_out(pages, 1);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    EQ(d.ops[0].status, GNTST_okay);
    EQ(d.ops[1].status, GNTST_eagain);
    page_in(pages, 1);
    driver_unmap_ops(&d);
    d.unmap[1].handle = UINT32_MAX;
    EQ(gnttab_unmap_refs(w.k[1], d.unmap, NULL, d.pages, 0, 2), 0);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

/* ---- Waiting for holders --------------------------------------------------------------------- */

static void start_unmap(struct driver *d)
{
    driver_unmap_ops(d);
    d->unmap_item = (struct gnttab_unmap){ .k = w.k[1], .ops = d->unmap, .pages = d->pages,
                                           .nr = d->batch.nr,
                                           .done = unmap_done, .owner = d };
    gnttab_unmap_refs_async(&d->unmap_item);
}

TEST("unmapping waits 5, 10, 15 ms for other holders of a page")
{
    struct driver d;

    up();
    driver_init(&d, 2);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    EQ(gnttab_page_hold(d.pages, 1), 0);
    EQ(gnttab_page_hold(d.pages, 1), 0);
    start_unmap(&d);
    EQ(d.done, 0);
    /* 5, 10, 15 … ms. */
    EQ(kernel_next_timer(w.k[1]), 5 * MS);
    advance(5 * MS);
    EQ(kernel_next_timer(w.k[1]), 15 * MS);
    gnttab_page_release(d.pages, 1);
    advance(10 * MS);
    EQ(kernel_next_timer(w.k[1]), 30 * MS);
    gnttab_page_release(d.pages, 1);
    advance(14 * MS);
    EQ(d.done, 0);
    OK(in_use(0, refs[0]));
    advance(1 * MS);
    EQ(d.done, 1);
    EQ(d.result, 0);
    OK(!in_use(0, refs[0]));
    gnttab_free_pages(w.k[1], d.pages);
    /* Nobody holds it: done before the call returns. */
    driver_init(&d, 2);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    start_unmap(&d);
    EQ(d.done, 1);
    gnttab_free_pages(w.k[1], d.pages);
    down();
}

TEST("at the domain's end who waits is called back with ENODEV")
{
    struct driver d, e, f;

    up();
    driver_init(&d, 2);
    driver_init(&e, 1);
    driver_init(&f, 1);
    EQ(gnttab_map_refs(&d.batch, NULL, d.pages), 0);
    EQ(gnttab_page_hold(d.pages, 0), 0);
    start_unmap(&d);
    page_out(pages, 2);
    e.ops[0].ref = f.ops[0].ref = refs[2];
    EQ(gnttab_map_refs(&e.batch, NULL, e.pages), KERNEL_PENDING);
    EQ(gnttab_map_refs(&f.batch, NULL, f.pages), KERNEL_PENDING);
    EQ(hv_domain_destroy(w.hv, 1), 0);
    /* The driver cleans up when its callbacks come, as the last thing that it does with this
     * kernel. */
    kernel_destroy(w.k[1]);
    w.k[1] = NULL;
    EQ(d.done, 1);
    EQ(d.result, -ENODEV);
    EQ(e.done, 1);
    EQ(e.result, -ENODEV);
    EQ(f.done, 1);
    page_in(pages, 2);
    down();
}

TEST("a page cache is a stack that can be shrunk")
{
    struct gnttab_page_cache cache = { .nr = 0 };
    struct gnttab_pages *p1, *p2, *p3;

    world_up();
    EQ(gnttab_page_cache_get(w.k[0], &cache, &p1), 0);
    EQ(gnttab_page_cache_get(w.k[0], &cache, &p2), 0);
    gnttab_page_cache_put(&cache, p1);
    gnttab_page_cache_put(&cache, p2);
    EQ(cache.nr, 2);
    EQ(gnttab_page_cache_get(w.k[0], &cache, &p3), 0);
    OK(p3 == p2);
    gnttab_page_cache_put(&cache, p3);
    gnttab_page_cache_shrink(w.k[0], &cache, 1);
    EQ(cache.nr, 1);
    gnttab_page_cache_shrink(w.k[0], &cache, 0);
    EQ(cache.nr, 0);
    world_down();
}

TEST("the address space for grants is bounded, and asking for too much allocates nothing")
{
    struct gnttab_pages *all, *more;

    world_up();
    EQ(gnttab_alloc_pages(w.k[0], (1u << 20) + 1, &more), -ENOMEM);
    EQ(gnttab_alloc_pages(w.k[0], UINT32_MAX, &more), -ENOMEM);
    EQ(gnttab_alloc_pages(w.k[0], 1u << 20, &all), 0);
    EQ(gnttab_alloc_pages(w.k[0], 1, &more), -ENOMEM);
    gnttab_free_pages(w.k[0], all);
    EQ(gnttab_alloc_pages(w.k[0], 1, &more), 0);
    gnttab_free_pages(w.k[0], more);
    world_down();
}

/* ---- Batching -------------------------------------------------------------------------------- */

static unsigned pieces;

static void check_piece(uint64_t page, unsigned offset, unsigned len, void *arg)
{
    const uint64_t (*expected)[3] = arg;

    EQ(page, expected[pieces][0]);
    EQ(offset, expected[pieces][1]);
    EQ(len, expected[pieces][2]);
    pieces++;
}

TEST("a range is cut into its grants")
{
    static const uint64_t expected[][3] = { { 0x5000, 4000, 96 }, { 0x6000, 0, 4096 },
                                            { 0x7000, 0, 8 } };

    EQ(gnttab_count_grant(0, 0), 0);
    EQ(gnttab_count_grant(0, 1), 1);
    EQ(gnttab_count_grant(4095, 1), 1);
    EQ(gnttab_count_grant(4095, 2), 2);
    EQ(gnttab_count_grant(0x5000 + 4000, 4200), 3);
    pieces = 0;
    gnttab_foreach_grant_in_range(0x5000 + 4000, 4200, check_piece, (void *)(uintptr_t)expected);
    EQ(pieces, 3);
    gnttab_foreach_grant_in_range(7, 0, check_piece, NULL);
    EQ(pieces, 3);
}
