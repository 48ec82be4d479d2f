/* SPDX-License-Identifier: MIT */
/*
 * Guests that rewrite their entries from threads of their own, with nothing but atomic stores, while the hypervisor maps,
 * unmaps, copies, transfers, swaps and changes versions. Whatever they do, each status is one that the interface has, and
 * the model's books are in order in the end. Built for ThreadSanitizer, useful without.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <gntsim/hv.h>

#define DOMAINS 3u
#define REFS 24u                 /* per domain, from 0: the reserved ones too */
#define NR_FRAMES 2048u
#define ROUNDS 300000u

static struct hv *hv;
static atomic_bool stop;
static atomic_ulong writes;

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

struct guest {
    pthread_t thread;
    domid_t id;
    uint32_t *words;             /* its first grant frame, as words of 32 bits */
    uint32_t frames[16];         /* what it can grant */
    unsigned seed;
};

/* A well-formed grant now and then, so that something succeeds; garbage otherwise. The version is not the guest's care. */
static void *guest_main(void *arg)
{
    struct guest *g = arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        unsigned r = next(&g->seed), ref = r % REFS, form = (r >> 8) % 8;
        uint32_t header = (uint32_t)((r >> 12) % (DOMAINS + 1)) << 16, frame = g->frames[(r >> 4) % 16];
        uint32_t *v1 = g->words + ref * 2, *v2 = g->words + ref * 4;

        header |= form < 5 ? GTF_permit_access : form < 6 ? GTF_transitive : form < 7 ? GTF_accept_transfer : r & 0x1ff;
        if ((r & 0x600000) == 0)
            header |= GTF_readonly;
        if (form == 4)
            header |= GTF_sub_page;
        if (r & 1) {
            __atomic_store_n(v1 + 1, frame, __ATOMIC_RELAXED);
            __atomic_store_n(v1, header, __ATOMIC_RELEASE);
        } else {
            __atomic_store_n(v2 + 1, r, __ATOMIC_RELAXED);
            __atomic_store_n(v2 + 2, form == 5 ? ref : frame, __ATOMIC_RELAXED);
            __atomic_store_n(v2 + 3, r & 0x1000 ? 1 : 0, __ATOMIC_RELAXED);
            __atomic_store_n(v2, header, __ATOMIC_RELEASE);
        }
        atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
    }
    return NULL;
}

static unsigned failures, seen[16];

static void status_is_known(int status, const char *what)
{
    if (status > 0 || status < GNTST_no_space) {
        if (failures++ < 10)
            printf("%s: status %d\n", what, status);
        return;
    }
    seen[-status]++;
}

static void do_map(unsigned r, uint32_t handles[], uint64_t addrs[], unsigned *nr)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = (uint64_t)(1 + r % 4096) << 12, .flags = r & 0x1000 ? GNTMAP_host_map | GNTMAP_readonly : GNTMAP_host_map,
        .ref = (r >> 16) % REFS, .dom = (domid_t)(1 + (r >> 13) % DOMAINS),
    };

    if (*nr == 64)
        return;
    hv_grant_table_op(hv, (domid_t)(1 + r % DOMAINS), GNTTABOP_map_grant_ref, &op, 1);
    status_is_known(op.status, "map");
    if (op.status == GNTST_okay) {
        handles[*nr] = op.handle | (1 + r % DOMAINS) << 24;
        addrs[(*nr)++] = op.host_addr;
    }
}

static void do_unmap(unsigned i, uint32_t handles[], uint64_t addrs[], unsigned *nr)
{
    struct gnttab_unmap_grant_ref op;

    if (*nr == 0)
        return;
    i %= *nr;
    op = (struct gnttab_unmap_grant_ref){ .host_addr = addrs[i], .handle = handles[i] & 0xffffff };
    hv_grant_table_op(hv, (domid_t)(handles[i] >> 24), GNTTABOP_unmap_grant_ref, &op, 1);
    if (op.status != GNTST_okay && failures++ < 10)
        printf("unmap of a mapping: status %d\n", op.status);
    handles[i] = handles[--*nr];
    addrs[i] = addrs[*nr];
}

static void do_copy(unsigned r)
{
    struct gnttab_copy op = {
        .source = { .u.ref = r % REFS, .domid = (domid_t)(1 + (r >> 5) % DOMAINS) },
        .dest = { .u.ref = (r >> 8) % REFS, .domid = (domid_t)(1 + (r >> 13) % DOMAINS) },
        .len = 64, .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref,
    };

    hv_grant_table_op(hv, (domid_t)(1 + (r >> 16) % DOMAINS), GNTTABOP_copy, &op, 1);
    status_is_known(op.status, "copy");
}

