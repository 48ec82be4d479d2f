/* SPDX-License-Identifier: MIT */
/*
 * One fuzz run: builds a machine from the first bytes, audits after each operation, and tears all
 * down.
 */
#include <stdarg.h>
#include <sys/mman.h>

#include "hv_fuzz_i.h"

void fuzz_fail(const struct fuzz *f, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "hv_fuzz: step %u, %s: ", f->step, f->what);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nreplay: %s\n", f->replay);
    abort();
}

void fuzz_note(const struct fuzz *f, const char *format, ...)
{
    va_list args;

    if (!f->verbose)
        return;
    fprintf(stderr, "%4u %-10s ", f->step, f->what);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* Often repeated: more often chosen. */
static const struct {
    const char *name;
    void (*run)(struct fuzz *f);
    unsigned weight;
} operations[] = {
    { "grant", do_grant, 16 }, { "revoke", do_revoke, 3 }, { "map", do_map, 16 },
    { "unmap", do_unmap, 12 },
    { "replace", do_replace, 4 }, { "copy", do_copy, 12 }, { "transfer", do_transfer, 6 },
    { "swap", do_swap, 3 },
    { "table", do_table, 4 }, { "version", do_version, 5 }, { "flush", do_cache_flush, 2 },
    { "evtchn", do_evtchn, 10 },
    { "physmap", do_physmap, 6 }, { "page", do_page, 8 }, { "hold", do_hold, 4 },
    { "domain", do_domain, 5 },
    { "look", do_look, 2 }, { "bytes", do_guest_bytes, 3 }, { "race", do_arm_race, 3 },
    { "raw", do_raw_call, 3 },
    { "transitive", do_transitive, 6 }, { "status", do_status_frame, 3 },
    /* Its own bytes, so that those of older inputs mean what they meant. */
    { "hap", do_hap, 0 },
};
#define HAP_FROM 224

static void step(struct fuzz *f)
{
    uint8_t b = u8(&f->in);
    unsigned sum = 0, at = 0;
    bool fails = b >= 250;     /* the model's n-th allocation finds no memory */
    bool faults = b >= 244 && !fails;

    if (fails)
        f->hv->fail_alloc = u8(&f->in) % 8;
    f->copies_left = faults ? u8(&f->in) % 12 : UINT32_MAX;
    if (fails || faults)
        b = u8(&f->in);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        sum += operations[i].weight;
    if (b >= HAP_FROM) {
        at = sizeof operations / sizeof *operations - 1;
    } else {
        b = (uint8_t)(b % sum);
        while (b >= operations[at].weight)
            b = (uint8_t)(b - operations[at++].weight);
    }
    f->what = operations[at].name;
    if (fails || faults)
        fuzz_note(f, fails ? "(an allocation will fail)"
                           : "(an access to the caller's memory will fail)");
    operations[at].run(f);
    f->hv->fail_alloc = -1;
    if (operations[at].run != do_arm_race)
        f->races_left = 0;
}

static void check_victim(const struct fuzz *f)
{
    uint64_t mfn;

    for (uint64_t gfn = 0; gfn < VICTIM_PAGES; gfn++) {
        struct hv_frame_info info = { .refs = 0 };
        const uint8_t *page;

        if (hv_gfn_to_mfn(f->hv, VICTIM, gfn, &mfn) || hv_frame_info(f->hv, mfn, &info) ||
            info.owner != VICTIM ||
            info.refs != 1 || info.writable_types)
            fuzz_fail(f, "page %llu of a domain that granted nothing is not its alone any more",
                      (unsigned long long)gfn);
        page = hv_frame(f->hv, mfn);
        for (size_t i = 0; i < HV_PAGE_SIZE; i += 16)
            if (page[i] != 0xa0 + gfn)
                fuzz_fail(f, "page %llu of a domain that granted nothing was written",
                          (unsigned long long)gfn);
    }
}

static void check(struct fuzz *f)
{
    unsigned (*audit)(const struct hv *, FILE *) = f->hostile ? hv_audit_hostile : hv_audit;

    if (audit(f->hv, NULL)) {
        audit(f->hv, stderr);
        fuzz_fail(f, "the audit found what is above");
    }
    check_pv_spaces(f);
    check_victim(f);
}

/* The embedder punches a hole: here the opposite, so that nothing can rely on old contents, or on
 * zeroes. */
static void on_freed(void *ctx, uint64_t mfn, uint64_t nr)
{
    struct fuzz *f = ctx;

    if (mfn == 0 || mfn + nr > f->nr_frames)
        fuzz_fail(f, "frames %llu to %llu became free", (unsigned long long)mfn,
                  (unsigned long long)(mfn + nr - 1));
    memset(f->memory + mfn * HV_PAGE_SIZE, 0xdb, nr * HV_PAGE_SIZE);
}

static void on_upcall(void *ctx, domid_t dom)
{
    fuzz_note(ctx, "  upcall of d%u", dom);
}

static void on_crashed(void *ctx, domid_t dom, const char *why)
{
    fuzz_note(ctx, "  d%u crashed: %s", dom, why);
}

/* Some programs can be shown other pages, some not. */
static bool on_follows(void *ctx, domid_t dom, uint64_t gfn, uint64_t mfn)
{
    (void)ctx;
    (void)dom;
    (void)mfn;
    return gfn % 2;
}

static void on_shows(void *ctx, domid_t dom, uint64_t gfn, uint64_t from, uint64_t to,
                     bool writable)
{
    const struct fuzz *f = ctx;
    struct p2m_entry e = p2m_get(&domain_lookup(f->hv, dom)->p2m, gfn);

    /* What programs see is what the physmap says. */
    assert(from < f->hv->nr_frames && e.mfn == to && writable == (e.type == P2M_RAM_RW));
}

static void on_populate(void *ctx, domid_t dom, uint64_t gfn)
{
    fuzz_note(ctx, "  gfn %#llx of d%u is wanted", (unsigned long long)gfn, dom);
}

static void build(struct fuzz *f)
{
    uint8_t b = u8(&f->in);
    struct hv_domain_config victim;
    struct hv_config config = {
        .memory = f->memory, .profile = b & 1 ? &hv_profile_xen_4_23 : &hv_profile_xen_4_17,
        .hook_ctx = f,
        .hooks = { .upcall = on_upcall, .crashed = on_crashed, .populate = on_populate,
                   .follows = on_follows, .shows = on_shows,
                   .frames_freed = on_freed },
    };

    f->what = "build";
    config.nr_frames = f->nr_frames = b & 2 ? 48 : MAX_FRAMES_FUZZED;
    if (hv_create(&f->hv, &config))
        fuzz_fail(f, "no machine");
    hv_domain_config_init(&victim);
    victim.nr_pages = VICTIM_PAGES;
    if (hv_domain_create(f->hv, VICTIM, &victim))
        fuzz_fail(f, "no victim");
    for (uint64_t gfn = 0, mfn; gfn < VICTIM_PAGES && hv_gfn_to_mfn(f->hv, VICTIM, gfn, &mfn) == 0;
         gfn++)
        memset(hv_frame(f->hv, mfn), (int)(0xa0 + gfn), HV_PAGE_SIZE);
    for (domid_t dom = 0; dom < NR_DOMS; dom++) {
        decode_domain(f, dom);
        create_domain(f, dom);
    }
    f->hv->race = act_in_race;
    f->hv->race_ctx = f;
}

/* Whoever mapped something, and still knows where, can unmap it. */
static void unmap_all(struct fuzz *f)
{
    for (domid_t dom = 0; dom < NR_DOMS; dom++) {
        struct hv_mapping_info m = { .handle = 0 };
        struct hv_domain_info d;

        if (hv_domain_info(f->hv, dom, &d) || d.dying || d.crashed || f->lost[dom])
            continue;
        for (uint32_t from = 0; hv_mapping_next(f->hv, dom, from, &m) == 0; from = m.handle + 1) {
            struct gnttab_unmap_grant_ref op = { .handle = m.handle,
                                                 .host_addr = f->addr_of[dom][m.handle] };

            if (!(m.gntmap_flags & GNTMAP_host_map))
                continue;
            if (hv_grant_table_op(f->hv, dom, GNTTABOP_unmap_grant_ref, &op, 1) ||
                op.status != GNTST_okay)
                fuzz_fail(f, "d%u cannot unmap handle %u from %#llx: %d", dom, m.handle,
                          (unsigned long long)op.host_addr, op.status);
        }
    }
    check(f);
}

/* When all domains are gone, so is everything else. */
static void tear_down(struct fuzz *f)
{
    f->what = "end";
    unmap_all(f);
    for (int id = 0; (id = hv_domain_next(f->hv, id)) >= 0; id++)
        hv_domain_destroy(f->hv, (domid_t)id);
    if (hv_domain_next(f->hv, 0) >= 0)
        fuzz_fail(f, "d%d is still there, although nobody lives", hv_domain_next(f->hv, 0));
    while (f->nr_held)
        hv_frame_put(f->hv, f->held[--f->nr_held]);
    if (hv_nr_free_frames(f->hv) != f->nr_frames - 1)
        fuzz_fail(f, "%llu of %llu frames are free, although nobody lives",
                  (unsigned long long)hv_nr_free_frames(f->hv),
                  (unsigned long long)f->nr_frames - 1);
    if (hv_audit(f->hv, stderr))
        fuzz_fail(f, "the audit found what is above");
    memset(f->memory, 0, f->hv->pool.top * HV_PAGE_SIZE);
    hv_destroy(f->hv);
}

void fuzz_run(const uint8_t *data, size_t size, const char *replay, bool verbose)
{
    struct fuzz *f = calloc(1, sizeof *f);
    static uint8_t memory[MAX_FRAMES_FUZZED * HV_PAGE_SIZE] __attribute__((aligned(HV_PAGE_SIZE)));

    if (!f)
        abort();
    f->memory = memory;
    f->in = (struct input){ data, data + size };
    f->replay = replay;
    f->verbose = verbose;
    build(f);
    check(f);
    while (f->in.at < f->in.end && f->step < MAX_STEPS) {
        f->step++;
        step(f);
        check(f);
    }
    tear_down(f);
    free(f);
}
