/* SPDX-License-Identifier: MIT */
/* Converts a trace to the format of chrome://tracing and ui.perfetto.dev. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "chrome_i.h"
#include "client.h"

#define MACHINE 32768       /* a process that no domain is */
#define SLICE 0.5           /* microseconds that an event lasts to which arrows lead */

struct chrome_name {
    int64_t process;
    char name[64];
    UT_hash_handle hh;
};

struct chrome_thread {
    struct {
        int64_t pid, tid;
    } key;
    UT_hash_handle hh;
};

static const char *const categories[NR_CHROME_KINDS] = { "call", "grant", "mapping", "port" };

/* ---- Records --------------------------------------------------------------------------------- */

int64_t chrome_number(json_object *object, const char *key, int64_t otherwise)
{
    json_object *value;

    return json_object_object_get_ex(object, key, &value) &&
                   json_object_is_type(value, json_type_int)
             ? json_object_get_int64(value) : otherwise;
}

static void add(json_object *object, const char *key, json_object *value)
{
    json_object_object_add(object, key, value);
}

json_object *chrome_record(const char *phase, const char *name, const char *category,
                           const struct chrome_place *place)
{
    json_object *record = json_object_new_object();

    add(record, "ph", json_object_new_string(phase));
    add(record, "name", json_object_new_string(name));
    add(record, "cat", json_object_new_string(category));
    add(record, "ts", json_object_new_double(place->ts));
    add(record, "pid", json_object_new_int64(place->pid));
    add(record, "tid", json_object_new_int64(place->tid));
    return record;
}

void chrome_put(struct chrome *chrome, json_object *record)
{
    fprintf(chrome->out, "%s\n%s", chrome->is_begun ? "," : "",
            json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN));
    chrome->is_begun = true;
    json_object_put(record);
}

