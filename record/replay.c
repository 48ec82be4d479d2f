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

static const char *shown(json_object *json)
{
    return json ? json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN) : "null";
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
        fprintf(stderr, "gntsim: %s: task %s ends there, but the program goes on with %s\n",
                r->path, task, shown(event->json));
        *stop = r->departed = true;
        return NULL;
    }
    recorded = r->record->events[i];
    wrong = departure(event->json, recorded);
    if (wrong) {
        fprintf(stderr,
                "gntsim: %s:%zu: the program departs from the record in \"%s\":\n  recorded: %s\n  "
                "now:      %s\n",
                r->path, i + 2, wrong, shown(recorded), shown(event->json));
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
            fprintf(stderr, "gntsim: %s:%zu: the program ended, but the record goes on: %s\n", path,
                    i + 2, shown(record->events[i]));
            replay.departed = true;
        }
    free(replay.used);
    return replay.departed ? -EPROTO : status;
}
