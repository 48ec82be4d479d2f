/* SPDX-License-Identifier: MIT */
/* Says what the ledger shows: leaks, late unmaps, and ends of what is not there. */
#include <stdlib.h>
#include <string.h>

#include "checks_i.h"

#define LISTED 8u /* references in one sentence */

/* " (event 82)", if the trace is on. */
static const char *number_of(const struct event *event, char *room, size_t size)
{
    room[0] = 0;
    if (event->traced)
        snprintf(room, size, " (event %llu)", (unsigned long long)event->number);
    return room;
}

static void list_grants(FILE *out, struct item **items, size_t nr, uint32_t total)
{
    unsigned listed = 0;

    for (size_t i = 0; i < nr && listed < LISTED; i++)
        for (uint32_t j = 0; items[i]->grants && j < items[i]->count && listed < LISTED; j++)
            fprintf(out, "%s%u", listed++ ? ", " : " ", items[i]->grants[j].ref);
    if (listed < total)
        fprintf(out, " and %u more", total - listed);
}

static uint32_t count_all(struct item **items, size_t nr)
{
    uint32_t total = 0;

    for (size_t i = 0; i < nr; i++)
        total += items[i]->count;
    return total;
}

/* Who made them, and of what. The caller frees it. */
static char *made(struct item **items, size_t nr, const struct program *program)
{
    static const char *const verbs[] = { "mapped", "shared", "bound" };
    const struct item *item = items[0];
    char *text = NULL, room[40];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    uint32_t total = count_all(items, nr);
    enum item_type type = (enum item_type)item->key.type;

    if (!out)
        return NULL;
    fprintf(out, "%s[%u] in domain %u %s", program ? program->command : "?", item->process,
            item->domid, verbs[type]);
    if (type == ITEM_PORT) {
        for (size_t i = 0; i < nr && i < LISTED; i++)
            fprintf(out, "%s%llu", i ? ", " : nr > 1 ? " ports "
                                                     : " port ",
                    (unsigned long long)items[i]->key.number);
    } else {
        fprintf(out, " reference%s", total > 1 ? "s" : "");
        list_grants(out, items, nr, total);
        fprintf(out, " %s domain %u", type == ITEM_SLOT ? "of" : "with",
                item->grants ? item->grants[0].domid : 0);
        if (item->was_mapped || type == ITEM_SHARE)
            fprintf(out, " (%s)", item->writable ? "read-write" : "read-only");
    }
    fputs(number_of(&item->made, room, sizeof room), out);
    fclose(out);
    return text;
}

static void add_made(struct finding *finding, struct item **items, size_t nr,
                     const struct program *program)
{
    char *text = made(items, nr, program);

    finding_add(finding, &items[0]->made, "%s", text ? text : "?");
    free(text);
}

/* ---- Leaks ----------------------------------------------------------------------------------- */

static const char *leak_title(enum kind kind, const struct item *item)
{
    switch (kind) {
    case KIND_SLOT_LEAK:
        return item->was_mapped ? "mapped and never unmapped" : "asked for and never given back";
    case KIND_SLOT_LOST:
        return "not given back after an mmap that failed";
    case KIND_SHARE_LEAK:
        return "shared and never unshared";
    default:
        return "bound and never unbound";
    }
}

void tell_leak(struct checks *checks, enum kind kind, struct item **items, size_t nr,
               const struct program *program, const struct event *exit)
{
    static const char *const nouns[] = { "grant", "page", "event channel" };
    const struct item *item = items[0];
    uint32_t total = count_all(items, nr);
    char room[40];
    struct finding *finding =
        finding_new(checks, kind, program, "%u %s%s %s", total, nouns[item->key.type],
                    total > 1 ? "s" : "", leak_title(kind, item));

    add_made(finding, items, nr, program);
    if (kind == KIND_SLOT_LEAK && item->gone.happened)
        finding_add(finding, &item->gone,
                    "munmap took the addresses away%s, but the index was not given back: use "
                    "xengnttab_unmap",
                    number_of(&item->gone, room, sizeof room));
    if (kind == KIND_SLOT_LOST)
        finding_add(finding, &item->failed, "the mmap failed%s: %s",
                    number_of(&item->failed, room, sizeof room),
                    strerrorname_np(item->mmap_error));
    if (item->late.happened)
        finding_add(finding, &item->late, "domain %u ended the access meanwhile%s",
                    item->grants[0].domid, number_of(&item->late, room, sizeof room));
    finding_add(finding, exit, "the process ended well%s", number_of(exit, room, sizeof room));
    finding_done(checks, finding);
}

/* ---- The rest -------------------------------------------------------------------------------- */

void tell_late(struct checks *checks, const struct item *item)
{
    struct item *items[] = { (struct item *)item };
    const struct program *program = program_of(checks, item->process);
    struct finding *finding;
    char room[40];

    finding = finding_new(checks, KIND_LATE_UNMAP, program,
                          "%u grant%s unmapped after domain %u had ended the access", item->count,
                          item->count > 1 ? "s" : "", item->grants[0].domid);
    add_made(finding, items, 1, program);
    finding_add(finding, &item->late, "domain %u ended the access%s", item->grants[0].domid,
                number_of(&item->late, room, sizeof room));
    finding_add(finding, item->back.happened ? &item->back : &item->gone,
                "the mapping ended after that%s",
                number_of(&item->gone, room, sizeof room));
    finding_done(checks, finding);
}

void tell_bad_end(struct checks *checks, enum kind kind, const struct program *program,
                  const struct item *before, const struct event *when, const char *what)
{
    struct item *items[] = { (struct item *)before };
    struct finding *finding = finding_new(checks, kind, program, "%s", what);
    char room[40];

    finding_add(finding, when, "%s[%u] gave it back%s%s", program ? program->command : "?",
                program ? program->number : 0, kind == KIND_DOUBLE_UNMAP ? " again" : "",
                number_of(when, room, sizeof room));
    if (before && before->back.happened)
        finding_add(finding, &before->back, "it was given back before%s",
                    number_of(&before->back, room, sizeof room));
    if (before)
        add_made(finding, items, 1, program_of(checks, before->process));
    finding_done(checks, finding);
}
