/* SPDX-License-Identifier: MIT */
/* Grants and ends pages as a driver in a domain's kernel would. */
#include "actor.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "actor_i.h"
#include "adversary_i.h"
#include "guests.h"

/* ---- Tables of objects ----------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct actor_object *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

void *actor_find(void *const *table, int64_t id)
{
    const struct actor_object key = { .id = id };
    void *node = tfind(&key, table, by_id);

    return node ? *(void **)node : NULL;
}

int actor_add(void **table, struct actor_object *object)
{
    return tsearch(object, table, by_id) ? 0 : -ENOMEM;
}

void actor_remove(void **table, struct actor_object *object)
{
    tdelete(object, table, by_id);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Where the domain keeps its actor, NULL until somebody asks for it. */
static struct actor **place_in(const struct domain *d)
{
    return part_of_domain(d, &guests_part);
}

struct actor *actor_of(struct domain *d)
{
    struct actor **place = place_in(d);

    if (!*place) {
        *place = calloc(1, sizeof **place);
        if (*place)
            **place = (struct actor){
                .d = d, .hv = d->machine->hv, .k = d->kernel, .next_page = 1, .next_mapping = 1
            };
    }
    return *place;
}

struct machine *actor_machine(struct actor *a)
{
    return a->d->machine;
}

domid_t actor_domid(const struct actor *a)
{
    return a->d->id;
}

struct kernel *actor_kernel(struct actor *a)
{
    return a->k;
}

static void *first(void *table)
{
    return table ? *(void **)table : NULL;
}

static void forget_ports(struct actor *a)
{
    struct actor_object *port;

    while ((port = first(a->ports))) {
        actor_remove(&a->ports, port);
        free(port);
    }
}

void actor_destroy(struct domain *d)
{
    struct actor *a = *place_in(d);
    struct guest_grant *grant;
    struct guest_page *page;

    if (!a)
        return;
    kernel_upcall(a->k);       /* it notices that its domain is gone */
    adversaries_end(d->machine, a);
    while ((grant = first(a->grants))) {
        actor_remove(&a->grants, &grant->object);
        if (grant->page)
            kernel_page_put(a->k, grant->page->page);
        free(grant);
    }
    while ((page = first(a->pages))) {
        actor_remove(&a->pages, &page->object);
        kernel_page_put(a->k, page->page);
        free(page);
    }
    forget_ports(a);
    actor_mappings_destroy(a);
    free(a);
    *place_in(d) = NULL;
}

void actor_migrated(struct domain *d)
{
    struct actor *a = *place_in(d);

    if (!a)
        return;
    forget_ports(a);
    actor_mappings_migrated(a);
}

/* ---- Pages ----------------------------------------------------------------------------------- */

static struct guest_page *find_page(struct actor *a, int64_t id)
{
    return actor_find(&a->pages, id);
}

static void forget_page(struct actor *a, struct guest_page *page)
{
    actor_remove(&a->pages, &page->object);
    kernel_page_put(a->k, page->page);
    free(page);
}

int64_t actor_page_alloc(struct actor *a, unsigned count)
{
    int64_t start = a->next_page;

    for (unsigned i = 0; i < count; i++) {
        struct guest_page *page = calloc(1, sizeof *page);

        if (page) {
            *page = (struct guest_page){ .object.id = a->next_page,
                                         .page = kernel_page_alloc(a->k) };
            if (page->page && !actor_add(&a->pages, &page->object)) {
                a->next_page++;
                continue;
            }
            if (page->page)
                kernel_page_put(a->k, page->page);
            free(page);
        }
        while (a->next_page > start)
            forget_page(a, find_page(a, --a->next_page));
        return -ENOMEM;
    }
    return start;
}

int actor_page_free(struct actor *a, int64_t id, bool force)
{
    struct guest_page *page = find_page(a, id);

    if (!page)
        return -ENOENT;
    if (page->grants && !force)
        return -EBUSY;
    while (page->grants) {
        struct guest_grant *grant = page->grants;

        page->grants = grant->next;
        grant->page = NULL;
        kernel_page_put(a->k, page->page);
    }
    forget_page(a, page);
    return 0;
}

int actor_page_frame(struct actor *a, int64_t id, uint64_t *frame)
{
    struct guest_page *page = find_page(a, id);

    if (!page)
        return -ENOENT;
    *frame = kernel_page_frame(page->page);
    return 0;
}

struct kernel_page *actor_kernel_page(struct actor *a, int64_t id)
{
    struct guest_page *page = find_page(a, id);

    return page ? page->page : NULL;
}

/* ---- Grants ---------------------------------------------------------------------------------- */

