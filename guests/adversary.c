/* SPDX-License-Identifier: MIT */
/* Makes the seeded steps of hostile guests. */
#include "adversary_i.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <utlist.h>

#include "arch.h"
#include "guests.h"
#include "random.h"
#include "trace.h"

const char *const adversary_kinds[ADVERSARY_NR_KINDS + 1] = {
    [ADVERSARY_REWRITE] = "rewrite-entries",
    [ADVERSARY_FLIP] = "flip",
    [ADVERSARY_STALE] = "stale",
    [ADVERSARY_GUESS] = "guess",
    [ADVERSARY_FLOOD] = "flood",
};

/* What one did last. It undoes that: a peer that works now and then is harder to survive. */
struct undo {
    bool armed;
    grant_ref_t ref;
    struct actor_entry entry;
    uint16_t changed;                /* flags */
    struct actor_place place;
    uint32_t word;
};

struct adversary {
    int64_t id;
    struct actor *actor;
    struct kernel *k;
    struct adversary_config config;
    uint64_t random;
    uint64_t steps, background, owed;
    _Atomic uint64_t hits;
    struct undo undo;
    unsigned value;                  /* FLIP: the next of the values */
    struct gnttab_pages *page;       /* GUESS: where it maps */
    /* Of a thread: */
    pthread_t thread;
    atomic_bool stop;
    uint64_t mfn;
    uint32_t *word;
    struct adversary *next;
};

static struct adversaries *of_machine(const struct machine *m)
{
    return part_of_machine(m, &guests_part);
}

static uint32_t below(struct adversary *a, uint64_t n)
{
    return n ? (uint32_t)(random_next(&a->random) % n) : 0;
}

/* ---- Steps: true if there was something to do ------------------------------------------------ */

static bool in_use(struct adversary *a, grant_ref_t ref, struct actor_entry *entry)
{
    return !actor_entry_read(a->actor, ref, entry) && entry->flags & GTF_type_mask;
}

/* One of the entries of the range that say something. */
static bool pick_entry(struct adversary *a, grant_ref_t *ref, struct actor_entry *entry)
{
    uint32_t nr = actor_nr_entries(a->actor), found = 0, which;
    struct actor_entry any;

    for (uint32_t r = a->config.first; r < nr && r <= a->config.last; r++)
        found += in_use(a, r, &any);
    if (!found)
        return false;
    which = below(a, found);
    for (*ref = a->config.first; *ref < nr; ++*ref)
        if (in_use(a, *ref, entry) && !which--)
            return true;
    return false;
}

/* What the hypervisor did to its own two bits meanwhile stays. */
static bool put_right(struct adversary *a)
{
    const uint16_t use = GTF_reading | GTF_writing;
    struct actor_entry now, *old = &a->undo.entry;

    a->undo.armed = false;
    if (actor_entry_read(a->actor, a->undo.ref, &now))
        return false;
    old->flags = (uint16_t)((old->flags & ~use) | ((now.flags ^ a->undo.changed) & use));
    return !actor_entry_write(a->actor, a->undo.ref, old);
}

static bool step_rewrite(struct adversary *a)
{
    struct actor_entry entry, other;
    grant_ref_t ref, from;

    /* Not always at once, or every second element of a batch would be spared. */
    if (a->undo.armed)
        return below(a, 4) && put_right(a);
    if (!pick_entry(a, &ref, &entry))
        return false;
    a->undo = (struct undo){ .armed = true, .ref = ref, .entry = entry };
    switch (below(a, 7)) {
    case 0:
        entry.flags ^= GTF_readonly;
        break;
    case 1:
        entry.flags = 0;
        break;
    case 2:
        entry.flags = (uint16_t)((entry.flags & ~GTF_type_mask) | (1 + below(a, 3)));
        break;
    case 3:
        entry.flags ^= (uint16_t)(below(a, 2) ? GTF_reading : GTF_writing);
        break;
    case 4:
        entry.to = (domid_t)(entry.to ^ (1 + below(a, 7)));
        break;
    case 5:
        if (pick_entry(a, &from, &other))
            entry.frame = other.frame;
        break;
    default:
        entry.frame = random_next(&a->random) >> below(a, 64);
    }
    a->undo.changed = entry.flags ^ a->undo.entry.flags;
    return !actor_entry_write(a->actor, ref, &entry);
}

static uint32_t hostile_word(struct adversary *a, uint32_t old)
{
    static const uint32_t odd[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 4096, 65535 };

    if (a->config.nr_values)
        return a->config.values[a->value++ % a->config.nr_values];
    if (below(a, 2))
        return odd[below(a, sizeof odd / sizeof *odd)];
    return old ^ (uint32_t)(random_next(&a->random) | 1);
}

