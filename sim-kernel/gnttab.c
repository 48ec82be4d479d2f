/* SPDX-License-Identifier: MIT */
/* The kernel's grant table: its size and its free references. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_i.h"

#define NR_RESERVED_REFS GNTTAB_NR_RESERVED_ENTRIES
/* What a kernel assumes when the hypervisor does not tell. */
#define DEFAULT_MAX_FRAMES 4

_Static_assert(NR_RESERVED_REFS == 8, "the first reference a kernel gives is 8");

/* ---- Size ------------------------------------------------------------------------------------ */

static unsigned query_max_frames(struct kernel *k)
{
    struct gnttab_query_size query = { .dom = DOMID_SELF };

    if (kernel_grant_table_op(k, GNTTABOP_query_size, &query, 1) || query.status != GNTST_okay)
        return DEFAULT_MAX_FRAMES;
    return query.max_nr_frames;
}

static void sort_free(struct gnttab *t);

/* The table has entries for references below backed: beyond, free ones cannot be given. */
static void set_backed(struct gnttab *t, uint32_t backed)
{
    bool changed = false;

    for (grant_ref_t ref = NR_RESERVED_REFS; ref < t->nr_refs; ref++) {
        uint8_t now = ref < backed ? REF_FREE : REF_UNBACKED;

        if (t->state[ref] == REF_USED || t->state[ref] == now)
            continue;
        t->state[ref] = now;
        t->nr_free += now == REF_FREE ? 1 : -1;
        changed = true;
    }
    t->nr_backed = backed;
    if (changed)
        sort_free(t);
}

/* Makes room in the books first: the hypervisor's table never shrinks. */
static int set_nr_frames(struct kernel *k, unsigned nr)
{
    struct gnttab *t = &k->gnttab;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = nr };
    uint32_t backed = nr * grant_entries_per_frame(t->version);
    uint32_t nr_refs = backed > t->nr_refs ? backed : t->nr_refs;
    grant_ref_t *link;
    uint8_t *state;
    xen_pfn_t *list;
    long rc;

    link = realloc(t->link, nr_refs * sizeof *link);
    if (!link)
        return -ENOMEM;
    t->link = link;
    state = realloc(t->state, nr_refs * sizeof *state);
    if (!state)
        return -ENOMEM;
    t->state = state;
    list = calloc(nr, sizeof *list);
    if (!list)
        return -ENOMEM;
    set_xen_guest_handle(setup.frame_list, list);
    rc = kernel_grant_table_op(k, GNTTABOP_setup_table, &setup, 1);
    free(list);
    if (rc)
        return (int)rc;
    if (setup.status != GNTST_okay)
        return -ENOSPC;
    t->nr_frames = nr;
    if (nr_refs > t->nr_refs) {
        uint32_t from = t->nr_refs < NR_RESERVED_REFS ? NR_RESERVED_REFS : t->nr_refs;

        memset(state + t->nr_refs, REF_USED, nr_refs - t->nr_refs);
        memset(state + from, REF_FREE, nr_refs - from);
        t->nr_free += nr_refs - from;
        t->nr_refs = nr_refs;
    }
    if (backed != t->nr_backed)
        set_backed(t, backed);
    return 0;
}

/* Frames for at least wanted more references. */
static int expand(struct kernel *k, unsigned wanted)
{
    struct gnttab *t = &k->gnttab;
    unsigned per = grant_entries_per_frame(t->version);
    unsigned extra = (wanted + per - 1) / per;

    if (k->dead || extra > t->max_frames - t->nr_frames) {
        kernel_log(k, "grant table: limit of %u frames reached", t->max_frames);
        return -ENOSPC;
    }
    return set_nr_frames(k, t->nr_frames + extra);
}

/* Sets the version that the kernel is to have. -ESRCH. */
static int choose_version(struct kernel *k)
{
    struct gnttab_set_version set = { .version = k->config.grant_version == 2 ? 2 : 1 };
    long rc = kernel_grant_table_op(k, GNTTABOP_set_version, &set, 1);

    k->gnttab.version = !rc && set.version == 2 ? 2 : 1;
    return rc == -ESRCH ? -ESRCH : 0;
}

int kernel_gnttab_init(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;
    int rc;

    t->free_head = GREF_LIST_END;
    t->fresh = NR_RESERVED_REFS;
    t->free_per_iteration = k->profile->deferred_per_run;
    rc = choose_version(k);
    if (rc)
        return rc;
    t->max_frames = query_max_frames(k);
    rc = set_nr_frames(k, 1);
    if (rc)
        kernel_gnttab_destroy(k);
    return rc == -ENOSPC ? -ENOMEM : rc;
}

