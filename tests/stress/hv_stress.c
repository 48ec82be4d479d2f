/* SPDX-License-Identifier: MIT */
/*
 * Guests on threads of their own rewrite their grant entries while the hypervisor maps, copies and
 * unmaps. Two of them keep the protocol, so their pages must never be seen half-written, nor
 * touched after a revocation that succeeded (under TSan a data race on the page is just that); two
 * do not, and must not get anything for it.
 *
 *   hv-stress [SEED [ITERATIONS]]
 */
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gntsim/hv.h>

#define NR_FRAMES 256u
#define NR_GUESTS 4u             /* domains 1 .. 4 grant to domain 0 */
#define NR_REFS 16u              /* of each, from reference FIRST_REF on, for page 0 .. of it */
#define FIRST_REF 8u
#define WORDS (HV_PAGE_SIZE / sizeof(uint64_t))
#define MOST_MAPPINGS 24u
#define ENOUGH 200u              /* of everything that must have happened */

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static _Noreturn void fail(int line, const char *what)
{
    fprintf(stderr, "hv_stress.c:%d: not so: %s\n", line, what);
    abort();
}

/* Entries of either version, as the guest sees them. */
struct guest {
    domid_t id;
    bool v2, hostile;
    uint64_t seed;
    grant_entry_v1_t *v1;
    grant_entry_v2_t *v2_entries;
    grant_status_t *status;
    uint64_t *page[NR_REFS];
    uint64_t frame[NR_REFS];
    uint64_t table[3];           /* the machine frames of its table and shared info */
    bool *stop;
    unsigned maps, copies;       /* made by domain 0 */
    /* Read by the main thread while it decides whether all has happened. */
    unsigned granted, revoked, refused;
};

struct mapping {
    struct guest *g;
    uint32_t handle;
    unsigned i;
    uint64_t addr, tag;
    volatile uint64_t *page;     /* NULL: a hostile guest's, nothing of it is certain */
    bool readonly;
};

struct stress {
    struct hv *hv;
    uint64_t seed;
    struct guest guests[NR_GUESTS];
    struct mapping mappings[MOST_MAPPINGS];
    unsigned nr_mappings, next_addr;
    uint64_t *local;             /* a page of domain 0 */
    uint64_t local_frame;
    unsigned maps, map_refusals, copies_in, copies_out, copy_refusals, hostile_maps, hostile_copies,
        transfers, swaps;
};

