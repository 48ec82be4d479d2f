/* SPDX-License-Identifier: MIT */
/* Keeps the items and mappings of programs, from their making until some time after their end. */
#include "ledger_i.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>


_Static_assert(sizeof(struct item) + sizeof(struct grant) <= 256 && sizeof(struct view) <= 256,
               "a live object takes at most 256 bytes");

/* ---- Items ----------------------------------------------------------------------------------- */

static void item_free(struct item *item)
{
    if (item) {
        free(item->grants);
        free(item->turns);
    }
    free(item);
}

const struct event *item_turn(const struct item *item, enum turn turn)
{
    static const struct event never;

    return item->turns ? &item->turns[turn] : &never;
}

void item_note(struct item *item, enum turn turn, const struct event *when)
{
    if (!item->turns)
        item->turns = calloc(NR_TURNS, sizeof *item->turns);
    if (item->turns)
        item->turns[turn] = *when;
}

struct item *item_add(struct ledger *ledger, const struct item_key *key, uint32_t count,
                      struct grant *grants)
{
    struct item *item = calloc(1, sizeof *item);

    if (!item) {
        free(grants);
        return NULL;
    }
    *item = (struct item){ .key = *key, .count = count, .left = count, .grants = grants };
    HASH_ADD(hh, ledger->live, key, sizeof item->key, item);
    return item;
}

struct item *item_find(struct ledger *ledger, const struct item_key *key)
{
    struct item *item;

    HASH_FIND(hh, ledger->live, key, sizeof *key, item);
    return item;
}

bool item_grants(const struct item *item, domid_t granter, grant_ref_t ref)
{
    for (uint32_t i = 0; item->grants && i < item->count; i++)
        if (item->grants[i].ref == ref &&
            (item->key.type == ITEM_SHARE ? item->domid : item->grants[i].domid) == granter)
            return true;
    return false;
}

static bool is_same(const struct item_key *a, const struct item_key *b)
{
    return a->domain == b->domain && a->file == b->file && a->number == b->number &&
           a->type == b->type;
}

struct item *item_find_ended(struct ledger *ledger, const struct item_key *key)
{
    for (struct item *item = ledger->lingering; item; item = item->next)
        if (is_same(&item->key, key))
            return item;
    for (uint64_t i = 0; i < ENDED_ITEMS && i < ledger->nr_ended; i++) {
        struct item *item = ledger->ended[(ledger->nr_ended - 1 - i) % ENDED_ITEMS];

        if (item && is_same(&item->key, key))
            return item;
    }
    return NULL;
}

/* Neither its file's nor shown by anything: takes the place of the item that ended longest ago. */
static void end(struct ledger *ledger, struct item *item)
{
    struct item **place = &ledger->ended[ledger->nr_ended++ % ENDED_ITEMS];

    item_free(*place);
    item->place = IN_ENDED;
    *place = item;
}

void item_give_back(struct ledger *ledger, struct item *item, const struct event *when)
{
    HASH_DEL(ledger->live, item);
    item_note(item, TURN_BACK, when);
    if (!item->views) {
        end(ledger, item);
        return;
    }
    item->place = IN_LINGERING;
    DL_PREPEND(ledger->lingering, item);
}

void ledger_each(struct ledger *ledger, void (*fn)(void *ctx, struct item *item), void *ctx)
{
    struct item *item, *next;

    HASH_ITER(hh, ledger->live, item, next)
        fn(ctx, item);
    DL_FOREACH_SAFE(ledger->lingering, item, next)
        fn(ctx, item);
}

void ledger_each_ended(const struct ledger *ledger, void (*fn)(void *ctx, struct item *item),
                       void *ctx)
{
    for (unsigned i = 0; i < ENDED_ITEMS; i++)
        if (ledger->ended[i])
            fn(ctx, ledger->ended[i]);
}

/* ---- Mappings -------------------------------------------------------------------------------- */

