/* SPDX-License-Identifier: MIT */
/* Reads and writes a record as a file. */
#include "file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch.h"

const char *record_text(json_object *event, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(event, name, &value) &&
                   json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
}

long long record_number(json_object *event, const char *name, long long otherwise)
{
    json_object *value;

    return json_object_object_get_ex(event, name, &value) &&
                   json_object_is_type(value, json_type_int)
             ? json_object_get_int64(value)
             : otherwise;
}

/*
 * The members that an event must have, by its call. i: a number, t: text, l: a list, o: an object
 * or null, b: text or null
 */
static const struct needs {
    const char *call;
    struct { const char *name; char type; } members[6];
} needs[] = {
    { "open", { { "device", 't' }, { "flags", 'i' }, { "result", 'i' } } },
    { "close", { { "file", 'i' }, { "result", 'i' } } },
    { "dup", { { "file", 'i' }, { "result", 'i' } } },
    { "set-flags", { { "file", 'i' }, { "flags", 'i' }, { "result", 'i' } } },
    { "ioctl", { { "file", 'i' }, { "request", 't' }, { "in", 'o' }, { "result", 'i' } } },
    { "read", { { "file", 'i' }, { "size", 'i' }, { "result", 'i' } } },
    { "write", { { "file", 'i' }, { "size", 'i' }, { "data", 'b' }, { "result", 'i' } } },
    { "seek", { { "file", 'i' }, { "offset", 'i' }, { "whence", 'i' }, { "result", 'i' } } },
    { "poll", { { "fds", 'l' }, { "revents", 'l' }, { "result", 'i' } } },
    { "mmap",
      { { "file", 'i' },
        { "offset", 'i' },
        { "length", 'i' },
        { "prot", 'i' },
        { "flags", 'i' },
        { "result", 'i' } } },
    { "munmap", { { "mappings", 'l' }, { "pieces", 'l' }, { "result", 'i' } } },
    { "exec", { { "pieces", 'l' }, { "closed", 'l' } } },
    { "exit", { { "pieces", 'l' }, { "closed", 'l' } } },
};

static bool is_type(json_object *value, char type)
{
    switch (type) {
    case 'i':
        return json_object_is_type(value, json_type_int);
    case 't':
        return json_object_is_type(value, json_type_string);
    case 'l':
        return json_object_is_type(value, json_type_array);
    case 'o':
        return !value || json_object_is_type(value, json_type_object);
    default:
        return !value || json_object_is_type(value, json_type_string);
    }
}

/* What is wrong with an event, NULL: nothing. */
static const char *check_event(json_object *event)
{
    static char text[128];
    const char *call = record_text(event, "call"), *error = record_text(event, "error");
    const struct needs *n = needs;
    json_object *value;

    if (!call || !record_text(event, "task"))
        return "an event needs \"task\" and \"call\"";
    while (n < needs + sizeof needs / sizeof *needs && strcmp(n->call, call))
        n++;
    if (n == needs + sizeof needs / sizeof *needs) {
        snprintf(text, sizeof text, "there is no call \"%.40s\"", call);
        return text;
    }
    for (unsigned i = 0; i < 6 && n->members[i].name; i++)
        if (!json_object_object_get_ex(event, n->members[i].name, &value) ||
            !is_type(value, n->members[i].type)) {
            snprintf(text, sizeof text, "\"%s\" needs a member \"%s\" that fits", call,
                     n->members[i].name);
            return text;
        }
    if (record_number(event, "result", 0) < 0 && (!error || !errno_of(error)))
        return "a result below 0 needs the name of an \"error\"";
    return NULL;
}

static const char *check_header(json_object *header)
{
    if (record_number(header, "gntsim-record", 0) != RECORD_VERSION)
        return "it is no record of gntsim, or one of another version (\"gntsim-record\": 1)";
    return NULL;
}

static int add_line(struct record *record, json_object *json)
{
    json_object **grown;

    if (!record->header) {
        record->header = json;
        return 0;
    }
    if (!(record->nr & (record->nr - 1))) {
        grown = realloc(record->events, (record->nr ? record->nr * 2 : 1) * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        record->events = grown;
    }
    record->events[record->nr++] = json;
    return 0;
}

int record_load(struct record *record, const char *path, char *error, size_t size)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    const char *wrong;
    size_t room = 0, number = 0;
    int rc = file ? 0 : -errno;

    *record = (struct record){ 0 };
    if (rc) {
        snprintf(error, size, "%s: %s", path, strerror(-rc));
        return rc;
    }
    while (!rc && getline(&line, &room, file) > 0) {
        enum json_tokener_error parsed;
        json_object *json = json_tokener_parse_verbose(line, &parsed);

        number++;
        if (!json || !json_object_is_type(json, json_type_object))
            wrong = json ? "not an object" : json_tokener_error_desc(parsed);
        else
            wrong = record->header ? check_event(json) : check_header(json);
        rc = wrong ? -EINVAL : add_line(record, json);
        if (wrong)
            snprintf(error, size, "%s:%zu: %s", path, number, wrong);
        if (rc)
            json_object_put(json);
    }
    if (!rc && !record->header) {
        snprintf(error, size, "%s:1: it is empty", path);
        rc = -EINVAL;
    }
    free(line);
    fclose(file);
    if (rc)
        record_free(record);
    return rc;
}

void record_free(struct record *record)
{
    json_object_put(record->header);
    for (size_t i = 0; i < record->nr; i++)
        json_object_put(record->events[i]);
    free(record->events);
    *record = (struct record){ 0 };
}

uint64_t record_item(json_object *object, const char *name, size_t i)
{
    json_object *array;

    return json_object_object_get_ex(object, name, &array) &&
                   json_object_is_type(array, json_type_array)
             ? json_object_get_uint64(json_object_array_get_idx(array, i))
             : 0;
}

size_t record_items(json_object *object, const char *name)
{
    json_object *array;

    return json_object_object_get_ex(object, name, &array) &&
                   json_object_is_type(array, json_type_array)
             ? json_object_array_length(array)
             : 0;
}
