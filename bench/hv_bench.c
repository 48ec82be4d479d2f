/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor model costs, as ratios of one run: each is the median over rounds in which both sides are measured
 * one after the other.
 *
 *   hv-bench [--quick]      three rounds only: to see that it works, not for figures
 */
#include <assert.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <gntsim/hv.h>

#define ROUNDS 31
#define REF0 8u
#define BATCH 64u
#define ADDR(i) (UINT64_C(0x10000000) + (uint64_t)(i) * HV_PAGE_SIZE)
#define MUST(condition) ((condition) ? (void)0 : must(__LINE__, #condition))

static _Noreturn void must(int line, const char *what)
{
    fprintf(stderr, "hv_bench.c:%d: not so: %s\n", line, what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

static unsigned missed, rounds = ROUNDS;

static void line(const char *what, double value, const char *unit, double target)
{
    bool met = value <= target;

    missed += !met;
    printf("%-58s %9.2f%-4s  at most %6g%-4s  %s\n", what, value, unit, target, unit, met ? "met" : "MISSED");
}

static void info(const char *what, double value, const char *unit)
{
    printf("%-58s %9.2f%-4s\n", what, value, unit);
}

/* ---- Machines --------------------------------------------------------------------------------- */

struct machine {
    struct hv *hv;
    void *memory;
    size_t bytes;
    unsigned domains, mappings;          /* ids 1 .. domains; each maps mappings references of the one before it */
};

static void machine_up(struct machine *m, uint64_t nr_frames)
{
    struct hv_config config = { .nr_frames = nr_frames };

    m->bytes = nr_frames * HV_PAGE_SIZE;
    m->memory = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(m->memory != MAP_FAILED);
    config.memory = m->memory;
    MUST(hv_create(&m->hv, &config) == 0);
}

static void machine_down(struct machine *m)
{
    hv_destroy(m->hv);
    munmap(m->memory, m->bytes);
}

static void add_domain(struct machine *m, domid_t id, uint64_t pages)
{
    struct hv_domain_config config;

    hv_domain_config_init(&config);
    config.max_pages = pages + 1;
    MUST(hv_domain_create(m->hv, id, &config) == 0);
    MUST(hv_page_alloc_run(m->hv, id, pages, NULL) == 0);
}

static void grow_table(struct machine *m, domid_t id, unsigned frames)
{
    uint64_t list[64];
    struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = frames };

    op.frame_list.p = (void *)list;
    MUST(hv_grant_table_op(m->hv, id, GNTTABOP_setup_table, &op, 1) == 0 && op.status == GNTST_okay);
}

static grant_entry_v1_t *entry(const struct machine *m, domid_t id, uint32_t ref)
{
    return (grant_entry_v1_t *)hv_grant_frame(m->hv, id, ref / 512) + ref % 512;
}

static void grant(struct machine *m, domid_t id, uint32_t ref, domid_t to, uint64_t gfn)
{
    uint64_t frame;

    MUST(hv_grant_frame_number(m->hv, id, gfn, &frame) == 0);
    entry(m, id, ref)->frame = (uint32_t)frame;
    entry(m, id, ref)->domid = to;
    entry(m, id, ref)->flags = GTF_permit_access;
}

static struct gnttab_map_grant_ref map_op(domid_t granter, uint32_t ref, uint64_t addr)
{
    return (struct gnttab_map_grant_ref){ .host_addr = addr, .flags = GNTMAP_host_map, .ref = ref, .dom = granter };
}

static domid_t granter_of(const struct machine *m, domid_t mapper)
{
    return mapper == 1 ? (domid_t)m->domains : (domid_t)(mapper - 1);
}

/* Every domain has granted mappings + BATCH references of as many pages to the next. */
static void populate(struct machine *m, unsigned domains, unsigned mappings)
{
    unsigned pages = mappings + BATCH;

    *m = (struct machine){ .domains = domains, .mappings = mappings };
    machine_up(m, (uint64_t)domains * (pages + 8) + 64);
    for (unsigned d = 1; d <= domains; d++) {
        add_domain(m, (domid_t)d, pages);
        grow_table(m, (domid_t)d, (REF0 + pages + 511) / 512);
    }
    for (unsigned d = 1; d <= domains; d++)
        for (unsigned i = 0; i < pages; i++)
            grant(m, granter_of(m, (domid_t)d), REF0 + i, (domid_t)d, i);
}

static void map_all(struct machine *m)
{
    for (unsigned d = 1; d <= m->domains; d++)
        for (unsigned i = 0; i < m->mappings; i++) {
            struct gnttab_map_grant_ref op = map_op(granter_of(m, (domid_t)d), REF0 + i, ADDR(i));

            MUST(hv_grant_table_op(m->hv, (domid_t)d, GNTTABOP_map_grant_ref, &op, 1) == 0 && op.status == GNTST_okay);
        }
}

/* ---- What is measured ------------------------------------------------------------------------- */

/* One of the BATCH references that populate left, mapped and unmapped by d. */
static void map_unmap(const struct machine *m, domid_t d, unsigned spare)
{
    uint64_t addr = ADDR(m->mappings + spare);
    struct gnttab_map_grant_ref op = map_op(granter_of(m, d), REF0 + m->mappings + spare, addr);
    struct gnttab_unmap_grant_ref unmap = { .host_addr = addr };

    hv_grant_table_op(m->hv, d, GNTTABOP_map_grant_ref, &op, 1);
    unmap.handle = op.handle;
    hv_grant_table_op(m->hv, d, GNTTABOP_unmap_grant_ref, &unmap, 1);
    MUST(op.status == GNTST_okay && unmap.status == GNTST_okay);
}

static double time_pairs(const struct machine *m, unsigned n)
{
    double start = now_ns();

    for (unsigned i = 0; i < n; i++)
        map_unmap(m, 1, i % BATCH);
    return (now_ns() - start) / n;
}

/* Any domain, any of its spare references: nothing is in a cache when there are many. */
static double time_pairs_everywhere(const struct machine *m, unsigned n)
{
    double start = now_ns();
    uint32_t x = 12345;

    for (unsigned i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        map_unmap(m, (domid_t)(1 + (x >> 8) % m->domains), x >> 24 & (BATCH - 1));
    }
    return (now_ns() - start) / n;
}

/* What map and unmap cannot do without. */
static double time_exchanges(const struct machine *m, unsigned n)
{
    uint32_t *word[BATCH], old;
    double start;

    for (unsigned i = 0; i < BATCH; i++)
        word[i] = (uint32_t *)(void *)entry(m, granter_of(m, 1), REF0 + m->mappings + i);
    start = now_ns();
    for (unsigned i = 0; i < n; i++) {
        old = __atomic_load_n(word[i % BATCH], __ATOMIC_RELAXED);
        MUST(__atomic_compare_exchange_n(word[i % BATCH], &old, old | GTF_reading | GTF_writing, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE));
        old |= GTF_reading | GTF_writing;
        MUST(__atomic_compare_exchange_n(word[i % BATCH], &old, old & ~(uint32_t)(GTF_reading | GTF_writing), false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    }
    return (now_ns() - start) / n;
}

static void fill_copy(const struct machine *m, struct gnttab_copy *op, unsigned page, unsigned len)
{
    *op = (struct gnttab_copy){ .len = (uint16_t)len, .flags = GNTCOPY_source_gref };
    op->source.u.ref = REF0 + m->mappings + page;
    op->source.domid = granter_of(m, 1);
    op->dest.domid = DOMID_SELF;
    MUST(hv_grant_frame_number(m->hv, 1, page, &op->dest.u.gmfn) == 0);
}

static double time_copies(const struct machine *m, unsigned n, unsigned pages)
{
    static struct gnttab_copy op[BATCH];
    double start;

    for (unsigned i = 0; i < pages; i++)
        fill_copy(m, &op[i], i, HV_PAGE_SIZE);
    start = now_ns();
    for (unsigned i = 0; i < n; i++) {
        hv_grant_table_op(m->hv, 1, GNTTABOP_copy, &op[i % pages], 1);
        MUST(op[i % pages].status == GNTST_okay);
    }
    return (now_ns() - start) / n;
}

static double time_memcpy(const struct machine *m, unsigned n, unsigned pages)
{
    void *from[BATCH], *to[BATCH];
    uint64_t mfn;
    double start;

    for (unsigned i = 0; i < pages; i++) {
        MUST(hv_gfn_to_mfn(m->hv, granter_of(m, 1), m->mappings + i, &mfn) == 0);
        from[i] = hv_frame(m->hv, mfn);
        MUST(hv_gfn_to_mfn(m->hv, 1, i, &mfn) == 0);
        to[i] = hv_frame(m->hv, mfn);
    }
    start = now_ns();
    for (unsigned i = 0; i < n; i++) {
        memcpy(to[i % pages], from[i % pages], HV_PAGE_SIZE);
        __asm__ volatile("" : : "r"(to[i % pages]) : "memory");
    }
    return (now_ns() - start) / n;
}

/* Maps and unmaps of BATCH references, in calls of per elements. */
static double time_batches(const struct machine *m, unsigned n, unsigned per)
{
    struct gnttab_map_grant_ref maps[BATCH];
    struct gnttab_unmap_grant_ref unmaps[BATCH];
    double start = now_ns();

    for (unsigned round = 0; round < n; round++) {
        for (unsigned i = 0; i < BATCH; i++)
            maps[i] = map_op(granter_of(m, 1), REF0 + m->mappings + i, ADDR(m->mappings + i));
        for (unsigned i = 0; i < BATCH; i += per)
            hv_grant_table_op(m->hv, 1, GNTTABOP_map_grant_ref, &maps[i], per);
        for (unsigned i = 0; i < BATCH; i++) {
            MUST(maps[i].status == GNTST_okay);
            unmaps[i] = (struct gnttab_unmap_grant_ref){ .host_addr = maps[i].host_addr, .handle = maps[i].handle };
        }
        for (unsigned i = 0; i < BATCH; i += per)
            hv_grant_table_op(m->hv, 1, GNTTABOP_unmap_grant_ref, &unmaps[i], per);
    }
    return (now_ns() - start) / n / BATCH;
}

/* Copies of a few bytes each between the same two pages, as a network frontend's. */
static double time_copy_batches(const struct machine *m, unsigned n, unsigned per)
{
    static struct gnttab_copy op[BATCH];
    double start;

    for (unsigned i = 0; i < BATCH; i++)
        fill_copy(m, &op[i], 0, 16);
    start = now_ns();
    for (unsigned round = 0; round < n; round++)
        for (unsigned i = 0; i < BATCH; i += per)
            hv_grant_table_op(m->hv, 1, GNTTABOP_copy, &op[i], per);
    MUST(op[BATCH - 1].status == GNTST_okay);
    return (now_ns() - start) / n / BATCH;
}

static void speed(const struct machine *m)
{
    double pair[ROUNDS], copy[ROUNDS], cold[ROUNDS], batch[ROUNDS], copies[ROUNDS], ns[ROUNDS];

    for (unsigned r = 0; r < rounds; r++) {
        ns[r] = time_pairs(m, 20000);
        pair[r] = ns[r] / time_exchanges(m, 20000);
        copy[r] = time_copies(m, 20000, 1) / time_memcpy(m, 20000, 1);
        cold[r] = time_copies(m, 20000, BATCH) / time_memcpy(m, 20000, BATCH);
        batch[r] = time_batches(m, 300, BATCH) / time_batches(m, 300, 1);
        copies[r] = time_copy_batches(m, 300, BATCH) / time_copy_batches(m, 300, 1);
    }
    info("map and unmap of one reference, one call each", median(ns, rounds), " ns");
    line("map+unmap pair / two compare-and-exchange", median(pair, rounds), "", 12);
    /* In the nearest cache memcpy is hardly longer than the two locked operations on the entry: that one cannot be met. */
    line("copy of 4 KiB / memcpy of 4 KiB, always the same page", median(copy, rounds), "", 1.5);
    line("copy of 4 KiB / memcpy of 4 KiB, 64 pages in turn", median(cold, rounds), "", 1.5);
    line("copy: element of a batch of 64 / single call", median(copies, rounds), "", 0.5);
    /* Nor this, in process: a call is a call of a function here, and most of the pair is the pair. */
    line("map+unmap: element of a batch of 64 / single call", median(batch, rounds), "", 0.5);
}

static void scale(const struct machine *few, const struct machine *many)
{
    double one[ROUNDS], all[ROUNDS];

    for (unsigned r = 0; r < rounds; r++) {
        one[r] = time_pairs(many, 20000) / time_pairs(few, 20000);
        all[r] = time_pairs_everywhere(many, 20000) / time_pairs_everywhere(few, 20000);
    }
    line("map+unmap with 1,000,000 mappings / with 1,000: one pair", median(one, rounds), "", 1.5);
    /* Nothing depends on the number, but what is used once in a million times is in no cache. */
    line("the same, by all 1,000 domains in random order", median(all, rounds), "", 1.5);
}

static double heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (double)(info.uordblks + info.hblkhd);
}

static void unused_entries(void)
{
    struct machine m = { .domains = 1 };
    double before;

    machine_up(&m, 256);
    add_domain(&m, 1, 1);
    before = heap_bytes();
    grow_table(&m, 1, 64);
    line("model's memory per unused grant entry", (heap_bytes() - before) / (63 * 512), " B", 32);
    machine_down(&m);
}

static void domain_creation(void)
{
    enum { NR = 500 };
    struct machine m = { .domains = 0 };
    struct hv_domain_config config;
    double took[NR], before, start;
    uint64_t frames;

    hv_domain_config_init(&config);
    machine_up(&m, 16 + 64 * NR);
    before = heap_bytes();
    frames = hv_nr_free_frames(m.hv);
    for (unsigned i = 0; i < NR; i++) {
        start = now_ns();
        MUST(hv_domain_create(m.hv, (domid_t)(1 + i), &config) == 0);
        took[i] = (now_ns() - start) / 1000;
    }
    frames -= hv_nr_free_frames(m.hv);
    before = (heap_bytes() - before) / NR / 1024 + (double)frames / NR * HV_PAGE_SIZE / 1024;
    line("creating a domain with default limits", median(took, NR), " us", 200);
    line("memory of a new domain, its frames included", before, " KiB", 64);
    machine_down(&m);
}

int main(int argc, char **argv)
{
    struct machine few, many;
    double before, taken;

    if (argc > 1 && strcmp(argv[1], "--quick")) {
        fprintf(stderr, "usage: hv-bench [--quick]\n");
        return 2;
    }
    if (argc > 1)
        rounds = 3;
    populate(&few, 2, 500);
    map_all(&few);
    speed(&few);
    populate(&many, 1000, 1000);
    before = heap_bytes();
    map_all(&many);
    taken = heap_bytes() - before;
    scale(&few, &many);
    /* Its active entry was there before. */
    line("model's memory per live mapping, of 1,000,000", taken / 1e6 + 24, " B", 128);
    unused_entries();
    domain_creation();
    machine_down(&few);
    machine_down(&many);
    printf("%u missed\n", missed);
    return 0;
}
