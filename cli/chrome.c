/* SPDX-License-Identifier: MIT */
/* Converts a trace to the format of chrome://tracing and ui.perfetto.dev. */
#include "chrome.h"

#include <inttypes.h>
#include <string.h>

static int64_t number(json_object *object, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(object, key, &value) ? json_object_get_int64(value) : 0;
}

static void add(json_object *object, const char *key, json_object *value)
{
    json_object_object_add(object, key, value);
}

void chrome_begin(FILE *out)
{
    fputs("[{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":-1,\"args\":{\"name\":\"machine\"}}",
          out);
}

void chrome_end(FILE *out)
{
    fputs("\n]\n", out);
}

void chrome_event(FILE *out, json_object *event)
{
    json_object *op, *args = NULL, *domain, *result, *call, *record;
    const char *name, *phase = "i";
    char id[48];

    if (!json_object_object_get_ex(event, "op", &op) || !json_object_is_type(op, json_type_string))
        return;
    name = json_object_get_string(op);
    if (!json_object_object_get_ex(event, "args", &args) ||
        !json_object_is_type(args, json_type_object))
        args = NULL;
    if (!json_object_object_get_ex(event, "domain", &domain))
        domain = NULL;
    if (json_object_object_get_ex(event, "call", &call)) {
        if (!strcmp(name, "enter") && json_object_object_get_ex(args, "op", &op) &&
            json_object_is_type(op, json_type_string)) {
            name = json_object_get_string(op);
            phase = "b";
        } else if (json_object_object_get_ex(args, "file", NULL) && strncmp(name, "user_", 5) &&
                   strcmp(name, "find_vma") && strcmp(name, "vma_at")) {
            phase = "e";
        }
    }
    record = json_object_new_object();
    add(record, "ph", json_object_new_string(phase));
    add(record, "name", json_object_new_string(name));
    add(record, "cat", json_object_new_string(*phase == 'i' ? "event" : "call"));
    add(record, "ts", json_object_new_double((double)number(event, "time") / 1000));
    add(record, "pid", json_object_new_int64(domain ? json_object_get_int64(domain) : -1));
    add(record, "tid", json_object_new_int64(number(event, "pid")));
    if (*phase == 'i') {
        add(record, "s", json_object_new_string("t"));
    } else {
        snprintf(id, sizeof id, "%" PRId64 ".%" PRId64, domain ? json_object_get_int64(domain) : -1,
                 number(event, "call"));
        add(record, "id", json_object_new_string(id));
    }
    if (args) {
        args = json_object_get(args);
        if (json_object_object_get_ex(event, "result", &result))
            add(args, "result", json_object_get(result));
        add(record, "args", args);
    }
    fprintf(out, ",\n%s", json_object_to_json_string_ext(record, JSON_C_TO_STRING_PLAIN));
    json_object_put(record);
}
