/* SPDX-License-Identifier: MIT */
/* Decides which items are leaks of which kind, and groups them for the report. */
#include <stdlib.h>

#include "checks_i.h"

#define MANY_TWINS 3u /* mappings of one reference by one thread at one place */

void items_add(struct items *items, struct item *item)
{
    struct item **more;

    if (items->nr == items->capacity) {
        size_t capacity = items->capacity ? items->capacity * 2 : 16;

        more = reallocarray(items->items, capacity, sizeof *more);
        if (!more)
            return;
        items->items = more;
        items->capacity = capacity;
    }
    items->items[items->nr++] = item;
}

/* ---- Kinds and groups ------------------------------------------------------------------------ */

static enum kind item_kind(const struct item *item)
{
    switch (item->key.type) {
    case ITEM_SLOT:
        if (item_had(item, TURN_MMAP_FAILED) && !item->was_mapped)
            return KIND_SLOT_LOST;
        /* The library looked it up, and did not like the count. */
        return item_had(item, TURN_SOUGHT) && item->views ? KIND_BAD_UNMAP : KIND_SLOT_LEAK;
    case ITEM_SHARE:
        return KIND_SHARE_LEAK;
    default:
        return KIND_PORT_LEAK;
    }
}

static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* Those of one finding are together, and in order of their making. */
static int by_group(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    int rc = order(item_kind(x), item_kind(y));

    if (!rc)
        rc = order((uintptr_t)x->made.where, (uintptr_t)y->made.where);
    if (!rc)
        rc = order((uintptr_t)x->key.domain, (uintptr_t)y->key.domain);
    if (!rc)
        rc = order(x->process, y->process);
    return rc ? rc : order(x->made.order, y->made.order);
}

static bool is_one_group(const struct item *a, const struct item *b)
{
    return item_kind(a) == item_kind(b) && a->made.where == b->made.where &&
           a->key.domain == b->key.domain && a->process == b->process;
}

void leaks_tell(struct checks *checks, struct items *items, const struct event *exit)
{
    if (!items->nr)
        return;
    qsort(items->items, items->nr, sizeof *items->items, by_group);
    for (size_t first = 0, end; first < items->nr; first = end) {
        struct item **group = items->items + first;
        enum kind kind = item_kind(*group);

        for (end = first; end < items->nr && is_one_group(*group, items->items[end]); end++)
            items->items[end]->reported = true;
        /* One event channel may be for life. */
        if (kind != KIND_PORT_LEAK || end - first > 1)
            tell_leak(checks, kind, group, end - first, exit);
    }
}

/* ---- Processes that went on ------------------------------------------------------------------ */

/* Slots of a file, or of all of the domain's. */
struct slots {
    const struct domain *domain;
    uint64_t file; /* 0: all */
    struct items all, forgotten;
};

static void add_slot(void *ctx, struct item *item)
{
    struct slots *slots = ctx;

    if (item->key.type == ITEM_SLOT && item->key.domain == slots->domain &&
        (!slots->file || item->key.file == slots->file) && item->made.where)
        items_add(&slots->all, item);
}

/* By place of making, then thread and reference. */
static int by_place(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    int rc = order((uintptr_t)x->made.where, (uintptr_t)y->made.where);

    if (!rc)
        rc = order(x->process, y->process);
    if (!rc)
        rc = order((uint64_t)x->thread, (uint64_t)y->thread);
    if (!rc)
        rc = order(x->grants ? x->grants->ref : 0, y->grants ? y->grants->ref : 0);
    if (!rc)
        rc = order(x->grants ? x->grants->domid : 0, y->grants ? y->grants->domid : 0);
    return rc ? rc : order(x->made.order, y->made.order);
}

static bool is_one_place(const struct item *a, const struct item *b)
{
    return a->made.where == b->made.where && a->process == b->process;
}

static bool is_twin(const struct item *a, const struct item *b)
{
    return a->process == b->process && a->thread == b->thread && a->count == b->count &&
           a->grants && b->grants && a->grants->ref == b->grants->ref &&
           a->grants->domid == b->grants->domid && b->place == IN_LIVE;
}

static bool had_before(const struct item *item, enum turn turn, uint32_t order)
{
    return item_had(item, turn) && item_turn(item, turn)->order < order;
}

static void add_forgotten(struct slots *slots, struct item *item)
{
    if (item->place == IN_LIVE && !item->reported && item->was_mapped)
        items_add(&slots->forgotten, item);
}

/* Items that one place made: those are forgotten that were of no use any more when it made another,
 * and those that are for the same page. */
static void judge_place(struct slots *slots, struct item **items, size_t nr)
{
    uint32_t last = 0;

    for (size_t i = 0; i < nr; i++)
        if (items[i]->made.order > last)
            last = items[i]->made.order;
    for (size_t first = 0, end; first < nr; first = end) {
        for (end = first + 1; end < nr && is_twin(items[first], items[end]); end++)
            ;
        for (size_t i = first; i < end; i++)
            if (end - first >= MANY_TWINS || had_before(items[i], TURN_GONE, last) ||
                had_before(items[i], TURN_LATE, last))
                add_forgotten(slots, items[i]);
    }
}

void leaks_file_over(struct checks *checks, const struct domain *domain, uint64_t file)
{
    struct slots slots = { .domain = domain, .file = file };
    size_t nr;

    ledger_each(&checks->ledger, add_slot, &slots);
    nr = slots.all.nr;
    if (nr)
        ledger_each_ended(&checks->ledger, add_slot, &slots);
    if (nr)
        qsort(slots.all.items, slots.all.nr, sizeof *slots.all.items, by_place);
    for (size_t first = 0, end; nr && first < slots.all.nr; first = end) {
        struct item **items = slots.all.items + first;

        for (end = first; end < slots.all.nr && is_one_place(*items, slots.all.items[end]); end++)
            ;
        judge_place(&slots, items, end - first);
    }
    leaks_tell(checks, &slots.forgotten, NULL);
    free(slots.all.items);
    free(slots.forgotten.items);
}