/* Whoever owns the page now; memory does not run out. */
static void give_up(uint64_t mfn)
{
    struct hv_frame_info info;

    if (!hv_frame_info(hv, mfn, &info) && info.owner > 0 && info.gfn != UINT64_MAX)
        hv_page_free(hv, (domid_t)info.owner, info.gfn);
}

static void do_other(unsigned r)
{
    domid_t id = (domid_t)(1 + r % DOMAINS);
    struct gnttab_swap_grant_ref swap = { .ref_a = (r >> 4) % REFS, .ref_b = (r >> 9) % REFS };
    struct gnttab_set_version version = { .version = 1 + (r >> 3) % 2 };
    struct gnttab_transfer transfer = { .domid = (domid_t)(1 + (r >> 5) % DOMAINS), .ref = (r >> 9) % REFS };
    long rc;

    switch ((r >> 14) % 4) {
    case 0:
        hv_grant_table_op(hv, id, GNTTABOP_swap_grant_ref, &swap, 1);
        status_is_known(swap.status, "swap");
        break;
    case 1:
        rc = hv_grant_table_op(hv, id, GNTTABOP_set_version, &version, 1);
        if (rc && rc != -EBUSY && rc != -ERANGE && failures++ < 10)
            printf("set_version: %ld\n", rc);
        break;
    case 2:
        if (hv_page_alloc(hv, id, &transfer.mfn) >= 0) {
            hv_grant_table_op(hv, id, GNTTABOP_transfer, &transfer, 1);
            status_is_known(transfer.status, "transfer");
            give_up(transfer.mfn);
        }
        break;
    default:
        hv_event_channel_op(hv, id, EVTCHNOP_alloc_unbound, &(struct evtchn_alloc_unbound){ .dom = DOMID_SELF, .remote_dom = 1 });
        break;
    }
}

static void start_guests(struct guest guests[])
{
    for (unsigned i = 0; i < DOMAINS; i++) {
        struct guest *g = &guests[i];

        *g = (struct guest){ .id = (domid_t)(i + 1), .seed = i + 7, .words = hv_grant_frame(hv, (domid_t)(i + 1), 0) };
        for (uint64_t gfn = 0; gfn < 16; gfn++) {
            uint64_t number = 0;

            hv_grant_frame_number(hv, g->id, gfn, &number);
            g->frames[gfn] = (uint32_t)number;
        }
        if (pthread_create(&g->thread, NULL, guest_main, g))
            exit(1);
    }
}

static void run(bool auto_translated)
{
    void *memory = mmap(NULL, NR_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct hv_config config = { .memory = memory, .nr_frames = NR_FRAMES };
    struct hv_domain_config domain;
    struct guest guests[DOMAINS];
    uint32_t handles[64];
    uint64_t addrs[64];
    unsigned nr = 0, seed = 1;

    if (memory == MAP_FAILED || hv_create(&hv, &config))
        exit(1);
    hv_domain_config_init(&domain);
    domain.auto_translated = auto_translated;
    domain.nr_pages = 16;
    for (domid_t id = 1; id <= DOMAINS; id++)
        if (hv_domain_create(hv, id, &domain))
            exit(1);
    atomic_store(&stop, false);
    start_guests(guests);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned r = next(&seed), what = next(&seed) % 16;

        /* A translated domain maps far above its memory, each mapping at a place of its own. */
        if (what < 6 && !(auto_translated && nr > 0))
            do_map(r | 0x800, handles, addrs, &nr);
        else if (what < 11)
            do_unmap(r, handles, addrs, &nr);
        else if (what < 15)
            do_copy(r);
        else
            do_other(r);
        if (i % 4096 == 0)
            failures += hv_audit_hostile(hv, stdout);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < DOMAINS; i++)
        pthread_join(guests[i].thread, NULL);
    failures += hv_audit_hostile(hv, stdout);
    while (nr)
        do_unmap(0, handles, addrs, &nr);
    failures += hv_audit_hostile(hv, stdout);
    hv_destroy(hv);
    munmap(memory, NR_FRAMES * HV_PAGE_SIZE);
}

int main(void)
{
    run(false);
    run(true);
    printf("%lu writes of guests; okay %u, general_error %u, bad_gntref %u, bad_page %u, eagain %u; %u failures\n",
           atomic_load(&writes), seen[0], seen[1], seen[3], seen[9], seen[12], failures);
    /* Something must have worked, or nothing was tried. */
    return failures != 0 || seen[0] == 0 || seen[1] == 0;
}
