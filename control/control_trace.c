/* SPDX-License-Identifier: MIT */
/* The verbs of the trace. */
#include "control_i.h"

#include <inttypes.h>
#include <string.h>

#include "control_guest.h"
#include "json_add.h"
#include "machine.h"
#include "process.h"
#include "trace.h"

#define MAX_READ 100000

static json_object *state(struct machine *m)
{
    json_object *result = json_object_new_object();

    json_add_bool(result, "on", trace_is_on(m));
    json_add_int(result, "first", (int64_t)trace_first(m));
    json_add_int(result, "next", (int64_t)trace_next(m));
    return result;
}

json_object *verb_trace(struct request *request)
{
    json_object *value;

    if (json_object_object_get_ex(request->args, "on", &value)) {
        if (!json_object_is_type(value, json_type_boolean))
            return control_refuse(request, "\"on\" must be true or false, not %.80s",
                                  json_object_get_string(value));
        trace_switch(request->machine, json_object_get_boolean(value));
    }
    return state(request->machine);
}

static json_object *event_from_line(const char *line, size_t size)
{
    json_tokener *tokener = json_tokener_new();
    json_object *event = tokener ? json_tokener_parse_ex(tokener, line, (int)size) : NULL;

    json_tokener_free(tokener);
    return event;
}

json_object *verb_trace_read(struct request *request)
{
    struct machine *m = request->machine;
    json_object *result, *events;
    int64_t from, max, last;
    uint64_t seq, lost;
    const char *line;
    bool detail;
    size_t size;

    if (!control_int(request, "from", 0, 0, INT64_MAX, &from) ||
        !control_int(request, "max", 1000, 1, MAX_READ, &max) ||
        !control_int(request, "last", 0, 0, MAX_READ, &last) ||
        !guest_bool(request, "detail", &detail))
        return NULL;
    seq = (uint64_t)from;
    if (last)
        seq = trace_next(m) > (uint64_t)last ? trace_next(m) - (uint64_t)last : 0;
    lost = seq < trace_first(m) && !last ? trace_first(m) - seq : 0;
    events = json_object_new_array();
    while (max-- && (line = trace_line(m, &seq, detail, &size))) {
        json_object_array_add(events, event_from_line(line, size));
        seq++;
    }
    result = json_object_new_object();
    json_object_object_add(result, "events", events);
    json_add_int(result, "next", (int64_t)seq);
    json_add_int(result, "lost", (int64_t)lost);
    return result;
}

json_object *verb_trace_subscribe(struct request *request)
{
    int64_t from;

    if (!control_int(request, "from", (int64_t)trace_next(request->machine), 0, INT64_MAX, &from) ||
        !guest_bool(request, "detail", &request->stream_detail))
        return NULL;
    trace_switch(request->machine, true);
    request->subscribe = true;
    request->stream_from = (uint64_t)from;
    return state(request->machine);
}

/* Who the numbers of processes in events and rules are. */
json_object *verb_processes(struct request *request)
{
    json_object *list = json_object_new_array();
    pid_t pid;

    for (unsigned number = 1; (pid = process_id(request->machine, number)); number++) {
        json_object *object = json_object_new_object();

        json_add_int(object, "process", number);
        json_add_int(object, "pid", pid);
        json_object_array_add(list, object);
    }
    return list;
}