void kernel_gnttab_destroy(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;

    assert(!t->batches && !t->unmaps);
    while (t->deferred) {
        struct gnttab_deferred *entry = t->deferred;

        DL_DELETE(t->deferred, entry);
        if (entry->page)
            kernel_page_put(k, entry->page);
        else if (entry->held_mfn != HV_INVALID_MFN)
            hv_frame_put(k->hv, entry->held_mfn);
        free(entry);
    }
    ktimer_cancel(&t->deferred_timer);
    free(t->link);
    free(t->state);
    t->link = NULL;
    t->state = NULL;
    t->callbacks = NULL;
}

/* ---- The free list --------------------------------------------------------------------------- */

static grant_ref_t pop_free(struct gnttab *t)
{
    grant_ref_t ref = t->free_head;

    if (ref != GREF_LIST_END)
        t->free_head = t->link[ref];
    else
        ref = t->fresh++;
    assert(ref < t->nr_refs && t->state[ref] == REF_FREE);
    t->state[ref] = REF_USED;
    t->nr_free--;
    return ref;
}

static void push_free(struct gnttab *t, grant_ref_t ref)
{
    assert(ref < t->nr_refs && t->state[ref] == REF_USED);
    if (ref < NR_RESERVED_REFS)
        return;
    if (ref >= t->nr_backed) {
        t->state[ref] = REF_UNBACKED;
        return;
    }
    t->state[ref] = REF_FREE;
    t->link[ref] = t->free_head;
    t->free_head = ref;
    t->nr_free++;
}

/* Makes the stack rise from the lowest free reference, and the fresh run as long as it can be. */
static void sort_free(struct gnttab *t)
{
    grant_ref_t *last = &t->free_head;

    t->fresh = t->nr_refs;
    while (t->fresh > NR_RESERVED_REFS && t->state[t->fresh - 1] == REF_FREE)
        t->fresh--;
    for (grant_ref_t ref = NR_RESERVED_REFS; ref < t->fresh; ref++) {
        if (t->state[ref] != REF_FREE)
            continue;
        *last = ref;
        last = &t->link[ref];
    }
    *last = GREF_LIST_END;
}

/* The list's owner runs what waits for free references. */
static void run_callbacks(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;
    struct gnttab_free_callback *callback, *next;

    if (t->running_callbacks)
        return;
    t->running_callbacks = true;
    callback = t->callbacks;
    t->callbacks = NULL;
    for (; callback; callback = next) {
        next = callback->next;
        if (t->nr_free >= callback->count) {
            callback->next = NULL;
            callback->queued = false;
            callback->fn(callback->arg);
        } else {
            callback->next = t->callbacks;
            t->callbacks = callback;
        }
    }
    t->running_callbacks = false;
}

/* A chain of count references, or -ENOSPC, -ENOMEM. */
static int get_free(struct kernel *k, unsigned count, grant_ref_t *head)
{
    struct gnttab *t = &k->gnttab;
    grant_ref_t *last = head;
    bool grow = t->nr_free < count;
    int rc = grow ? expand(k, count - t->nr_free) : 0;

    if (rc)
        return rc;
    /* New frames may only have given room to references that are in use. */
    if (t->nr_free < count)
        return -ENOSPC;
    for (unsigned i = 0; i < count; i++) {
        *last = pop_free(t);
        last = &t->link[*last];
    }
    *last = GREF_LIST_END;
    if (grow)
        run_callbacks(k);
    return 0;
}

void gnttab_free_grant_reference(struct kernel *k, grant_ref_t ref)
{
    if (!k->gnttab.link)
        return;
    push_free(&k->gnttab, ref);
    run_callbacks(k);
}

int gnttab_alloc_grant_references(struct kernel *k, uint16_t count, grant_ref_t *head)
{
    return get_free(k, count, head) ? -ENOSPC : 0;
}

bool gnttab_empty_grant_references(const grant_ref_t *head)
{
    return *head == GREF_LIST_END;
}

int64_t gnttab_claim_grant_reference(struct kernel *k, grant_ref_t *head)
{
    grant_ref_t ref = *head;

    if (ref == GREF_LIST_END)
        return -ENOSPC;
    *head = k->gnttab.link[ref];
    return ref;
}

void gnttab_release_grant_reference(struct kernel *k, grant_ref_t *head, grant_ref_t ref)
{
    assert(ref < k->gnttab.nr_refs);
    k->gnttab.link[ref] = *head;
    *head = ref;
}

