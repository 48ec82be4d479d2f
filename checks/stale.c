/* SPDX-License-Identifier: MIT */
/*
 * Notices that a domain maps a reference of which the store had told it, although that grant ended
 * meanwhile and the reference stands for another page now. It is not reported if a page that the
 * domain has mapped holds the number, because a peer may have told it there, nor of the process
 * that made the grant.
 */
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>
#include <xen/io/xs_wire.h>

#include "finding_i.h"
#include "maps.h"
#include "stale_i.h"
#include "trace.h"

#define MOST_NODES 1024u /* whose numbers are remembered */
#define MOST_TOLD 256u
#define MOST_DIGITS 10u
#define HOME "/local/domain/"

/* A node that holds a number. */
struct node {
    char *path;
    uint32_t value;
    uint32_t written; /* order of that */
    UT_hash_handle hh;
};

/* A domain read a number of another one's. */
struct told {
    domid_t reader, owner;
    uint32_t value;
    uint32_t written; /* the node, then */
    struct event read;
    char *path;
};

struct stale {
    struct node *nodes;
    struct told told[MOST_TOLD];
    uint64_t nr_told; /* ever */
};

/* ---- The store ------------------------------------------------------------------------------- */

static void node_free(struct stale *stale, struct node *node)
{
    HASH_DEL(stale->nodes, node);
    free(node->path);
    free(node);
}

/* Whether the body of a write, "PATH\0VALUE", ends with a number. */
static bool is_number(const struct trace_store *store, uint32_t *value)
{
    size_t path = strnlen(store->body, store->len);
    const char *digits = (const char *)store->body + path + 1;
    size_t nr = path < store->len ? store->len - path - 1 : 0;
    uint64_t sum = 0;

    if (!nr || nr > MOST_DIGITS)
        return false;
    for (size_t i = 0; i < nr; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        sum = sum * 10 + (uint64_t)(digits[i] - '0');
    }
    *value = (uint32_t)sum;
    return sum <= UINT32_MAX;
}

static void hear_write(struct checks *checks, const struct trace_store *store)
{
    struct stale *stale = checks->stale;
    struct node *node;
    uint32_t value;

    HASH_FIND_STR(stale->nodes, store->path, node);
    if (!is_number(store, &value)) {
        if (node)
            node_free(stale, node);
        return;
    }
    if (!node) {
        if (HASH_COUNT(stale->nodes) >= MOST_NODES)
            node_free(stale, stale->nodes);
        node = calloc(1, sizeof *node);
        if (!node || !(node->path = strdup(store->path))) {
            free(node);
            return;
        }
        HASH_ADD_KEYPTR(hh, stale->nodes, node->path, strlen(node->path), node);
    }
    node->value = value;
    node->written = ++checks->order;
}

static void hear_read(struct checks *checks, const struct trace_store *store)
{
    struct stale *stale = checks->stale;
    struct told *told;
    struct node *node;

    HASH_FIND_STR(stale->nodes, store->path, node);
    if (!node || strncmp(node->path, HOME, strlen(HOME)))
        return;
    told = &stale->told[stale->nr_told++ % MOST_TOLD];
    free(told->path);
    *told = (struct told){ store->domain, (domid_t)strtoul(node->path + strlen(HOME), NULL, 10),
                           node->value, node->written, event_now(checks, NULL),
                           strdup(node->path) };
}

void stale_store_over(struct machine *m, const struct trace_store *store, int error)
{
    struct checks *checks = checks_of(m);

    if (!checks->stale && !(checks->stale = calloc(1, sizeof *checks->stale)))
        return;
    if (error || !store->path)
        return;
    if (store->type == XS_WRITE)
        hear_write(checks, store);
    else if (store->type == XS_READ)
        hear_read(checks, store);
}

