/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor model costs, as ratios of one run: each is the median over rounds in which both sides are measured
 * one after the other. A row without a target says what can be reached at all on this machine.
 *
 *   hv-bench [--quick] [--json]      --quick: three rounds only: to see that it works, not for figures
 */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv_machine.h"
#include "measure.h"

#define ROUNDS 201     /* of some hundred microseconds each: on a busy machine most of them are not interrupted */
#define N 2000u

static unsigned missed, rounds = ROUNDS;
static bool json;

/* As bench/run shows them: measured against reference, the result at most target (NAN: none). */
struct row {
    const char *what, *against;
    double measured, reference;    /* NAN: the result says it all */
    const char *measured_unit;
    double result;
    const char *unit;
    double target;
};

static void print_row(struct row row)
{
    static unsigned nr;
    bool met = isnan(row.target) || row.result <= row.target;
    char measured[32] = "", reference[32] = "", target[64] = "none";

    missed += !met;
    if (!isnan(row.measured))
        snprintf(measured, sizeof measured, "%.1f %s", row.measured, row.measured_unit);
    if (!isnan(row.reference))
        snprintf(reference, sizeof reference, "%.1f %s", row.reference, row.measured_unit);
    if (json) {
        printf("%s{\"what\": \"%s\", \"measured\": \"%s\", \"against\": \"%s\", \"reference\": \"%s\", \"result\": %.4f, "
               "\"unit\": \"%s\", \"target\": ", nr++ ? ",\n " : "[", row.what, measured, row.against, reference, row.result,
               row.unit);
        if (isnan(row.target))
            printf("null");
        else
            printf("%g", row.target);
        printf(", \"at_most\": true}");
        return;
    }
    if (!isnan(row.target))
        snprintf(target, sizeof target, "at most %g: %s", row.target, met ? "met" : "MISSED");
    printf("%-46s %9s   %-34s %9s   %8.2f %-4s  %s\n", row.what, measured, row.against, reference, row.result, row.unit, target);
}

/* Two columns of times in ns, and the median of the rounds' own ratios: what drifts during a run drifts in both. */
static void ratio(const char *what, double *measured, const char *against, double *reference, double target)
{
    double ratios[ROUNDS];

    for (unsigned r = 0; r < rounds; r++)
        ratios[r] = measured[r] / reference[r];
    print_row((struct row){ what, against, median(measured, rounds), median(reference, rounds), "ns", median(ratios, rounds), "x",
                            target });
}

