/* SPDX-License-Identifier: MIT */
/* Answers questions from the ledger: why a call was refused, who has a grant or a port and what
 * would let it go, and what programs hold now. */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "finding_i.h"
#include "json_add.h"
#include "refused_i.h"

#define MOST_TOLD 16u  /* refusals in one answer */
#define MOST_PAST 4u   /* ended items in one answer */

/* Stories are findings that nobody publishes: their first sentence is the title. */
struct stories {
    struct checks *checks;
    const struct checks_question *question;
    struct finding *first;
    struct items items;
};

static struct finding *story_new(struct stories *stories)
{
    struct finding *story = finding_new(stories->checks, (enum kind)0, NULL, "story");

    if (story)
        LL_APPEND(stories->first, story);
    return story;
}

/* ---- Items ----------------------------------------------------------------------------------- */

/* What would end it, or has. */
static void add_release(struct finding *story, const struct item *item)
{
    static const char *const calls[] = { "xengnttab_unmap", "xengntshr_unshare",
                                         "xenevtchn_unbind" };
    const struct event *back = item_turn(item, TURN_BACK), *gone = item_turn(item, TURN_GONE);
    const struct event *end = gone->order > back->order ? gone : back;
    char room[40];

    /* The library gives pages of gntalloc back when it has mapped them. */
    if (item->place == IN_ENDED)
        finding_add(story, end, "it has ended%s", event_number(end, room, sizeof room));
    else if (item->place == IN_LINGERING && item->key.type != ITEM_SHARE)
        finding_add(story, back,
                    "it was given back%s, and is still mapped: it ends with its last mapping",
                    event_number(back, room, sizeof room));
    else if (item->key.type == ITEM_SLOT && item->was_mapped && !item->views)
        finding_add(story, NULL, "nothing shows it any more, but its index was not given back: "
                                 "UNMAP_GRANT_REF lets it go");
    else
        finding_add(story, NULL, "%s lets it go, and so does the end of its process",
                    calls[item->key.type]);
}

static void tell_items(struct stories *stories, struct item **items, size_t nr)
{
    const struct item *item = items[0];
    struct finding *story = story_new(stories);
    char text[64];

    finding_add_made(story, items, nr, program_of(stories->checks, item->process));
    if (item->key.type == ITEM_SLOT) {
        finding_add_turn(story, item, TURN_MMAP_FAILED, "its mmap failed");
        if (item->place != IN_ENDED)
            finding_add_turn(story, item, TURN_GONE, "its last mapping ended");
    }
    if (item_had(item, TURN_LATE)) {
        snprintf(text, sizeof text, "domain %u ended the access", item->grants[0].domid);
        finding_add_turn(story, item, TURN_LATE, text);
    }
    add_release(story, item);
}

static bool is_asked(const struct checks_question *question, const struct item *item)
{
    if (question->about == ABOUT_PORT)
        return item->key.type == ITEM_PORT && item->domid == question->domain &&
               item->key.number == question->number;
    return item_grants(item, (domid_t)question->domain, question->number);
}

static void tell_if_asked(void *ctx, struct item *item)
{
    struct stories *stories = ctx;

    if (is_asked(stories->question, item))
        tell_items(stories, &item, 1);
}

static void tell_past(struct stories *stories)
{
    const struct ledger *ledger = &stories->checks->ledger;
    unsigned told = 0;

    for (uint64_t i = 0; i < ENDED_ITEMS && i < ledger->nr_ended && told < MOST_PAST; i++) {
        struct item *item = ledger->ended[(ledger->nr_ended - 1 - i) % ENDED_ITEMS];

        if (item && is_asked(stories->question, item)) {
            tell_items(stories, &item, 1);
            told++;
        }
    }
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void tell_refusals(struct stories *stories)
{
    const struct refused *refused = stories->checks->refused;
    unsigned told = 0;

    for (uint64_t i = 0; i < REFUSALS && i < refused->nr && told < MOST_TOLD; i++) {
        const struct refusal *one = &refused->latest[(refused->nr - 1 - i) % REFUSALS];
        const struct program *program = program_of(stories->checks, one->process);
        struct finding *story;
        char room[40];

        if (stories->question->domain >= 0 && stories->question->domain != one->domid)
            continue;
        story = story_new(stories);
        finding_add(story, &one->when, "%s[%u] in domain %u: %s of %s %s%s%s",
                    program ? program->command : "?", one->process, one->domid, one->call,
                    one->device, one->error ? "failed with " : "returned 0 with a failed segment",
                    one->error ? strerrorname_np(one->error) : "",
                    event_number(&one->when, room, sizeof room));
        finding_add(story, NULL, "%s", one->cause ? one->cause : "?");
        told++;
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

static char *story_text(const struct finding *story)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    finding_print_parts(story, 0, out);
    fclose(out);
    if (size && text[size - 1] == '\n')
        text[size - 1] = 0;
    return text;
}

/* Without the lock. The stories are freed. */
static void answer(struct stories *stories, bool detail, json_object *list)
{
    for (struct finding *story = stories->first; story; story = story->next) {
        json_object *one;
        char *text;

        finding_read(stories->checks, story);
        text = story_text(story);
        one = clean_text(text);
        free(text);
        if (detail) {
            json_object *object = json_object_new_object();

            json_object_object_add(object, "text", one);
            json_object_object_add(object, "parts", finding_parts_json(story));
            one = object;
        }
        json_object_array_add(list, one);
    }
    finding_free(stories->first);
}

void checks_why(struct machine *m, const struct checks_question *question, json_object *list)
{
    struct checks *checks = checks_of(m);
    struct stories stories = { .checks = checks, .question = question };

    if (!checks)
        return;
    machine_lock(m);
    if (question->about == ABOUT_REFUSALS) {
        tell_refusals(&stories);
    } else {
        ledger_each(&checks->ledger, tell_if_asked, &stories);
        tell_past(&stories);
    }
    machine_unlock(m);
    answer(&stories, question->detail, list);
}

/* ---- What is held ---------------------------------------------------------------------------- */

static void collect(void *ctx, struct item *item)
{
    struct stories *stories = ctx;

    if (item_is_left(item))
        items_add(&stories->items, item);
}

/* Those that one process made at one place are together. */
static int by_place(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    const uint64_t keys[][2] = {
        { x->process, y->process },
        { x->key.type, y->key.type },
        { (uintptr_t)x->made.where, (uintptr_t)y->made.where },
        { x->domid, y->domid },
        { !x->views, !y->views },
        { x->made.order, y->made.order },
    };

    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? -1 : 1;
    return 0;
}

static bool is_together(const struct item *a, const struct item *b)
{
    return a->process == b->process && a->key.type == b->key.type && a->domid == b->domid &&
           a->made.where == b->made.where && !a->views == !b->views;
}

json_object *checks_held(struct machine *m, bool detail)
{
    struct checks *checks = checks_of(m);
    struct stories stories = { .checks = checks };
    json_object *list = json_object_new_array();
    struct items *held = &stories.items;

    if (!checks)
        return list;
    machine_lock(m);
    ledger_each(&checks->ledger, collect, &stories);
    if (held->nr)
        qsort(held->items, held->nr, sizeof *held->items, by_place);
    for (size_t first = 0, end; first < held->nr; first = end) {
        for (end = first; end < held->nr && is_together(held->items[first], held->items[end]);
             end++)
            ;
        tell_items(&stories, held->items + first, end - first);
    }
    machine_unlock(m);
    free(held->items);
    answer(&stories, detail, list);
    return list;
}