static bool put_back(struct adversary *a)
{
    a->undo.armed = false;
    return !actor_write(a->actor, &a->undo.place, &a->undo.word, sizeof a->undo.word);
}

static bool step_flip(struct adversary *a)
{
    struct actor_place place = a->config.place;
    uint32_t word;

    if (a->undo.armed)
        return put_back(a);
    place.offset += 4ull * below(a, a->config.words);
    if (actor_read(a->actor, &place, &word, sizeof word))
        return false;
    a->undo = (struct undo){ .place = place, .word = word };
    word = hostile_word(a, word);
    a->undo.armed = !actor_write(a->actor, &place, &word, sizeof word);
    return a->undo.armed;
}

static bool step_stale(struct adversary *a)
{
    struct actor_place place = a->config.place;
    struct actor_entry entry;
    grant_ref_t ref;
    uint32_t nr;

    place.offset += 4ull * below(a, a->config.words);
    if (!actor_stale_ref(a->actor, below(a, 8), &ref) && !actor_stale_ref(a->actor, 0, &ref)) {
        /* The domain's programs gave references back, not the actor: any that grants nothing. */
        nr = actor_nr_entries(a->actor);
        ref = GNTTAB_NR_RESERVED_ENTRIES +
              below(a, nr > GNTTAB_NR_RESERVED_ENTRIES ? nr - GNTTAB_NR_RESERVED_ENTRIES : 0);
        if (in_use(a, ref, &entry))
            return false;
    }
    return !actor_write(a->actor, &place, &ref, sizeof ref);
}

static bool step_guess(struct adversary *a)
{
    struct machine *m = actor_machine(a->actor);
    grant_ref_t ref = a->config.first + below(a, a->config.last - a->config.first + 1ull);
    struct gnttab_map_grant_ref map = {
        .host_addr = gnttab_page_addr(a->k, a->page, 0), .flags = GNTMAP_host_map, .ref = ref,
        .dom = a->config.granter, .status = GNTST_general_error
    };
    struct gnttab_unmap_grant_ref unmap = { .host_addr = map.host_addr };

    if (below(a, 2))
        map.flags |= GNTMAP_readonly;
    if (hv_grant_table_op(m->hv, actor_domid(a->actor), GNTTABOP_map_grant_ref, &map, 1) ||
        map.status != GNTST_okay)
        return false;
    unmap.handle = map.handle;
    hv_grant_table_op(m->hv, actor_domid(a->actor), GNTTABOP_unmap_grant_ref, &unmap, 1);
    return true;
}

static bool step_flood(struct adversary *a)
{
    bool sent = false;

    for (uint32_t i = 0; i < a->config.burst; i++)
        sent |= !actor_event_send(a->actor, a->config.port);
    return sent;
}

static const struct {
    bool (*step)(struct adversary *a);
    bool (*undo)(struct adversary *a);
    bool hypercalls;                 /* cannot be made within one */
} kinds[ADVERSARY_NR_KINDS] = {
    [ADVERSARY_REWRITE] = { step_rewrite, put_right, false },
    [ADVERSARY_FLIP] = { step_flip, put_back, false },
    [ADVERSARY_STALE] = { step_stale, NULL, false },
    [ADVERSARY_GUESS] = { step_guess, NULL, true },
    [ADVERSARY_FLOOD] = { step_flood, NULL, true },
};

static void make_step(struct adversary *a)
{
    struct adversaries *all = of_machine(actor_machine(a->actor));

    all->at_work = true;
    a->steps++;
    a->hits += kinds[a->config.kind].step(a);
    all->at_work = false;
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void *flip_for_ever(void *arg)
{
    struct adversary *a = arg;

    while (!atomic_load_explicit(&a->stop, memory_order_relaxed)) {
        uint32_t *word = a->word + below(a, a->config.words);
        uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);

        __atomic_store_n(word, hostile_word(a, old), __ATOMIC_RELAXED);
        atomic_fetch_add_explicit(&a->hits, 1, memory_order_relaxed);
        for (unsigned i = below(a, 64); i; i--)
            arch_relax();
        __atomic_store_n(word, old, __ATOMIC_RELAXED);
        for (unsigned i = below(a, 64); i; i--)
            arch_relax();
    }
    return NULL;
}