int64_t actor_grant(struct actor *a, int64_t id, domid_t to, bool readonly)
{
    struct guest_page *page = find_page(a, id);
    struct guest_grant *grant;
    int64_t ref;

    if (!page)
        return -ENOENT;
    grant = calloc(1, sizeof *grant);
    if (!grant)
        return -ENOMEM;
    ref = gnttab_grant_foreign_access(a->k, to, kernel_page_frame(page->page), readonly);
    if (ref < 0)
        goto fail;
    *grant = (struct guest_grant){ .object.id = ref, .page = page, .next = page->grants };
    if (actor_add(&a->grants, &grant->object)) {
        gnttab_try_end_foreign_access(a->k, (grant_ref_t)ref);
        ref = -ENOMEM;
        goto fail;
    }
    page->grants = grant;
    kernel_page_get(page->page);
    return ref;

fail:
    free(grant);
    return ref;
}

/* The reference is free; a peer may still believe in it. The page's reference, or NULL. */
static struct kernel_page *forget_grant(struct actor *a, struct guest_grant *grant)
{
    struct kernel_page *page = NULL;

    if (grant->page) {
        LL_DELETE(grant->page->grants, grant);
        page = grant->page->page;
    }
    a->stale[a->nr_stale++ % ACTOR_MAX_STALE] = (grant_ref_t)grant->object.id;
    actor_remove(&a->grants, &grant->object);
    free(grant);
    return page;
}

int actor_end(struct actor *a, grant_ref_t ref)
{
    struct guest_grant *grant = actor_find(&a->grants, ref);
    struct kernel_page *page;

    if (!grant)
        return -ENOENT;
    if (!gnttab_try_end_foreign_access(a->k, ref))
        return 0;
    page = forget_grant(a, grant);
    if (page)
        kernel_page_put(a->k, page);
    return 1;
}

int actor_end_deferred(struct actor *a, grant_ref_t ref)
{
    struct guest_grant *grant = actor_find(&a->grants, ref);

    if (!grant)
        return -ENOENT;
    if (gnttab_query_foreign_access(a->k, ref))
        PARTS_TELL(a->d->machine, access_ended, a->d, ref);
    gnttab_end_foreign_access(a->k, ref, forget_grant(a, grant));
    return 0;
}

bool actor_stale_ref(const struct actor *a, unsigned i, grant_ref_t *ref)
{
    if (i >= a->nr_stale || i >= ACTOR_MAX_STALE)
        return false;
    *ref = a->stale[(a->nr_stale - 1 - i) % ACTOR_MAX_STALE];
    return true;
}

/* ---- Events ---------------------------------------------------------------------------------- */

#define BITS_PER_WORD 64u

static int64_t own_port(struct actor *a, evtchn_port_t port)
{
    struct actor_object *object = calloc(1, sizeof *object);
    struct evtchn_close close = { .port = port };

    if (object) {
        object->id = port;
        if (!actor_add(&a->ports, object))
            return port;
        free(object);
    }
    hv_event_channel_op(a->hv, a->d->id, EVTCHNOP_close, &close);
    return -ENOMEM;
}

int64_t actor_event_alloc(struct actor *a, domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = remote };
    long rc = hv_event_channel_op(a->hv, a->d->id, EVTCHNOP_alloc_unbound, &op);

    return rc ? rc : own_port(a, op.port);
}

int64_t actor_event_bind(struct actor *a, domid_t remote, evtchn_port_t remote_port)
{
    struct evtchn_bind_interdomain op = { .remote_dom = remote, .remote_port = remote_port };
    long rc = hv_event_channel_op(a->hv, a->d->id, EVTCHNOP_bind_interdomain, &op);

    return rc ? rc : own_port(a, op.local_port);
}

int actor_event_send(struct actor *a, evtchn_port_t port)
{
    struct evtchn_send op = { .port = port };

    return (int)hv_event_channel_op(a->hv, a->d->id, EVTCHNOP_send, &op);
}

int actor_event_pending(struct actor *a, evtchn_port_t port)
{
    struct shared_info *shared = hv_shared_info(a->hv, a->d->id);
    uint64_t bit = 1ull << port % BITS_PER_WORD;

    if (!shared || !actor_find(&a->ports, port) ||
        port / BITS_PER_WORD >= sizeof shared->evtchn_pending / sizeof *shared->evtchn_pending)
        return -ENOENT;
    return !!(
        __atomic_fetch_and(&shared->evtchn_pending[port / BITS_PER_WORD], ~bit, __ATOMIC_SEQ_CST) &
        bit);
}

int actor_event_close(struct actor *a, evtchn_port_t port)
{
    struct actor_object *object = actor_find(&a->ports, port);
    struct evtchn_close op = { .port = port };
    long rc;

    if (!object)
        return -ENOENT;
    rc = hv_event_channel_op(a->hv, a->d->id, EVTCHNOP_close, &op);
    if (rc)
        return (int)rc;
    actor_remove(&a->ports, object);
    free(object);
    return 0;
}

/* ---- Version --------------------------------------------------------------------------------- */

int actor_set_version(struct actor *a, unsigned version)
{
    return gnttab_request_version(a->k, version);
}