static void put_name(struct chrome *chrome, const char *what, int64_t pid, int64_t tid,
                     const char *name)
{
    struct chrome_place place = { .pid = pid, .tid = tid };
    json_object *record = chrome_record("M", what, "__metadata", &place);
    json_object *args = json_object_new_object();

    add(args, "name", json_object_new_string(name));
    add(record, "args", args);
    chrome_put(chrome, record);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* A process is named by an event of its own, before the first thing that it does. */
static void keep_name(struct chrome *chrome, int64_t process, const char *name)
{
    struct chrome_name *kept;

    HASH_FIND(hh, chrome->names, &process, sizeof process, kept);
    if (!kept) {
        kept = calloc(1, sizeof *kept);
        if (!kept)
            return;
        kept->process = process;
        HASH_ADD(hh, chrome->names, process, sizeof kept->process, kept);
    }
    snprintf(kept->name, sizeof kept->name, "%s", name);
}

static bool is_new(struct chrome *chrome, int64_t pid, int64_t tid)
{
    struct chrome_thread *thread = calloc(1, sizeof *thread), *known;

    if (!thread)
        return false;
    thread->key.pid = pid;
    thread->key.tid = tid;
    HASH_FIND(hh, chrome->seen, &thread->key, sizeof thread->key, known);
    if (known)
        free(thread);
    else
        HASH_ADD(hh, chrome->seen, key, sizeof thread->key, thread);
    return !known;
}

static void introduce(struct chrome *chrome, const struct chrome_place *place)
{
    struct chrome_name *kept;
    char name[128];

    if (!is_new(chrome, place->pid, place->tid))
        return;
    if (place->tid == 0 || is_new(chrome, place->pid, 0)) {
        snprintf(name, sizeof name, "domain %" PRId64, place->pid);
        put_name(chrome, "process_name", place->pid, 0,
                 place->pid == MACHINE ? "machine" : name);
        put_name(chrome, "thread_name", place->pid, 0,
                 place->pid == MACHINE ? "machine" : "kernel");
    }
    if (place->tid == 0)
        return;
    HASH_FIND(hh, chrome->names, &place->tid, sizeof place->tid, kept);
    snprintf(name, sizeof name, "%s%sprocess %" PRId64 "%s", kept ? kept->name : "",
             kept ? " (" : "", place->tid, kept ? ")" : "");
    put_name(chrome, "thread_name", place->pid, place->tid, name);
}

/* ---- Spans and flows ------------------------------------------------------------------------- */

static void put_span(struct chrome *chrome, const struct chrome_span *span, const char *phase,
                     double ts, json_object *args)
{
    struct chrome_place place = span->made;
    json_object *record;
    char id[32];

    place.ts = ts;
    record = chrome_record(phase, span->name, categories[span->key.kind], &place);
    snprintf(id, sizeof id, "%#" PRIx64, span->id);
    add(record, "id", json_object_new_string(id));
    if (args)
        add(record, "args", json_object_get(args));
    chrome_put(chrome, record);
}

struct chrome_span *chrome_find(struct chrome *chrome, enum chrome_kind kind, int64_t domain,
                                int64_t number)
{
    struct chrome_key key = { .kind = kind, .domain = domain, .number = number };
    struct chrome_span *span;

    HASH_FIND(hh, chrome->open, &key, sizeof key, span);
    return span;
}

struct chrome_span *chrome_open(struct chrome *chrome, const struct chrome_key *key,
                                const struct chrome_place *place, json_object *args,
                                const char *format, ...)
{
    struct chrome_span *span = calloc(1, sizeof *span);
    va_list ap;

    chrome_close(chrome, chrome_find(chrome, key->kind, key->domain, key->number), place, NULL);
    if (!span)
        return NULL;
    span->key = *key;
    span->id = ++chrome->ids;
    span->made = *place;
    span->peer = span->peer_port = -1;
    span->sent.ts = -1;
    va_start(ap, format);
    vsnprintf(span->name, sizeof span->name, format, ap);
    va_end(ap);
    HASH_ADD(hh, chrome->open, key, sizeof span->key, span);
    put_span(chrome, span, "b", place->ts, args);
    return span;
}

void chrome_close(struct chrome *chrome, struct chrome_span *span,
                  const struct chrome_place *place, json_object *args)
{
    if (!span)
        return;
    HASH_DEL(chrome->open, span);
    put_span(chrome, span, "e", place->ts, args);
    free(span);
}

static void put_end_of_flow(struct chrome *chrome, const char *phase, const char *name,
                            const struct chrome_place *place)
{
    json_object *record = chrome_record(phase, name, "flow", place);

    add(record, "id", json_object_new_int64((int64_t)chrome->ids));
    if (*phase == 'f')
        add(record, "bp", json_object_new_string("e"));
    chrome_put(chrome, record);
}

void chrome_flow(struct chrome *chrome, const char *name, const struct chrome_place *from,
                 const struct chrome_place *to)
{
    chrome->ids++;
    put_end_of_flow(chrome, "s", name, from);
    put_end_of_flow(chrome, "f", name, to);
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* The event's own arguments, and what else it says. The caller puts it. */
static json_object *all_args(json_object *event, json_object *args)
{
    static const char *const more[] = { "seq", "time", "call", "result", "rule" };
    json_object *all = json_object_new_object(), *value;

    if (args) {
        json_object_object_foreach(args, key, member)
            add(all, key, json_object_get(member));
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (json_object_object_get_ex(event, more[i], &value))
            add(all, more[i], json_object_get(value));
    return all;
}

/* The beginning or the end of a device call; false: it is something else. */
static bool put_call(struct chrome *chrome, const char *op, json_object *event, json_object *args,
                     const struct chrome_place *place, json_object *shown)
{
    struct chrome_key key = { .kind = CHROME_CALL, .domain = place->pid,
                              .number = chrome_number(event, "call", -1) };
    struct chrome_span *span = chrome_find(chrome, CHROME_CALL, key.domain, key.number);
    const char *called = client_text(args, "op"), *name = client_text(args, "name");
    bool is_begin = !strcmp(op, "enter") && called;
    size_t size = strlen(op);

    if (key.number < 0)
        return false;
    if (is_begin)
        chrome_open(chrome, &key, place, shown, "%s%s%s", called, name ? " " : "",
                    name ? name : "");
    else if (span && !strncmp(span->name, op, size) &&
             (!span->name[size] || span->name[size] == ' '))
        chrome_close(chrome, span, place, shown);
    else
        return false;
    return true;
}

void chrome_event(struct chrome *chrome, json_object *event)
{
    const char *op = client_text(event, "op");
    json_object *args, *shown, *record;
    struct chrome_place place;
    bool is_slice;

    if (!op)
        return;
    if (!json_object_object_get_ex(event, "args", &args) ||
        !json_object_is_type(args, json_type_object))
        args = NULL;
    place.pid = chrome_number(event, "domain", MACHINE);
    place.tid = chrome_number(event, "pid", 0);
    place.ts = chrome->by_number ? (double)chrome_number(event, "seq", 0)
                                 : (double)chrome_number(event, "time", 0) / 1000;
    chrome->last = place.ts;
    if (place.pid == MACHINE && place.tid) {
        if (client_text(args, "name"))
            keep_name(chrome, place.tid, client_text(args, "name"));
        place.tid = 0;
    }
    introduce(chrome, &place);
    shown = all_args(event, args);
    if (!put_call(chrome, op, event, args, &place, shown)) {
        is_slice = chrome_bars(chrome, op, event, args, &place);
        record = chrome_record(is_slice ? "X" : "i", op, "event", &place);
        if (is_slice)
            add(record, "dur", json_object_new_double(SLICE));
        else
            add(record, "s", json_object_new_string("t"));
        add(record, "args", json_object_get(shown));
        chrome_put(chrome, record);
    }
    json_object_put(shown);
}

/* ---- The document ---------------------------------------------------------------------------- */

struct chrome *chrome_begin(FILE *out, bool by_number)
{
    struct chrome *chrome = calloc(1, sizeof *chrome);

    if (chrome) {
        chrome->out = out;
        chrome->by_number = by_number;
        putc('[', out);
    }
    return chrome;
}

void chrome_end(struct chrome *chrome)
{
    struct chrome_place last = { .ts = chrome ? chrome->last : 0 };
    struct chrome_span *span, *next_span;
    struct chrome_name *name, *next_name;
    struct chrome_thread *thread, *next_thread;

    if (!chrome)
        return;
    HASH_ITER(hh, chrome->open, span, next_span)
        chrome_close(chrome, span, &last, NULL);
    HASH_ITER(hh, chrome->names, name, next_name) {
        HASH_DEL(chrome->names, name);
        free(name);
    }
    HASH_ITER(hh, chrome->seen, thread, next_thread) {
        HASH_DEL(chrome->seen, thread);
        free(thread);
    }
    fputs("\n]\n", chrome->out);
    free(chrome);
}