/* It touches one page, which is held for it whatever becomes of the grant, and takes no lock. */
static int start_thread(struct adversary *a)
{
    struct hv *hv = actor_machine(a->actor)->hv;
    uint64_t offset = a->config.place.offset % HV_PAGE_SIZE;
    int rc = actor_mfn(a->actor, &a->config.place, true, &a->mfn);

    if (rc)
        return rc;
    if (offset % 4 || offset + 4ull * a->config.words > HV_PAGE_SIZE)
        return -ERANGE;
    a->word = (uint32_t *)(void *)((char *)actor_frame(a->actor, a->mfn) + offset);
    hv_frame_get(hv, a->mfn);
    rc = pthread_create(&a->thread, NULL, flip_for_ever, a);
    if (rc)
        hv_frame_put(hv, a->mfn);
    return -rc;
}

static void stop_thread(struct adversary *a)
{
    atomic_store(&a->stop, true);
    pthread_join(a->thread, NULL);
    hv_frame_put(actor_machine(a->actor)->hv, a->mfn);
}

/* ---- In the background ----------------------------------------------------------------------- */

void adversaries_point(struct machine *m)
{
    struct adversaries *all = of_machine(m);

    if (all->at_work)
        return;
    for (struct adversary *a = all->first; a; a = a->next) {
        if (!a->background)
            continue;
        if (a->background != UINT64_MAX)
            a->background--;
        if (kinds[a->config.kind].hypercalls)
            a->owed++;
        else
            make_step(a);
    }
}

void adversaries_settle(struct machine *m)
{
    struct adversaries *all = of_machine(m);

    if (all->at_work)
        return;
    for (struct adversary *a = all->first; a; a = a->next) {
        if (a->owed)
            trace_steps(m);
        for (; a->owed; a->owed--)
            make_step(a);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int prepare(struct adversary *a)
{
    struct actor_place end = a->config.place;
    uint64_t mfn;
    int rc;

    switch (a->config.kind) {
    case ADVERSARY_GUESS:
        return gnttab_alloc_pages(a->k, 1, &a->page);
    case ADVERSARY_FLIP:
    case ADVERSARY_STALE:
        rc = actor_mfn(a->actor, &a->config.place, true, &mfn);
        end.offset += 4ull * a->config.words - 1;
        if (!rc)
            rc = actor_mfn(a->actor, &end, true, &mfn);
        return !rc && a->config.thread ? start_thread(a) : rc;
    default:
        return 0;
    }
}

int adversary_start(struct actor *actor, const struct adversary_config *config, int64_t *id)
{
    struct adversaries *all = of_machine(actor_machine(actor));
    struct adversary *a = calloc(1, sizeof *a);
    int rc;

    if (!a)
        return -ENOMEM;
    a->actor = actor;
    a->k = actor_kernel(actor);
    a->config = *config;
    a->background = config->thread ? 0 : config->background;
    a->id = all->last_id + 1;
    a->random = config->seed + (uint64_t)a->id;
    rc = prepare(a);
    if (rc) {
        free(a);
        return rc;
    }
    all->last_id = a->id;
    LL_APPEND(all->first, a);
    *id = a->id;
    return 0;
}

static struct adversary *find(struct machine *m, int64_t id)
{
    struct adversary *a;

    LL_SEARCH_SCALAR(of_machine(m)->first, a, id, id);
    return a;
}

static void about(struct adversary *a, struct adversary_info *info)
{
    *info = (struct adversary_info){
        .id = a->id, .domain = actor_domid(a->actor), .kind = a->config.kind, .steps = a->steps,
        .hits = a->hits
    };
}

int adversary_step(struct machine *m, int64_t id, uint64_t n, struct adversary_info *info)
{
    struct adversary *a = find(m, id);

    if (!a)
        return -ENOENT;
    if (a->config.thread)
        return -EBUSY;
    while (n--)
        make_step(a);
    about(a, info);
    return 0;
}

static void end(struct machine *m, struct adversary *a)
{
    LL_DELETE(of_machine(m)->first, a);
    if (a->config.thread)
        stop_thread(a);
    gnttab_free_pages(a->k, a->page);
    free(a);
}

int adversary_stop(struct machine *m, int64_t id, struct adversary_info *info)
{
    struct adversary *a = find(m, id);

    if (!a)
        return -ENOENT;
    if (a->undo.armed)
        kinds[a->config.kind].undo(a);
    about(a, info);
    end(m, a);
    return 0;
}

int adversary_next(struct machine *m, int64_t from, struct adversary_info *info)
{
    for (struct adversary *a = of_machine(m)->first; a; a = a->next) {
        if (a->id < from)
            continue;
        about(a, info);
        return 0;
    }
    return -ENOENT;
}

void adversaries_end(struct machine *m, const struct actor *of)
{
    struct adversary *a, *next;

    LL_FOREACH_SAFE(of_machine(m)->first, a, next)
        if (a->actor == of)
            end(m, a);
}