static uint64_t random_of(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* ---- Guests that keep the protocol ----------------------------------------------------------- */

static void grant(struct guest *g, unsigned i, uint16_t flags)
{
    uint32_t ref = FIRST_REF + i;

    if (g->v2) {
        __atomic_store_n(&g->v2_entries[ref].full_page.frame, g->frame[i], __ATOMIC_RELAXED);
        __atomic_store_n(&g->v2_entries[ref].hdr.domid, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&g->v2_entries[ref].hdr.flags, flags, __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_store_n(&g->v1[ref].frame, (uint32_t)g->frame[i], __ATOMIC_RELAXED);
    __atomic_store_n(&g->v1[ref].domid, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&g->v1[ref].flags, flags, __ATOMIC_RELEASE);
}

/* Whether the page is the guest's alone again. A version 2 entry that is refused stays revoked, and
 * is asked about again. */
static bool revoke(struct guest *g, unsigned i)
{
    uint32_t ref = FIRST_REF + i;
    uint16_t flags;

    if (g->v2) {
        __atomic_exchange_n(&g->v2_entries[ref].hdr.flags, 0, __ATOMIC_SEQ_CST);
        return !(__atomic_load_n(&g->status[ref], __ATOMIC_SEQ_CST) & (GTF_reading | GTF_writing));
    }
    flags = __atomic_load_n(&g->v1[ref].flags, __ATOMIC_RELAXED);
    do {
        if (flags & (GTF_reading | GTF_writing))
            return false;
    } while (!__atomic_compare_exchange_n(&g->v1[ref].flags, &flags, 0, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return true;
}

/* Every word of a page says whose it is, which, and which time it was written. */
static uint64_t tag_of(const struct guest *g, unsigned i, uint64_t generation)
{
    return (uint64_t)g->id << 56 | (uint64_t)i << 48 | (generation & 0xffffffffffff);
}

static bool tagged(uint64_t word, const struct guest *g, unsigned i)
{
    return word >> 48 == tag_of(g, i, 0) >> 48;
}

static void *polite_guest(void *arg)
{
    struct guest *g = arg;
    uint64_t generation = 1;
    bool revoked[NR_REFS] = { false };

    while (!__atomic_load_n(g->stop, __ATOMIC_RELAXED)) {
        unsigned i = random_of(&g->seed) % NR_REFS;

        if (!revoke(g, i)) {
            __atomic_fetch_add(&g->refused, 1, __ATOMIC_RELAXED);
            continue;
        }
        __atomic_fetch_add(&g->revoked, 1, __ATOMIC_RELAXED);
        revoked[i] = true;
        /* Ours alone: plain accesses, with something to be seen half-way. */
        for (unsigned w = 1; w < WORDS; w++)
            CHECK(g->page[i][w] == g->page[i][0]);
        CHECK(tagged(g->page[i][0], g, i));
        generation++;
        for (unsigned w = 0; w < WORDS; w++)
            g->page[i][w] = tag_of(g, i, generation);
        if (random_of(&g->seed) % 8) {
            grant(g, i,
                  random_of(&g->seed) % 4 ? GTF_permit_access : GTF_permit_access | GTF_readonly);
            __atomic_fetch_add(&g->granted, 1, __ATOMIC_RELAXED);
            revoked[i] = false;
        }
    }
    for (unsigned i = 0; i < NR_REFS; i++)
        if (!revoked[i])
            (void)revoke(g, i);
    return NULL;
}

/* ---- Guests that do not ---------------------------------------------------------------------- */

/*
 * Its own frames, those of the others, none at all: as a grant, as anything, with or without the
 * hypervisor's bits. But not its own table, which nobody but itself would suffer from: that is a
 * data race of the guest's making, which TSan minds.
 */
static void *hostile_guest(void *arg)
{
    struct guest *g = arg;

    while (!__atomic_load_n(g->stop, __ATOMIC_RELAXED)) {
        uint64_t r = random_of(&g->seed);
        uint32_t ref = FIRST_REF + r % NR_REFS;
        uint16_t flags = r >> 16 & 3 ? GTF_permit_access |
                                           (r >> 20 & (GTF_readonly | GTF_reading | GTF_writing))
                                     : r >> 32;
        uint64_t frame = r >> 18 & 1 ? g->frame[r % NR_REFS] : (r >> 40) % (NR_FRAMES + 8);

        if (frame == g->table[0] || frame == g->table[1] || frame == g->table[2])
            continue;
        if ((r >> 54 & 7) == 0)
            flags = GTF_accept_transfer;
        if (g->v2) {
            __atomic_store_n(&g->v2_entries[ref].full_page.frame, frame, __ATOMIC_RELAXED);
            __atomic_store_n(&g->v2_entries[ref].hdr.domid, r >> 50 & 15 ? 0 : r % 6,
                             __ATOMIC_RELAXED);
            __atomic_store_n(&g->v2_entries[ref].hdr.flags, flags, __ATOMIC_SEQ_CST);
            if (r >> 60 == 0)
                __atomic_store_n(&g->status[ref], (uint16_t)(r >> 8), __ATOMIC_SEQ_CST);
        } else {
            __atomic_store_n(&g->v1[ref].frame, (uint32_t)frame, __ATOMIC_RELAXED);
            __atomic_store_n(&g->v1[ref].domid, r >> 50 & 15 ? 0 : r % 6, __ATOMIC_RELAXED);
            __atomic_store_n(&g->v1[ref].flags, flags, __ATOMIC_SEQ_CST);
        }
        __atomic_fetch_add(&g->granted, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* ---- The hypervisor's side: domain 0's hypercalls -------------------------------------------- */

static bool frame_is_of(const struct stress *s, uint64_t mfn, domid_t owner)
{
    struct hv_frame_info info;

    return hv_frame_info(s->hv, mfn, &info) == 0 && info.owner == owner;
}

static void map(struct stress *s)
{
    struct mapping *m = &s->mappings[s->nr_mappings];
    uint64_t r = random_of(&s->seed), mfn;
    struct gnttab_map_grant_ref op;

    if (s->nr_mappings == MOST_MAPPINGS)
        return;
    *m = (struct mapping){ .g = &s->guests[r % NR_GUESTS],
                           .i = r >> 8 & (NR_REFS - 1),
                           .readonly = r >> 16 & 1,
                           .addr = 0x100000 + (uint64_t)(s->next_addr++ % 4096) * HV_PAGE_SIZE };
    op = (struct gnttab_map_grant_ref){ .host_addr = m->addr,
                                        .flags = GNTMAP_host_map |
                                                 (m->readonly ? GNTMAP_readonly : 0),
                                        .ref = FIRST_REF + m->i,
                                        .dom = m->g->id };
    CHECK(hv_grant_table_op(s->hv, 0, GNTTABOP_map_grant_ref, &op, 1) == 0);
    if (op.status != GNTST_okay) {
        s->map_refusals++;
        return;
    }
    mfn = op.dev_bus_addr / HV_PAGE_SIZE;
    CHECK(frame_is_of(s, mfn, m->g->id));
    m->handle = op.handle;
    m->g->maps++;
    s->nr_mappings++;
    if (m->g->hostile) {
        s->hostile_maps++;
        return;
    }
    s->maps++;
    m->page = hv_frame(s->hv, mfn);
    CHECK((void *)m->page == m->g->page[m->i]);
    m->tag = m->page[0];
    CHECK(tagged(m->tag, m->g, m->i));
}

/* Nobody wrote the page while it was mapped; if we may, we do, the last thing before the end of it.
 */
static void unmap(struct stress *s, unsigned at)
{
    struct mapping *m = &s->mappings[at];
    struct gnttab_unmap_grant_ref op = { .host_addr = m->addr, .handle = m->handle };
    bool alone = m->page;

    for (unsigned i = 0; i < s->nr_mappings; i++)
        alone = alone && (i == at || s->mappings[i].page != m->page);
    for (unsigned w = 0; m->page && w < WORDS; w++)
        CHECK(m->page[w] == m->tag);
    if (alone && !m->readonly)
        for (unsigned w = 0; w < WORDS; w++)
            m->page[w] = m->tag ^ 1;
    CHECK(hv_grant_table_op(s->hv, 0, GNTTABOP_unmap_grant_ref, &op, 1) == 0);
    CHECK(op.status == GNTST_okay);
    *m = s->mappings[--s->nr_mappings];
}

static void copy(struct stress *s)
{
    uint64_t r = random_of(&s->seed);
    struct guest *g = &s->guests[r % NR_GUESTS];
    unsigned i = r >> 8 & (NR_REFS - 1);
    bool in = r >> 16 & 3;       /* from the guest's page */
    struct gnttab_copy op = { .len = HV_PAGE_SIZE,
                              .flags = in ? GNTCOPY_source_gref : GNTCOPY_dest_gref };

    op.source.domid = in ? g->id : DOMID_SELF;
    op.dest.domid = in ? DOMID_SELF : g->id;
    if (in) {
        op.source.u.ref = FIRST_REF + i;
        op.dest.u.gmfn = s->local_frame;
    } else {
        op.source.u.gmfn = s->local_frame;
        op.dest.u.ref = FIRST_REF + i;
        /* Mapped pages must stay as they are. A hostile guest could name its own table: no data for
         * that. */
        if (g->hostile)
            return;
        for (unsigned m = 0; m < s->nr_mappings; m++)
            if (s->mappings[m].g == g && s->mappings[m].i == i)
                return;
        for (unsigned w = 0; w < WORDS; w++)
            s->local[w] = tag_of(g, i, r);
    }
    CHECK(hv_grant_table_op(s->hv, 0, GNTTABOP_copy, &op, 1) == 0);
    if (op.status != GNTST_okay) {
        s->copy_refusals++;
        return;
    }
    g->copies++;
    if (!in) {
        s->copies_out++;
    } else if (g->hostile) {
        s->hostile_copies++;
    } else {
        s->copies_in++;
        for (unsigned w = 1; w < WORDS; w++)
            CHECK(s->local[w] == s->local[0]);
        CHECK(tagged(s->local[0], g, i));
    }
}

/* A hostile guest's own swap of two entries, and a page for whoever accepts one. */
static void swap_or_transfer(struct stress *s)
{
    uint64_t r = random_of(&s->seed);
    struct guest *g = &s->guests[2 + (r & 1)];
    struct gnttab_swap_grant_ref swap = { .ref_a = FIRST_REF + (r >> 8) % NR_REFS,
                                          .ref_b = FIRST_REF + (r >> 16) % NR_REFS };
    struct gnttab_transfer transfer = { .domid = g->id, .ref = FIRST_REF + (r >> 24) % NR_REFS };
    struct hv_frame_info info;

    if (r >> 32 & 1) {
        CHECK(hv_grant_table_op(s->hv, g->id, GNTTABOP_swap_grant_ref, &swap, 1) == 0);
        CHECK(swap.status == GNTST_okay || swap.status == GNTST_eagain);
        s->swaps += swap.status == GNTST_okay;
        return;
    }
    CHECK(hv_page_alloc(s->hv, 0, &transfer.mfn) >= 0);
    CHECK(hv_grant_table_op(s->hv, 0, GNTTABOP_transfer, &transfer, 1) == 0);
    CHECK(transfer.status == GNTST_okay || transfer.status == GNTST_general_error);
    s->transfers += transfer.status == GNTST_okay;
    CHECK(hv_frame_info(s->hv, transfer.mfn, &info) == 0);
    if (transfer.status == GNTST_okay)
        CHECK(info.owner == g->id && hv_page_free(s->hv, g->id, info.gfn) == 0);
    else
        CHECK(info.owner != 0);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool all_happened(const struct stress *s)
{
    for (unsigned i = 0; i < NR_GUESTS; i++) {
        const struct guest *g = &s->guests[i];

        if (__atomic_load_n(&g->granted, __ATOMIC_RELAXED) < ENOUGH)
            return false;
        if (!g->hostile && (__atomic_load_n(&g->revoked, __ATOMIC_RELAXED) < ENOUGH ||
                            __atomic_load_n(&g->refused, __ATOMIC_RELAXED) < ENOUGH))
            return false;
    }
    return s->maps >= ENOUGH && s->map_refusals >= ENOUGH && s->copies_in >= ENOUGH &&
           s->copies_out >= ENOUGH && s->copy_refusals >= ENOUGH && s->hostile_maps >= ENOUGH &&
           s->hostile_copies >= ENOUGH && s->swaps >= ENOUGH && s->transfers >= ENOUGH / 10;
}

static void add_guest(struct stress *s, unsigned n, bool *stop)
{
    struct guest *g = &s->guests[n];
    struct gnttab_set_version version = { .version = 2 };
    struct hv_domain_config config;
    uint64_t mfn;

    *g = (struct guest){
        .id = (domid_t)(n + 1), .v2 = n & 1, .hostile = n & 2, .seed = s->seed + n + 1, .stop = stop
    };
    hv_domain_config_init(&config);
    config.nr_pages = NR_REFS;
    CHECK(hv_domain_create(s->hv, g->id, &config) == 0);
    if (g->v2)
        CHECK(hv_grant_table_op(s->hv, g->id, GNTTABOP_set_version, &version, 1) == 0);
    g->v1 = hv_grant_frame(s->hv, g->id, 0);
    g->v2_entries = hv_grant_frame(s->hv, g->id, 0);
    g->status = hv_status_frame(s->hv, g->id, 0);
    g->table[0] = hv_grant_frame_mfn(s->hv, g->id, 0);
    g->table[1] = hv_status_frame_mfn(s->hv, g->id, 0);
    g->table[2] = hv_shared_info_mfn(s->hv, g->id);
    for (unsigned i = 0; i < NR_REFS; i++) {
        CHECK(hv_gfn_to_mfn(s->hv, g->id, i, &mfn) == 0);
        CHECK(hv_grant_frame_number(s->hv, g->id, i, &g->frame[i]) == 0);
        g->page[i] = hv_frame(s->hv, mfn);
        for (unsigned w = 0; w < WORDS; w++)
            g->page[i][w] = tag_of(g, i, 0);
    }
}

static void say_totals(const struct stress *s, uint64_t done)
{
    printf("%" PRIu64 " operations: %u maps, %u refused; %u copies in, %u out, %u refused; "
           "of hostile guests: %u maps, %u copies, %u transfers, %u swaps\n",
           done, s->maps, s->map_refusals, s->copies_in, s->copies_out, s->copy_refusals,
           s->hostile_maps, s->hostile_copies, s->transfers, s->swaps);
    for (unsigned n = 0; n < NR_GUESTS; n++) {
        const struct guest *g = &s->guests[n];

        printf("d%u (version %u%s): %u granted, %u revoked, %u refused; %u maps, %u copies\n",
               n + 1, g->v2 ? 2 : 1, g->hostile ? ", hostile" : "", g->granted, g->revoked,
               g->refused, g->maps, g->copies);
    }
}

int main(int argc, char **argv)
{
    static struct stress s;
    uint64_t iterations = argc > 2 ? strtoull(argv[2], NULL, 0) : 300000, done = 0, mfn;
    struct hv_config config = { .nr_frames = NR_FRAMES };
    struct hv_domain_config dom0;
    pthread_t threads[NR_GUESTS];
    bool stop = false;

    s.seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261120;
    printf("seed %" PRIu64 ", %" PRIu64 " iterations; again: %s %" PRIu64 "\n", s.seed, iterations,
           argv[0], s.seed);
    config.memory = mmap(NULL, NR_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(config.memory != MAP_FAILED);
    CHECK(hv_create(&s.hv, &config) == 0);
    hv_domain_config_init(&dom0);
    dom0.nr_pages = 1;
    CHECK(hv_domain_create(s.hv, 0, &dom0) == 0);
    CHECK(hv_gfn_to_mfn(s.hv, 0, 0, &mfn) == 0 &&
          hv_grant_frame_number(s.hv, 0, 0, &s.local_frame) == 0);
    s.local = hv_frame(s.hv, mfn);
    for (unsigned n = 0; n < NR_GUESTS; n++)
        add_guest(&s, n, &stop);
    for (unsigned n = 0; n < NR_GUESTS; n++)
        CHECK(pthread_create(&threads[n], NULL, s.guests[n].hostile ? hostile_guest : polite_guest,
                             &s.guests[n]) == 0);

    /* Threads may get no processor for a while: then it takes longer, within bounds. */
    for (; done < iterations || (!all_happened(&s) && done < 50 * iterations); done++) {
        unsigned what = random_of(&s.seed) % 9;

        if (what == 8)
            swap_or_transfer(&s);
        else if (what < 2)
            map(&s);
        else if (what < 4 && s.nr_mappings)
            unmap(&s, random_of(&s.seed) % s.nr_mappings);
        else
            copy(&s);
        if (done % 4096 == 0)
            CHECK(hv_audit_hostile(s.hv, stderr) == 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (unsigned n = 0; n < NR_GUESTS; n++)
        CHECK(pthread_join(threads[n], NULL) == 0);
    CHECK(hv_audit_hostile(s.hv, stderr) == 0);
    while (s.nr_mappings)
        unmap(&s, 0);
    for (unsigned n = 0; n < NR_GUESTS; n++) {
        for (unsigned i = 0; i < NR_REFS && !s.guests[n].hostile; i++)
            CHECK(tagged(s.guests[n].page[i][0], &s.guests[n], i) && revoke(&s.guests[n], i));
        if (s.guests[n].hostile)
            CHECK(hv_domain_destroy(s.hv, s.guests[n].id) == 0);
    }
    CHECK(hv_audit(s.hv, stderr) == 0);

    say_totals(&s, done);
    CHECK(all_happened(&s));
    hv_destroy(s.hv);
    munmap(config.memory, NR_FRAMES * HV_PAGE_SIZE);
    return 0;
}
