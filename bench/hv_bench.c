/* SPDX-License-Identifier: MIT */
/*
 * Measures what the hypervisor model costs, as ratios within one run. Each row is the median over
 * rounds that measure both sides one after the other. A row without a target says what this machine
 * can reach at all.
 *
 * hv-bench [--quick] [--json]      --quick: three rounds, to see that it works, not for figures
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
        printf("%s{\"what\": \"%s\", \"measured\": \"%s\", \"against\": \"%s\", \"reference\": "
               "\"%s\", \"result\": %.4f, "
               "\"unit\": \"%s\", \"target\": ", nr++ ? ",\n " : "[", row.what, measured,
               row.against, reference, row.result, row.unit);
        if (isnan(row.target))
            printf("null");
        else
            printf("%g", row.target);
        printf(", \"at_most\": true}");
        return;
    }
    if (!isnan(row.target))
        snprintf(target, sizeof target, "at most %g: %s", row.target, met ? "met" : "MISSED");
    printf("%-46s %9s   %-34s %9s   %8.2f %-4s  %s\n", row.what, measured, row.against, reference,
           row.result, row.unit, target);
}

/* Two columns of times in ns, and the median of the rounds' own ratios: what drifts during a run
 * drifts in both. */
static double ratio(const char *what, double *measured, const char *against, double *reference,
                    double target)
{
    double ratios[ROUNDS];

    for (unsigned r = 0; r < rounds; r++)
        ratios[r] = measured[r] / reference[r];
    print_row((struct row){ what, against, median(measured, rounds), median(reference, rounds),
                            "ns", median(ratios, rounds), "x",
                            target });
    return ratios[rounds / 2];
}

static void line(const char *what, double value, const char *unit, double target)
{
    print_row((struct row){ what, "", NAN, NAN, "", value, unit, target });
}