static bool overlaps(const struct item *item, uint64_t offset, uint64_t length)
{
    return item->key.number < offset + length &&
           offset < item->key.number + item_length(item);
}

static int show(struct view *view, struct item *item)
{
    struct item **items = reallocarray(view->items, view->nr + 1, sizeof *items);

    if (!items)
        return -ENOMEM;
    view->items = items;
    items[view->nr++] = item;
    item->views++;
    item->was_mapped = true;
    if (item->turns)
        item->turns[TURN_GONE].order = 0;
    return 0;
}

int view_add(struct ledger *ledger, const struct view_key *key, enum item_type type, uint64_t file,
             uint64_t offset, uint64_t length)
{
    struct item_key exact = { .domain = key->domain, .file = file, .number = offset, .type = type };
    struct item *item = item_find(ledger, &exact), *next;
    struct view *view = calloc(1, sizeof *view);
    int rc = 0;

    if (!view)
        return -ENOMEM;
    *view = (struct view){ .key = *key, .pages_left = (length + HV_PAGE_SIZE - 1) / HV_PAGE_SIZE };
    HASH_ADD(hh, ledger->views, key, sizeof view->key, view);
    if (item && item_length(item) >= length)
        return show(view, item);
    HASH_ITER(hh, ledger->live, item, next)
        if (!rc && item->key.domain == key->domain && item->key.file == file &&
            item->key.type == type && overlaps(item, offset, length))
            rc = show(view, item);
    return rc;
}

void view_placed(struct ledger *ledger, const struct view_key *key, uint64_t origin)
{
    struct view *view;

    HASH_FIND(hh, ledger->views, key, sizeof *key, view);
    for (size_t i = 0; view && i < view->nr; i++)
        view->items[i]->address = origin + view->items[i]->key.number;
}

static void view_free(struct ledger *ledger, struct view *view)
{
    HASH_DEL(ledger->views, view);
    free(view->items);
    free(view);
}

void view_shrink(struct ledger *ledger, const struct view_key *key, uint64_t pages,
                 const struct event *when, void (*ended)(void *ctx, struct item *item), void *ctx)
{
    struct view *view;

    HASH_FIND(hh, ledger->views, key, sizeof *key, view);
    if (!view)
        return;
    view->pages_left -= pages < view->pages_left ? pages : view->pages_left;
    if (view->pages_left)
        return;
    for (size_t i = 0; i < view->nr; i++) {
        struct item *item = view->items[i];

        if (--item->views)
            continue;
        item_note(item, TURN_GONE, when);
        ended(ctx, item);
        if (item->place == IN_LINGERING) {
            DL_DELETE(ledger->lingering, item);
            end(ledger, item);
        }
    }
    view_free(ledger, view);
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool is_of(const struct domain *owner, const struct domain *domain)
{
    return !domain || owner == domain;
}

void ledger_drop(struct ledger *ledger, const struct domain *domain)
{
    struct item *item, *next;
    struct view *view, *after;

    HASH_ITER(hh, ledger->views, view, after)
        if (is_of(view->key.domain, domain))
            view_free(ledger, view);
    HASH_ITER(hh, ledger->live, item, next) {
        if (is_of(item->key.domain, domain)) {
            HASH_DEL(ledger->live, item);
            item_free(item);
        }
    }
    DL_FOREACH_SAFE(ledger->lingering, item, next) {
        if (is_of(item->key.domain, domain)) {
            DL_DELETE(ledger->lingering, item);
            item_free(item);
        }
    }
    for (unsigned i = 0; i < ENDED_ITEMS; i++) {
        if (ledger->ended[i] && is_of(ledger->ended[i]->key.domain, domain)) {
            item_free(ledger->ended[i]);
            ledger->ended[i] = NULL;
        }
    }
}

void ledger_free(struct ledger *ledger)
{
    ledger_drop(ledger, NULL);
}