void gnttab_free_grant_references(struct kernel *k, grant_ref_t head)
{
    while (head != GREF_LIST_END) {
        grant_ref_t next = k->gnttab.link[head];

        push_free(&k->gnttab, head);
        head = next;
    }
    run_callbacks(k);
}

/* First of count consecutive free references below or reaching into the fresh run; 0: none. */
static grant_ref_t find_run(const struct gnttab *t, unsigned count)
{
    unsigned run = 0;

    for (grant_ref_t ref = NR_RESERVED_REFS; ref < t->nr_refs; ref++) {
        run = t->state[ref] == REF_FREE ? run + 1 : 0;
        if (run == count)
            return ref - count + 1;
    }
    return 0;
}

int gnttab_alloc_grant_reference_seq(struct kernel *k, unsigned count, grant_ref_t *first)
{
    struct gnttab *t = &k->gnttab;

    if (count == 0 || count > UINT16_MAX)
        return -ENOSPC;
    if (count == 1)
        return get_free(k, 1, first) ? -ENOSPC : 0;
    if (t->nr_free < count && expand(k, count - t->nr_free))
        return -ENOSPC;
    if (t->nr_refs - t->fresh < count) {
        grant_ref_t found = find_run(t, count);

        if (found) {
            memset(t->state + found, REF_USED, count);
            t->nr_free -= count;
            sort_free(t);
            *first = found;
            return 0;
        }
        sort_free(t);
        if (expand(k, count - (t->nr_refs - t->fresh)) || t->nr_refs - t->fresh < count)
            return -ENOSPC;
    }
    *first = t->fresh;
    memset(t->state + t->fresh, REF_USED, count);
    t->fresh += count;
    t->nr_free -= count;
    return 0;
}

void gnttab_free_grant_reference_seq(struct kernel *k, grant_ref_t first, unsigned count)
{
    for (unsigned i = count; i > 0; i--)
        push_free(&k->gnttab, first + i - 1);
    run_callbacks(k);
}

/* ---- Free callbacks -------------------------------------------------------------------------- */

void gnttab_request_free_callback(struct kernel *k, struct gnttab_free_callback *callback,
                                  void (*fn)(void *), void *arg, uint16_t count)
{
    if (callback->queued)
        return;
    *callback = (struct gnttab_free_callback){
        .next = k->gnttab.callbacks, .fn = fn, .arg = arg, .count = count, .queued = true
    };
    k->gnttab.callbacks = callback;
    run_callbacks(k);
}

void gnttab_cancel_free_callback(struct kernel *k, struct gnttab_free_callback *callback)
{
    if (!callback->queued)
        return;
    LL_DELETE(k->gnttab.callbacks, callback);
    callback->next = NULL;
    callback->queued = false;
}

/* ---- Changes behind the kernel's back -------------------------------------------------------- */

/* As many frames as all references need, or those beyond cannot be given. */
static void fit_frames(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;
    unsigned per = grant_entries_per_frame(t->version), need = (t->nr_refs + per - 1) / per;

    if (need < t->nr_frames)
        need = t->nr_frames;
    if (!set_nr_frames(k, need < t->max_frames ? need : t->max_frames))
        return;
    t->nr_frames = hv_nr_grant_frames(k->hv, k->domid);
    set_backed(t, t->nr_frames * per < t->nr_refs ? t->nr_frames * per : t->nr_refs);
}

void gnttab_reload_version(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;
    struct gnttab_get_version get = { .dom = DOMID_SELF };

    if (kernel_grant_table_op(k, GNTTABOP_get_version, &get, 1) || get.version == t->version)
        return;
    /* The change wiped all entries but the reserved ones; there are half or twice as many now. */
    t->version = get.version == 2 ? 2 : 1;
    t->wiped = true;
    fit_frames(k);
}

/* References stay whose they were; their owners write new entries, or have none. */
void gnttab_migrated(struct kernel *k)
{
    struct gnttab *t = &k->gnttab;
    unsigned max_frames;

    choose_version(k);
    max_frames = query_max_frames(k);
    if (max_frames < t->max_frames)
        t->max_frames = max_frames;
    t->nr_frames = 1;
    fit_frames(k);
}

int gnttab_request_version(struct kernel *k, unsigned version)
{
    struct gnttab_set_version set = { .version = version };
    long rc = kernel_grant_table_op(k, GNTTABOP_set_version, &set, 1);

    if (rc != -ENODEV)
        gnttab_reload_version(k);
    return rc ? (int)rc : (int)k->gnttab.version;
}
