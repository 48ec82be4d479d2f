/* SPDX-License-Identifier: MIT */
/* Hears what processes say about themselves. When one exits well, what it leaves is a leak. */
#include <stdlib.h>

#include "calls_i.h"
#include "process.h"
#include "sharers_i.h"
#include "unread_i.h"

/* ---- Leaks ----------------------------------------------------------------------------------- */

/* An open device of the process, by its number in the domain's kernel. */
struct own_file {
    const struct domain *domain;
    uint64_t file;
    unsigned heir; /* the process that has it, too; 0: none */
};

struct leaks {
    struct checks *checks;
    unsigned process;
    struct own_file *files; /* what the process has open */
    size_t nr_files;
    bool known; /* all that it has open is in files */
    struct items items;
};

bool item_is_left(const struct item *item)
{
    switch (item->key.type) {
    case ITEM_SLOT:
        return item->place == IN_LIVE && (item->views || !item->closed);
    case ITEM_SHARE:
        return item->views || (item->place == IN_LIVE && !item->closed);
    default:
        return item->place == IN_LIVE && !item->closed;
    }
}

static const struct own_file *file_of(const struct leaks *leaks, const struct item *item)
{
    for (size_t i = 0; i < leaks->nr_files; i++)
        if (leaks->files[i].domain == item->key.domain && leaks->files[i].file == item->key.file)
            return &leaks->files[i];
    return NULL;
}

static void collect(void *ctx, struct item *item)
{
    struct leaks *leaks = ctx;

    if (item->process == leaks->process && !item->reported && item_is_left(item))
        items_add(&leaks->items, item);
}

/* What others go on with is theirs. */
static void pass_on(void *ctx, struct item *item)
{
    struct leaks *leaks = ctx;
    const struct own_file *file;

    if (item->process != leaks->process || item->reported || !item_is_left(item))
        return;
    file = file_of(leaks, item);
    if (file && file->heir) {
        item->process = file->heir;
        program_of(leaks->checks, file->heir);
    } else if (file || !leaks->known || item->closed || item->views) {
        items_add(&leaks->items, item); /* else an execve closed it, which was not seen yet */
    }
}

static void find_own_files(struct leaks *leaks, const struct held *held, size_t nr)
{
    struct machine *m = leaks->checks->machine;

    leaks->files = calloc(nr + 1, sizeof *leaks->files);
    leaks->known = leaks->files;
    for (size_t i = 0; leaks->files && i < nr; i++) {
        struct machine_file found;

        if (!machine_find_file(m, held[i].dev, held[i].ino, &found))
            continue;
        leaks->files[leaks->nr_files++] = (struct own_file){
            found.domain, found.kernel->id, held[i].heir ? process_number(m, held[i].heir) : 0
        };
        found.put(found.owner);
    }
}

static void hear_exit(struct checks *checks, const struct process_saying *saying)
{
    struct machine *m = checks->machine;
    struct leaks leaks = { .checks = checks };
    struct program *program;
    struct held *held;
    struct event exit;
    size_t nr;

    machine_lock(m);
    leaks.process = process_number(m, saying->tid);
    HASH_FIND(hh, checks->programs, &leaks.process, sizeof leaks.process, program);
    unread_look(checks, leaks.process, !(saying->value & 0xff));
    if (program && !(saying->value & 0xff))
        ledger_each(&checks->ledger, collect, &leaks);
    machine_unlock(m);
    if (!leaks.items.nr)
        goto out;
    /* A child may go on with its parent's descriptors, as a daemon does. */
    held = find_held(saying->tid, &nr);
    leaks.items.nr = 0;
    machine_lock(m);
    find_own_files(&leaks, held, nr);
    ledger_each(&checks->ledger, pass_on, &leaks);
    exit = event_now(checks, NULL);
    leaks_tell(checks, &leaks.items, &exit);
    machine_unlock(m);
    free(held);
    free(leaks.files);
out:
    free(leaks.items.items);
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
    unsigned process = process_number(checks->machine, saying->tid);

    calls_sought(checks, &key, process, saying->tid, saying->value, when);
    if (saying->index == UINT64_MAX)
        calls_no_mapping(checks, process, saying->value, when);
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
        hold_wait(checks, saying->tid);
        break;
    case PROCESS_FAULTS:
        faults_hear(checks, saying);
        break;
    }
    return 0;
}
