/* SPDX-License-Identifier: MIT */
/* Says what the ledger shows: leaks, late unmaps, and ends of what is not there. */
#include <stdlib.h>
#include <string.h>

#include "finding_i.h"

#define LISTED 8u /* references in one sentence */

const char *event_number(const struct event *event, char *room, size_t size)
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
    fputs(event_number(&item->made, room, sizeof room), out);
    fclose(out);
    return text;
}

void finding_add_made(struct finding *finding, struct item **items, size_t nr,
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
    case KIND_BAD_UNMAP:
        return "still mapped after an unmap, which was for another number of pages";
    case KIND_SHARE_LEAK:
        return "shared and never unshared";
    default:
        return "bound and never unbound";
    }
}

void finding_add_turn(struct finding *finding, const struct item *item, enum turn turn,
                      const char *text)
{
    const struct event *event = item_turn(item, turn);
    char room[40];

    if (event->order)
        finding_add(finding, event, "%s%s", text, event_number(event, room, sizeof room));
}

/* Why the items are of no use any more, or who could tell. */
static void add_reasons(struct finding *finding, enum kind kind, const struct item *item,
                        const struct event *exit)
{
    char text[100];

    if (kind == KIND_SLOT_LEAK)
        finding_add_turn(finding, item, TURN_GONE,
                 "munmap took the addresses away, but the index was not given back: use "
                 "xengnttab_unmap");
    if (kind == KIND_SLOT_LOST) {
        snprintf(text, sizeof text, "the mmap failed with %s",
                 strerrorname_np(item->mmap_error));
        finding_add_turn(finding, item, TURN_MMAP_FAILED, text);
    }
    if (item_had(item, TURN_LATE)) {
        snprintf(text, sizeof text, "domain %u ended the access meanwhile",
                 item->grants[0].domid);
        finding_add_turn(finding, item, TURN_LATE, text);
    }
    if (exit)
        finding_add(finding, exit, "the process ended well%s",
                    event_number(exit, text, sizeof text));
    else
        finding_add(finding, NULL, "the process went on, and mapped more at the same place");
}

void tell_leak(struct checks *checks, enum kind kind, struct item **items, size_t nr,
               const struct event *exit)
{
    static const char *const nouns[] = { "grant", "page", "event channel" };
    const struct item *item = items[0];
    const struct program *program = program_of(checks, item->process);
    uint32_t total = count_all(items, nr);
    struct finding *finding =
        finding_new(checks, kind, program, "%u %s%s %s", total, nouns[item->key.type],
                    total > 1 ? "s" : "", leak_title(kind, item));

    if (kind == KIND_BAD_UNMAP)
        finding_add_turn(finding, item, TURN_SOUGHT,
                 "a call that unmaps looked the mapping up here, and left it");
    finding_add_made(finding, items, nr, program);
    add_reasons(finding, kind, item, exit);
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
    finding_add_made(finding, items, 1, program);
    finding_add(finding, item_turn(item, TURN_LATE), "domain %u ended the access%s",
                item->grants[0].domid,
                event_number(item_turn(item, TURN_LATE), room, sizeof room));
    finding_add(finding, item_turn(item, item_had(item, TURN_BACK) ? TURN_BACK : TURN_GONE),
                "the mapping ended after that%s",
                event_number(item_turn(item, TURN_GONE), room, sizeof room));
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
                event_number(when, room, sizeof room));
    if (before && item_had(before, TURN_BACK))
        finding_add(finding, item_turn(before, TURN_BACK), "it was given back before%s",
                    event_number(item_turn(before, TURN_BACK), room, sizeof room));
    if (before)
        finding_add_made(finding, items, 1, program_of(checks, before->process));
    finding_done(checks, finding);
}