void stale_free(struct checks *checks)
{
    struct stale *stale = checks->stale;
    struct node *node, *next;

    if (!stale)
        return;
    HASH_ITER(hh, stale->nodes, node, next)
        node_free(stale, node);
    for (unsigned i = 0; i < MOST_TOLD; i++)
        free(stale->told[i].path);
    free(stale);
}

/* ---- Maps ------------------------------------------------------------------------------------ */

/* The grant that the domain was told of, and the one that it gets. */
struct generations {
    const struct told *told;
    const struct item *then, *now;
};

static const struct told *find_told(const struct stale *stale, domid_t reader, struct grant grant)
{
    for (uint64_t i = 0; i < MOST_TOLD && i < stale->nr_told; i++) {
        const struct told *told = &stale->told[(stale->nr_told - 1 - i) % MOST_TOLD];

        if (told->reader == reader && told->owner == grant.domid && told->value == grant.ref)
            return told;
    }
    return NULL;
}

static void look_at_share(void *ctx, struct item *item)
{
    struct generations *found = ctx;

    if (item->key.type == ITEM_SHARE && item->made.order > found->told->written &&
        item_grants(item, found->told->owner, found->told->value))
        found->now = item;
}

static void look_at_past(void *ctx, struct item *item)
{
    struct generations *found = ctx;

    if (item->key.type == ITEM_SHARE && item->made.order < found->told->written &&
        item_turn(item, TURN_GONE)->order > found->told->written &&
        item_grants(item, found->told->owner, found->told->value))
        found->then = item;
}

/* Whether a page that the domain's programs have mapped holds the number. */
static bool is_in_a_page(const struct machine *m, const struct domain *d, uint32_t value)
{
    struct mapping *mapping, *next;

    HASH_ITER(hh, maps_first(m->maps), mapping, next) {
        const struct vma *vma = mapping->vma;

        for (size_t i = 0; vma->file->kernel == d->kernel && i < vma->nr_runs; i++) {
            const uint32_t *words = (const uint32_t *)m->memory + vma->runs[i].mfn * 1024;
            uint64_t nr = vma->runs[i].mfn < m->nr_frames ? vma->runs[i].nr * 1024 : 0;

            for (uint64_t j = 0; j < nr; j++)
                if (words[j] == value)
                    return true;
        }
    }
    return false;
}

static void tell(struct checks *checks, const struct call *call, const struct generations *found)
{
    const struct program *program = program_of(checks, call->process);
    struct item *items[] = { (struct item *)found->now };
    const struct event *end = item_turn(found->then, TURN_GONE);
    struct finding *finding =
        finding_new(checks, KIND_STALE_REFERENCE, program,
                    "reference %u of domain %u was mapped, and is another page's than it was told",
                    found->told->value, found->told->owner);
    char room[40];

    finding_add(finding, &call->when, "%s[%u] mapped it here%s", program ? program->command : "?",
                call->process, event_number(&call->when, room, sizeof room));
    finding_add(finding, NULL, "domain %u had read it in %s%s", found->told->reader,
                found->told->path ? found->told->path : "?",
                event_number(&found->told->read, room, sizeof room));
    finding_add(finding, end, "the grant of then ended%s", event_number(end, room, sizeof room));
    finding_add_made(finding, items, 1, program_of(checks, found->now->process));
    finding_done(checks, finding);
}

void stale_look(struct checks *checks, const struct call *call)
{
    const struct domain *d = call->key.domain;

    for (size_t i = 0; checks->stale && i < call->nr_grants; i++) {
        struct generations found = { .told = find_told(checks->stale, d->id, call->grants[i]) };

        if (!found.told)
            continue;
        ledger_each(&checks->ledger, look_at_share, &found);
        ledger_each_ended(&checks->ledger, look_at_past, &found);
        /* Who shared it knows it without the store. */
        if (found.now && found.then && found.now->process != call->process &&
            !is_in_a_page(checks->machine, d, found.told->value)) {
            tell(checks, call, &found);
            return;
        }
    }
}
