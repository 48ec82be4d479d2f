/* SPDX-License-Identifier: MIT */
/* Hears what processes say about themselves. When one exits well, what it leaves is a leak. */
#include <stdlib.h>

#include "calls_i.h"
#include "process.h"
#include "sharers_i.h"
#include "unread_i.h"

/* ---- Leaks ----------------------------------------------------------------------------------- */

struct leaks {
    struct checks *checks;
    unsigned process, heir; /* heir: the process that has what it leaves; 0: none */
    bool holds;             /* the process has some device open */
    struct item **items;
    size_t nr, capacity;
};

/* Whether an item is one when its process exits well. */
static bool is_leak(const struct item *item, enum kind *kind)
{
    switch (item->key.type) {
    case ITEM_SLOT:
        *kind = item->mmap_error && !item->was_mapped ? KIND_SLOT_LOST : KIND_SLOT_LEAK;
        return item->place == IN_LIVE && (item->views || !item->closed);
    case ITEM_SHARE:
        *kind = KIND_SHARE_LEAK;
        return item->views || (item->place == IN_LIVE && !item->closed);
    default:
        *kind = KIND_PORT_LEAK;
        return item->place == IN_LIVE && !item->closed;
    }
}

static void collect(void *ctx, struct item *item)
{
    struct leaks *leaks = ctx;
    struct item **items = leaks->items;
    enum kind kind;

    if (item->process != leaks->process || item->reported || !is_leak(item, &kind))
        return;
    /* An execve closed it. The machine only has not seen that yet. */
    if (!leaks->holds && !item->closed && !item->views)
        return;
    if (leaks->nr == leaks->capacity) {
        leaks->capacity = leaks->capacity ? leaks->capacity * 2 : 16;
        items = reallocarray(leaks->items, leaks->capacity, sizeof *items);
        if (!items)
            return;
        leaks->items = items;
    }
    leaks->items[leaks->nr++] = item;
}

/* Those of one kind, made at one place, are one finding. */
static void tell_leaks(struct leaks *leaks, const struct program *program)
{
    struct item **group = malloc((leaks->nr + 1) * sizeof *group);
    struct event exit = event_now(leaks->checks, NULL);

    for (size_t i = 0; group && i < leaks->nr; i++) {
        struct item *first = leaks->items[i];
        enum kind kind, other;
        size_t nr = 0;

        if (first->reported || !is_leak(first, &kind))
            continue;
        for (size_t j = i; j < leaks->nr; j++) {
            struct item *item = leaks->items[j];

            if (item->reported || !is_leak(item, &other) || other != kind ||
                item->made.where != first->made.where || item->key.domain != first->key.domain)
                continue;
            item->reported = true;
            group[nr++] = item;
        }
        /* One event channel may be for life. */
        if (kind != KIND_PORT_LEAK || nr > 1)
            tell_leak(leaks->checks, kind, group, nr, program, &exit);
    }
    free(group);
}

static void hear_exit(struct checks *checks, const struct process_saying *saying)
{
    struct machine *m = checks->machine;
    struct leaks leaks = { .checks = checks, .holds = true };
    struct program *program;
    pid_t heir = 0;

    machine_lock(m);
    leaks.process = process_number(m, saying->tid);
    HASH_FIND(hh, checks->programs, &leaks.process, sizeof leaks.process, program);
    unread_look(checks, leaks.process, !(saying->value & 0xff));
    if (program && !(saying->value & 0xff))
        ledger_each(&checks->ledger, collect, &leaks);
    machine_unlock(m);
    if (!leaks.nr)
        goto out;
    /* A child may go on with its parent's descriptors, as a daemon does. */
    heir = find_sharer(saying->tid, &leaks.holds);
    leaks.nr = 0;
    machine_lock(m);
    HASH_FIND(hh, checks->programs, &leaks.process, sizeof leaks.process, program);
    ledger_each(&checks->ledger, collect, &leaks);
    leaks.heir = heir ? process_number(m, heir) : 0;
    for (size_t i = 0; leaks.heir && i < leaks.nr; i++)
        leaks.items[i]->process = leaks.heir;
    if (leaks.heir)
        program_of(checks, leaks.heir);
    else
        tell_leaks(&leaks, program);
    machine_unlock(m);
out:
    free(leaks.items);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void mark_closed(void *ctx, struct item *item)
{
    const struct process_saying *saying = ctx;

    if (item->key.domain == saying->domain && item->key.file == saying->file)
        item->closed = true;
}

static void hear_unmap(struct checks *checks, const struct process_saying *saying,
                       const struct event *when)
{
    struct item_key key = { saying->domain, saying->file, saying->index, ITEM_SLOT };
    struct item *item = item_find(&checks->ledger, &key);

    if (item)
        item->address = saying->value;
    if (saying->index == UINT64_MAX)
        calls_no_mapping(checks, process_number(checks->machine, saying->tid), saying->value, when);
}

int64_t says(struct machine *m, const struct process_saying *saying)
{
    struct checks *checks = checks_of(m);
    struct event when;

    switch (saying->word) {
    case PROCESS_EXITS:
        hear_exit(checks, saying);
        break;
    case PROCESS_CLOSES:
        machine_lock(m);
        ledger_each(&checks->ledger, mark_closed, (void *)saying);
        machine_unlock(m);
        break;
    case PROCESS_UNMAPS:
        machine_lock(m);
        when = event_now(checks, saying->witness);
        hear_unmap(checks, saying, &when);
        machine_unlock(m);
        break;
    }
    return 0;
}
