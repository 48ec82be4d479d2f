/* SPDX-License-Identifier: MIT */
/* `replay-device`: runs a program and gives it the recorded answers. */
#include "record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"

struct replay {
    const struct record *record;
    const char *path;
    bool *used;
    bool departed;
};

#define LONGEST 512 /* of an event or a value in a message, in bytes */
#define BEFORE 32   /* bytes of a long text that are shown before the first difference */
#define BEHIND 64   /* and from there on */

static const char *plain(json_object *json)
{
    return json ? json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN) : "null";
}

/* An event in short: a long text in it, like a page's bytes, as its beginning. The caller frees
 * it. NULL: no memory. */
static char *shown(json_object *json)
{
    json_object *copy = NULL;
    char *text;

    if (!json || strlen(plain(json)) <= LONGEST)
        return strdup(plain(json));
    json_object_deep_copy(json, &copy, NULL);
    json_object_object_foreach(json, name, value) {
        char *shorter;

        if (!copy || strlen(plain(value)) <= BEHIND)
            continue;
        if (asprintf(&shorter, "%.*s... (%zu bytes)", BEHIND, plain(value),
                     strlen(plain(value))) < 0)
            continue;
        json_object_object_add(copy, name, json_object_new_string(shorter));
        free(shorter);
    }
    text = strdup(plain(copy));
    json_object_put(copy);
    return text;
}

/* What differs in a member: of long values the part around the first byte that does. */
static void print_difference(json_object *recorded, json_object *now)
{
    /* Both are printed into the objects' own buffers. */
    const char *then = plain(recorded), *today = plain(now);
    size_t at = 0, from;

    while (then[at] && then[at] == today[at])
        at++;
    from = strlen(then) > LONGEST || strlen(today) > LONGEST ? at > BEFORE ? at - BEFORE : 0 : 0;
    if (from)
        fprintf(stderr, "  the same up to character %zu of %zu; from %zu on:\n", at, strlen(then),
                from);
    fprintf(stderr, "  recorded: %s%.*s%s\n  now:      %s%.*s%s\n", from ? "..." : "",
            from ? BEFORE + BEHIND : LONGEST, then + from,
            strlen(then + from) > (from ? BEFORE + BEHIND : LONGEST) ? "..." : "",
            from ? "..." : "", from ? BEFORE + BEHIND : LONGEST, today + from,
            strlen(today + from) > (from ? BEFORE + BEHIND : LONGEST) ? "..." : "");
}

static void print_shown(const char *before, json_object *event)
{
    char *text = shown(event);

    fprintf(stderr, "%s%s\n", before, text ? text : "(no memory)");
    free(text);
}

/* The next event of a task that has not been given, record->nr if there is none. */
static size_t next_of(const struct replay *r, const char *task)
{
    size_t i = 0;

    while (i < r->record->nr &&
           (r->used[i] || strcmp(record_text(r->record->events[i], "task"), task)))
        i++;
    return i;
}

/* Whether an end is noted depends on what others still have open then. */
static bool is_end(json_object *event)
{
    return !strcmp(record_text(event, "call"), "exit") ||
           !strcmp(record_text(event, "call"), "exec");
}

/* The first member of the call that the record has otherwise, NULL if it is the same call. */
static const char *departure(json_object *now, json_object *then)
{
    json_object_object_foreach(now, name, value) {
        json_object *recorded;

        if (!json_object_object_get_ex(then, name, &recorded))
            return name;
        /* What was not written need not be the same. */
        if (!strcmp(name, "data") && record_number(then, "result", 0) < 0)
            continue;
        if (is_end(now) && strcmp(name, "call") && strcmp(name, "task"))
            continue;
        if (!json_object_equal(value, recorded))
            return name;
    }
    return NULL;
}

static json_object *before(void *ctx, struct event *event, bool *stop)
{
    struct replay *r = ctx;
    const char *task = record_text(event->json, "task"), *wrong;
    size_t i = next_of(r, task);
    json_object *recorded;

    if (r->departed)
        return NULL;
    for (; i < r->record->nr && is_end(r->record->events[i]) && !is_end(event->json);
         i = next_of(r, task))
        r->used[i] = true;
    if (is_end(event->json) && (i == r->record->nr || !is_end(r->record->events[i])))
        return NULL;
    if (i == r->record->nr) {
        fprintf(stderr, "gntsim: %s: task %s ends there, but the program goes on with", r->path,
                task);
        print_shown(" ", event->json);
        *stop = r->departed = true;
        return NULL;
    }
    recorded = r->record->events[i];
    wrong = departure(event->json, recorded);
    if (wrong) {
        fprintf(stderr, "gntsim: %s:%zu: the program departs from the record in \"%s\":\n", r->path,
                i + 2, wrong);
        print_difference(json_object_object_get(recorded, wrong),
                         json_object_object_get(event->json, wrong));
        print_shown("  the call: ", event->json);
        *stop = r->departed = true;
        return NULL;
    }
    r->used[i] = true;
    return recorded;
}

static void after(void *ctx, struct event *event)
{
    (void)ctx;
    (void)event;
}

int replay_run(const struct record *record, const char *path, char **argv)
{
    struct replay replay = { .record = record,
                             .path = path,
                             .used = calloc(record->nr + 1, sizeof(bool)) };
    struct watch watch = { .before = before, .after = after, .ctx = &replay, .replays = true };
    int status = replay.used ? watch_run(&watch, argv) : -ENOMEM;

    for (size_t i = 0; status >= 0 && !replay.departed && i < record->nr; i++)
        if (!replay.used[i] && !is_end(record->events[i])) {
            fprintf(stderr, "gntsim: %s:%zu: the program ended, but the record goes on:", path,
                    i + 2);
            print_shown(" ", record->events[i]);
            replay.departed = true;
        }
    free(replay.used);
    return replay.departed ? -EPROTO : status;
}