/* ---- What is measured ------------------------------------------------------------------------ */

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
        MUST(__atomic_compare_exchange_n(word[i % BATCH], &old, old | GTF_reading | GTF_writing,
                                         false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
        old |= GTF_reading | GTF_writing;
        MUST(__atomic_compare_exchange_n(word[i % BATCH], &old,
                                         old & ~(uint32_t)(GTF_reading | GTF_writing), false,
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

static double time_copies(const struct machine *m, unsigned n)
{
    static struct gnttab_copy op[BATCH];
    double start;

    for (unsigned i = 0; i < BATCH; i++)
        fill_copy(m, &op[i], i, HV_PAGE_SIZE);
    start = now_ns();
    for (unsigned i = 0; i < n; i++) {
        hv_grant_table_op(m->hv, 1, GNTTABOP_copy, &op[i % BATCH], 1);
        MUST(op[i % BATCH].status == GNTST_okay);
    }
    return (now_ns() - start) / n;
}

static double time_memcpy(const struct machine *m, unsigned n)
{
    void *from[BATCH], *to[BATCH];
    uint64_t mfn;
    double start;

    for (unsigned i = 0; i < BATCH; i++) {
        MUST(hv_gfn_to_mfn(m->hv, granter_of(m, 1), m->mappings + i, &mfn) == 0);
        from[i] = hv_frame(m->hv, mfn);
        MUST(hv_gfn_to_mfn(m->hv, 1, i, &mfn) == 0);
        to[i] = hv_frame(m->hv, mfn);
    }
    start = now_ns();
    for (unsigned i = 0; i < n; i++) {
        memcpy(to[i % BATCH], from[i % BATCH], HV_PAGE_SIZE);
        __asm__ volatile("" : : "r"(to[i % BATCH]) : "memory");
    }
    return (now_ns() - start) / n;
}

/* Maps and unmaps of BATCH references by domain d, in one call each. Filling the arrays is the
 * caller's work. */
static double map_unmap_batch(const struct machine *m, domid_t d)
{
    struct gnttab_map_grant_ref maps[BATCH];
    struct gnttab_unmap_grant_ref unmaps[BATCH];
    double start;

    for (unsigned i = 0; i < BATCH; i++) {
        maps[i] = map_op(granter_of(m, d), REF0 + m->mappings + i, ADDR(m->mappings + i));
        unmaps[i] = (struct gnttab_unmap_grant_ref){ .host_addr = maps[i].host_addr };
    }
    start = now_ns();
    hv_grant_table_op(m->hv, d, GNTTABOP_map_grant_ref, maps, BATCH);
    for (unsigned i = 0; i < BATCH; i++) {
        MUST(maps[i].status == GNTST_okay);
        unmaps[i].handle = maps[i].handle;
    }
    hv_grant_table_op(m->hv, d, GNTTABOP_unmap_grant_ref, unmaps, BATCH);
    return now_ns() - start;
}

/* As back ends do: each maps all that its front end asks for, then it is another one's turn. */
static double time_batches_everywhere(const struct machine *m, unsigned n)
{
    static uint32_t x = 12345;
    double took = 0;

    for (unsigned i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        took += map_unmap_batch(m, (domid_t)(1 + (x >> 8) % m->domains));
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

/*
 * What the processor's caches alone make of so many domains: plain arrays of what belongs to each
 * spare reference (entry, active entry, frame, handle, address), and to each domain (itself, its
 * table, its handles, its addresses), touched once for a map and once for an unmap.
 */
#define STRIDE 16384u
static const unsigned sizes[] = { 8, 24, 32, 8, 16, 0, 0, 0, 0 };
#define ARRAYS (sizeof sizes / sizeof *sizes)
static char *arrays[ARRAYS];

static void touch(uint32_t domain, unsigned first, unsigned nr)
{
    for (unsigned i = first; i < first + nr; i++)
        for (unsigned a = 0; a < ARRAYS; a++) {
            uint32_t *word = (uint32_t *)(void *)(arrays[a] + (size_t)domain * STRIDE +
                                                  i * sizes[a]);

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
    PAIR, EXCHANGES, COPIES, MEMCPYS, COPY_64, COPY_1, ONE_MANY, ONE_FEW, BATCH_MANY, BATCH_FEW,
    ANY_MANY, ANY_FEW,
    TOUCH_64_MANY, TOUCH_64_FEW, TOUCH_MANY, TOUCH_FEW, NR_COLUMNS
};
static double t[NR_COLUMNS][ROUNDS];

static void speed(const struct machine *m)
{
    for (unsigned r = 0; r < rounds; r++) {
        t[PAIR][r] = time_pairs(m, N);
        t[EXCHANGES][r] = time_exchanges(m, N);
        t[COPIES][r] = time_copies(m, N);
        t[MEMCPYS][r] = time_memcpy(m, N);
        t[COPY_64][r] = time_copy_batches(m, N / BATCH, BATCH);
        t[COPY_1][r] = time_copy_batches(m, N / BATCH, 1);
    }
    ratio("map + unmap of one reference", t[PAIR], "two exchanges of the entry", t[EXCHANGES], 20);
    ratio("copy of 4 KiB, 64 pages in turn", t[COPIES], "memcpy", t[MEMCPYS], 2.5);
    ratio("copy, element of a batch of 64", t[COPY_64], "single call", t[COPY_1], 0.5);
}

static void scale(const struct machine *few, const struct machine *many)
{
    static const char two_domains[] = "any of 2 domains";
    double limit;

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
    ratio("1,000,000 mappings: pairs by one domain", t[ONE_MANY], "1,000 mappings", t[ONE_FEW],
          1.5);
    /*
     * Nothing depends on the number of domains, but what is used once in a long time is in no
     * cache. What that makes of plain
     * arrays is the measure.
     */
    limit = ratio("1,000 domains' plain arrays, 64 at a time", t[TOUCH_64_MANY], two_domains,
                  t[TOUCH_64_FEW], NAN);
    ratio("the mappings by any of them, 64 at a time", t[BATCH_MANY], two_domains, t[BATCH_FEW],
          1.5 * limit);
    limit = ratio("1,000 domains' plain arrays, one at a time", t[TOUCH_MANY], two_domains,
                  t[TOUCH_FEW], NAN);
    ratio("the mappings by any of them, one at a time", t[ANY_MANY], two_domains, t[ANY_FEW],
          1.5 * limit);
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

/* ---- Memory sharing -------------------------------------------------------------------------- */

enum { PAIRS = 100000, SHARING_ROUNDS = 7 };

static void sharing(void)
{
    unsigned nr = rounds < SHARING_ROUNDS ? rounds : SHARING_ROUNDS, all = rounds;
    double took[SHARING_ROUNDS], few_took[ROUNDS], many_took[ROUNDS];
    struct machine few, many;

    sharing_up(&few, PAIRS / 10);
    sharing_up(&many, PAIRS);
    for (unsigned r = 0; r < nr; r++)
        took[r] = time_sharing(&many, PAIRS);
    line("share + unshare of a pair, of 100,000", median(took, nr), " us", 3);
    for (uint64_t gfn = 0; gfn < PAIRS; gfn++)
        share(&many, gfn);
    for (uint64_t gfn = 0; gfn < PAIRS / 10; gfn++)
        share(&few, gfn);
    rounds = nr;
    for (unsigned r = 0; r < nr; r++) {
        many_took[r] = time_audit(&many) / 10;
        few_took[r] = time_audit(&few);
    }
    ratio("audit, 100,000 shared pairs, a tenth of it", many_took, "10,000 shared pairs", few_took,
          1.5);
    rounds = all;
    machine_down(&few);
    machine_down(&many);
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
    sharing();
    machine_down(&few);
    machine_down(&many);
    if (json)
        printf("]\n");
    else
        printf("%u missed\n", missed);
    return 0;
}