static void line(const char *what, double value, const char *unit, double target)
{
    print_row((struct row){ what, "", NAN, NAN, "", value, unit, target });
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
    static uint32_t x = 12345;

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

/* Maps and unmaps of BATCH references by domain d, in calls of per elements. Filling the arrays is the caller's work. */
static double map_unmap_batch(const struct machine *m, domid_t d, unsigned per, unsigned rounds_of_it)
{
    struct gnttab_map_grant_ref maps[BATCH];
    struct gnttab_unmap_grant_ref unmaps[BATCH];
    double start;

    for (unsigned i = 0; i < BATCH; i++) {
        maps[i] = map_op(granter_of(m, d), REF0 + m->mappings + i, ADDR(m->mappings + i));
        unmaps[i] = (struct gnttab_unmap_grant_ref){ .host_addr = maps[i].host_addr };
    }
    start = now_ns();
    for (unsigned round = 0; round < rounds_of_it; round++) {
        for (unsigned i = 0; i < BATCH; i += per)
            hv_grant_table_op(m->hv, d, GNTTABOP_map_grant_ref, &maps[i], per);
        for (unsigned i = 0; i < BATCH; i++) {
            MUST(maps[i].status == GNTST_okay);
            unmaps[i].handle = maps[i].handle;
        }
        for (unsigned i = 0; i < BATCH; i += per)
            hv_grant_table_op(m->hv, d, GNTTABOP_unmap_grant_ref, &unmaps[i], per);
    }
    return now_ns() - start;
}

static double time_batches(const struct machine *m, unsigned n, unsigned per)
{
    return map_unmap_batch(m, 1, per, n) / n / BATCH;
}

/* As back ends do: each maps all that its front end asks for, then it is another one's turn. */
static double time_batches_everywhere(const struct machine *m, unsigned n)
{
    static uint32_t x = 12345;
    double took = 0;

    for (unsigned i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        took += map_unmap_batch(m, (domid_t)(1 + (x >> 8) % m->domains), BATCH, 1);
    }
    return took / n / BATCH;
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

/* Two calls that do nothing: what a batch can save. */
static double time_empty_calls(const struct machine *m, unsigned n)
{
    struct gnttab_map_grant_ref op = map_op(1, 0, 0);
    double start = now_ns();

    for (unsigned i = 0; i < n; i++) {
        MUST(hv_grant_table_op(m->hv, 1, GNTTABOP_map_grant_ref, &op, 0) == 0);
        MUST(hv_grant_table_op(m->hv, 1, GNTTABOP_unmap_grant_ref, &op, 0) == 0);
    }
    return (now_ns() - start) / n;
}

/* memcpy of a page between the two exchanges that a copy needs. */
static double time_exchanged_memcpy(const struct machine *m, unsigned n)
{
    uint32_t *word = (uint32_t *)(void *)entry(m, granter_of(m, 1), REF0 + m->mappings);
    void *from, *to;
    uint64_t mfn;
    double start;

    MUST(hv_gfn_to_mfn(m->hv, granter_of(m, 1), m->mappings, &mfn) == 0);
    from = hv_frame(m->hv, mfn);
    MUST(hv_gfn_to_mfn(m->hv, 1, 0, &mfn) == 0);
    to = hv_frame(m->hv, mfn);
    start = now_ns();
    for (unsigned i = 0; i < n; i++) {
        uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

        MUST(__atomic_compare_exchange_n(word, &old, old | GTF_reading, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
        memcpy(to, from, HV_PAGE_SIZE);
        __atomic_fetch_and(word, ~(uint32_t)GTF_reading, __ATOMIC_RELEASE);
    }
    return (now_ns() - start) / n;
}

/*
 * What the processor's caches alone make of so many domains: plain arrays of what belongs to each spare reference (entry, active
 * entry, frame, handle, address), and to each domain (itself, its table, its handles, its addresses), touched once for a map and
 * once for an unmap.
 */
#define STRIDE 16384u
static const unsigned sizes[] = { 8, 24, 32, 8, 16, 0, 0, 0, 0 };
#define ARRAYS (sizeof sizes / sizeof *sizes)
static char *arrays[ARRAYS];

static void touch(uint32_t domain, unsigned first, unsigned nr)
{
    for (unsigned i = first; i < first + nr; i++)
        for (unsigned a = 0; a < ARRAYS; a++) {
            uint32_t *word = (uint32_t *)(void *)(arrays[a] + (size_t)domain * STRIDE + i * sizes[a]);

            if (a)
                __atomic_store_n(word, *word + 1, __ATOMIC_RELAXED);
            else
                __atomic_fetch_add(word, 1, __ATOMIC_ACQ_REL);
        }
}

static double time_touches(unsigned domains, unsigned n, unsigned per)
{
    static uint32_t x = 12345;
    double start = now_ns();

    for (unsigned i = 0; i < n; i += per) {
        x = x * 1664525 + 1013904223;
        for (unsigned twice = 0; twice < 2; twice++)
            touch((x >> 8) % domains, per == 1 ? x >> 24 & (BATCH - 1) : 0, per);
    }
    return (now_ns() - start) / n;
}

enum column {
    PAIR, EXCHANGES, COPY, MEMCPY, LIMIT, COPIES, MEMCPYS, COPY_64, COPY_1, MAP_64, MAP_1, REST, ONE_MANY, ONE_FEW, BATCH_MANY,
    BATCH_FEW, ANY_MANY, ANY_FEW, TOUCH_64_MANY, TOUCH_64_FEW, TOUCH_MANY, TOUCH_FEW, NR_COLUMNS
};
static double t[NR_COLUMNS][ROUNDS];

static void speed(const struct machine *m)
{
    for (unsigned r = 0; r < rounds; r++) {
        t[PAIR][r] = time_pairs(m, N);
        t[EXCHANGES][r] = time_exchanges(m, N);
        t[COPY][r] = time_copies(m, N, 1);
        t[MEMCPY][r] = time_memcpy(m, N, 1);
        t[LIMIT][r] = time_exchanged_memcpy(m, N);
        t[COPIES][r] = time_copies(m, N, BATCH);
        t[MEMCPYS][r] = time_memcpy(m, N, BATCH);
        t[COPY_64][r] = time_copy_batches(m, N / BATCH, BATCH);
        t[COPY_1][r] = time_copy_batches(m, N / BATCH, 1);
        t[MAP_64][r] = time_batches(m, N / BATCH, BATCH);
        t[MAP_1][r] = time_batches(m, N / BATCH, 1);
        t[REST][r] = t[MAP_1][r] - time_empty_calls(m, N);
    }
    ratio("map + unmap of one reference", t[PAIR], "two exchanges of the entry", t[EXCHANGES], 12);
    /* In the nearest cache memcpy takes hardly longer than the two locked operations, and they wait for its stores. */
    ratio("copy of 4 KiB, always the same page", t[COPY], "memcpy", t[MEMCPY], 1.5);
    ratio("  limit: memcpy between two exchanges", t[LIMIT], "memcpy", t[MEMCPY], NAN);
    ratio("copy of 4 KiB, 64 pages in turn", t[COPIES], "memcpy", t[MEMCPYS], 1.5);
    ratio("copy, element of a batch of 64", t[COPY_64], "single call", t[COPY_1], 0.5);
    /* In process a call is the call of a function: there is little that a batch could save. */
    ratio("map + unmap, element of a batch of 64", t[MAP_64], "single calls", t[MAP_1], 0.5);
    ratio("  limit: single calls less two empty ones", t[REST], "single calls", t[MAP_1], NAN);
}

static void scale(const struct machine *few, const struct machine *many)
{
    for (unsigned a = 0; a < ARRAYS; a++) {
        MUST((arrays[a] = malloc(many->domains * STRIDE)));
        memset(arrays[a], 1, many->domains * STRIDE);
    }
    for (unsigned r = 0; r < rounds; r++) {
        t[ONE_MANY][r] = time_pairs(many, N);
        t[ONE_FEW][r] = time_pairs(few, N);
        t[BATCH_MANY][r] = time_batches_everywhere(many, N / BATCH);
        t[BATCH_FEW][r] = time_batches_everywhere(few, N / BATCH);
        t[ANY_MANY][r] = time_pairs_everywhere(many, N);
        t[ANY_FEW][r] = time_pairs_everywhere(few, N);
        t[TOUCH_64_MANY][r] = time_touches(many->domains, N, BATCH);
        t[TOUCH_64_FEW][r] = time_touches(few->domains, N, BATCH);
        t[TOUCH_MANY][r] = time_touches(many->domains, N, 1);
        t[TOUCH_FEW][r] = time_touches(few->domains, N, 1);
    }
    for (unsigned a = 0; a < ARRAYS; a++)
        free(arrays[a]);
    ratio("1,000,000 mappings: pairs by one domain", t[ONE_MANY], "1,000 mappings", t[ONE_FEW], 1.5);
    /* Nothing depends on the number, but what is used once in a long time is in no cache. */
    ratio("the same by any of 1,000 domains, 64 at a time", t[BATCH_MANY], "any of 2 domains", t[BATCH_FEW], 1.5);
    ratio("  limit: as much in plain arrays", t[TOUCH_64_MANY], "any of 2 domains", t[TOUCH_64_FEW], NAN);
    ratio("the same, one at a time", t[ANY_MANY], "any of 2 domains", t[ANY_FEW], 1.5);
    ratio("  limit: as much in plain arrays", t[TOUCH_MANY], "any of 2 domains", t[TOUCH_FEW], NAN);
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

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick")) {
            rounds = 3;
        } else if (!strcmp(argv[i], "--json")) {
            json = true;
        } else {
            fprintf(stderr, "usage: hv-bench [--quick] [--json]\n");
            return 2;
        }
    }
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
    if (json)
        printf("]\n");
    else
        printf("%u missed\n", missed);
    return 0;
}
