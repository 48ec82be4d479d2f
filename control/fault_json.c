/* SPDX-License-Identifier: MIT */
/* Reads and writes fault rules as JSON. */
#include "fault_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/ioctls.h>
#include <gntsim/ops.h>

#include "control_guest.h"
#include "faults.h"
#include "json_add.h"
#include "process.h"
#include "trace.h"
#include "words.h"

#define MAX_ERRNO 133
#define MAX_NS (365ull * 86400 * 1000000000)

struct reader {
    struct machine *machine;
    json_object *json;
    struct fault_rule *rule;
    char *error;
    size_t size;
};

__attribute__((format(printf, 2, 3)))
static bool refuse(struct reader *r, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(r->error, r->size, format, ap);
    va_end(ap);
    return false;
}

/* ---- Names of errors ------------------------------------------------------------------------- */

const char *errno_name(int number)
{
    return number > 0 && number <= MAX_ERRNO ? strerrorname_np(number) : NULL;
}

/* 0: no such name. */
static int errno_find(const char *name)
{
    for (int i = 1; i <= MAX_ERRNO; i++)
        if (errno_name(i) && !strcmp(errno_name(i), name))
            return i;
    return 0;
}

/* A negative errno, or 0 after the error. A number is one, too. */
static int read_errno(struct reader *r, const char *key, json_object *value)
{
    int number = 0;

    if (json_object_is_type(value, json_type_string))
        number = errno_find(json_object_get_string(value));
    else if (json_object_is_type(value, json_type_int))
        number = json_object_get_int(value);
    if (number < 0)
        number = -number;
    if (number < 1 || number > MAX_ERRNO) {
        refuse(r, "\"%s\" must be an errno like \"EINVAL\", not %.80s", key,
               json_object_get_string(value));
        return 0;
    }
    return -number;
}

static bool read_status(struct reader *r, json_object *value)
{
    if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) <= 0 &&
        json_object_get_int64(value) >= -32768) {
        r->rule->value = json_object_get_int64(value);
        return true;
    }
    for (int16_t status = 0; json_object_is_type(value, json_type_string) && hv_status_name(status);
         status--)
        if (!strcmp(hv_status_name(status), json_object_get_string(value))) {
            r->rule->value = status;
            return true;
        }
    return refuse(r,
                  "\"status\" must be a grant status like \"eagain\" or \"bad_gntref\", or its "
                  "number (0 or less), not %.80s",
                  json_object_get_string(value));
}

/* ---- Values ---------------------------------------------------------------------------------- */

static bool read_int(struct reader *r, const char *key, json_object *value, int64_t min,
                     int64_t max, int64_t *out)
{
    *out = json_object_get_int64(value);
    if (json_object_is_type(value, json_type_int) && *out >= min && *out <= max)
        return true;
    return refuse(r, "\"%s\" must be a number from %" PRId64 " to %" PRId64 ", not %.80s", key, min,
                  max, json_object_get_string(value));
}

static bool read_bool(struct reader *r, const char *key, json_object *value, bool *out)
{
    *out = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean) ||
           refuse(r, "\"%s\" must be true or false, not %.80s", key, json_object_get_string(value));
}

static bool read_text(struct reader *r, const char *key, json_object *value, char *out, size_t size)
{
    if (!json_object_is_type(value, json_type_string) || !json_object_get_string_len(value))
        return refuse(r, "\"%s\" must be a text, not %.80s", key, json_object_get_string(value));
    if ((size_t)json_object_get_string_len(value) >= size)
        return refuse(r, "\"%s\" must have less than %zu characters", key, size);
    snprintf(out, size, "%s", json_object_get_string(value));
    return true;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static bool key_at(struct reader *r, const char *key, json_object *value)
{
    const char *name = json_object_get_string(value);

    (void)key;
    if (!json_object_is_type(value, json_type_string))
        return refuse(r, "\"at\" must be the name of a point, or \"*\", not %.80s", name);
    if (!strcmp(name, "*"))
        return true;
    r->rule->at = point_name_find(name);
    return r->rule->at || refuse(r, "there is no point '%.64s': use an operation (map_grant_ref, "
                                 "copy, evtchn_send …), a device call (open, ioctl, mmap …), "
                                 "notify, event, defer, unmap, a request to the store "
                                 "(store_read, store_write …), store_event, or *", name);
}

static bool key_name(struct reader *r, const char *key, json_object *value)
{
    return read_text(r, key, value, r->rule->name, sizeof r->rule->name);
}

static bool key_optional(struct reader *r, const char *key, json_object *value)
{
    return read_bool(r, key, value, &r->rule->optional);
}

static bool key_writable(struct reader *r, const char *key, json_object *value)
{
    bool writable;

    if (!read_bool(r, key, value, &writable))
        return false;
    r->rule->writable = writable;
    return true;
}

static bool key_device(struct reader *r, const char *key, json_object *value)
{
    const char *name = json_object_get_string(value);

    (void)key;
    r->rule->device = json_object_is_type(value, json_type_string) ? point_device_find(name) : NULL;
    return r->rule->device ||
           refuse(r, "\"device\" must be gntdev, gntalloc, evtchn or privcmd, not %.80s", name);
}

/* As points names an ioctl that no device has. */
static bool is_number(const char *text)
{
    char *end;

    return !strncmp(text, "0x", 2) && strtoul(text, &end, 16) && !*end;
}

static bool key_ioctl(struct reader *r, const char *key, json_object *value)
{
    if (!read_text(r, key, value, r->rule->ioctl, sizeof r->rule->ioctl))
        return false;
    return kernel_ioctl_named(NULL, r->rule->ioctl) || is_number(r->rule->ioctl) ||
           refuse(r, "no device has an ioctl '%s': use a name like MAP_GRANT_REF or ALLOC_GREF",
                  r->rule->ioctl);
}

static bool key_path(struct reader *r, const char *key, json_object *value)
{
    return read_text(r, key, value, r->rule->path, sizeof r->rule->path);
}

static bool key_pid(struct reader *r, const char *key, json_object *value)
{
    int64_t pid;

    if (!read_int(r, key, value, 1, INT32_MAX, &pid))
        return false;
    r->rule->process = process_number(r->machine, (pid_t)pid);
    return r->rule->process || refuse(r, "there is no process %" PRId64, pid);
}

static bool key_process(struct reader *r, const char *key, json_object *value)
{
    int64_t number;

    if (!read_int(r, key, value, 1, UINT32_MAX, &number))
        return false;
    r->rule->process = (unsigned)number;
    return true;
}

static bool key_probability(struct reader *r, const char *key, json_object *value)
{
    double p = json_object_get_double(value);

    (void)key;
    if ((!json_object_is_type(value, json_type_double) &&
         !json_object_is_type(value, json_type_int)) ||
        !(p >= 0 && p <= 1))
        return refuse(r, "\"probability\" must be a number from 0 to 1, not %.80s",
                      json_object_get_string(value));
    r->rule->probability = p;
    return true;
}

#define NUMBER(name, field, min, max)                                            \
    static bool key_##name(struct reader *r, const char *key, json_object *value) \
    {                                                                             \
        int64_t number;                                                           \
                                                                                  \
        if (!read_int(r, key, value, min, max, &number))                          \
            return false;                                                         \
        r->rule->field = (__typeof__(r->rule->field))number;                      \
        return true;                                                              \
    }
NUMBER(domain, domain, 0, DOMID_FIRST_RESERVED - 1)
NUMBER(peer, peer, 0, DOMID_FIRST_RESERVED - 1)
NUMBER(ref, ref, 0, UINT32_MAX)
NUMBER(index, index, 0, UINT32_MAX)
NUMBER(count, count, 0, UINT32_MAX)
NUMBER(skip, skip, 0, INT64_MAX)
NUMBER(times, times, 0, INT64_MAX)
NUMBER(every, every, 1, INT64_MAX)

/* ---- Actions --------------------------------------------------------------------------------- */

static bool read_action(struct reader *r, const char *key, json_object *value)
{
    bool yes;

    switch (r->rule->what) {
    case FAULT_STATUS:
        return read_status(r, value);
    case FAULT_HYPERCALL:
    case FAULT_ERRNO:
        r->rule->value = read_errno(r, key, value);
        return r->rule->value != 0;
    case FAULT_DELAY:
    case FAULT_LATE:
        return read_int(r, key, value, 1, MAX_NS, &r->rule->value);
    case FAULT_AFTER:
        return read_int(r, key, value, 1, 1000000, &r->rule->value);
    case FAULT_REWRITE:
        return read_text(r, key, value, r->rule->text, sizeof r->rule->text);
    case FAULT_DESTROY:
    case FAULT_SUSPEND:
        return read_int(r, key, value, 0, DOMID_FIRST_RESERVED - 1, &r->rule->value);
    default:
        return read_bool(r, key, value, &yes) && (yes || refuse(r, "\"%s\" must be true", key));
    }
}

static bool key_do(struct reader *r, const char *key, json_object *value)
{
    struct json_object_iterator it;
    int found;

    (void)key;
    if (!json_object_is_type(value, json_type_object) || json_object_object_length(value) != 1)
        return refuse(r, "\"do\" must be an object with one key: %s", WORDS_OR(fault_dos));
    it = json_object_iter_begin(value);
    found = word_find(fault_dos, json_object_iter_peek_name(&it));
    if (found < 0)
        return refuse(r, "nothing known to do is '%.64s': use %s", json_object_iter_peek_name(&it),
                      WORDS_OR(fault_dos));
    r->rule->what = (enum fault_do)found;
    return read_action(r, fault_dos[found], json_object_iter_peek_value(&it));
}

static const struct key {
    const char *name;
    bool (*read)(struct reader *r, const char *key, json_object *value);
} keys[] = {
    { "at", key_at },
    { "do", key_do },
    { "name", key_name },
    { "domain", key_domain },
    { "peer", key_peer },
    { "ref", key_ref },
    { "index", key_index },
    { "count", key_count },
    { "writable", key_writable },
    { "device", key_device },
    { "ioctl", key_ioctl },
    { "path", key_path },
    { "pid", key_pid },
    { "process", key_process },
    { "skip", key_skip },
    { "times", key_times },
    { "every", key_every },
    { "probability", key_probability },
    { "optional", key_optional },
};

static bool is_in(const char *key, const char *const *list)
{
    while (list && *list && strcmp(*list, key))
        list++;
    return list && *list;
}

bool fault_from_json(struct machine *m, json_object *json, const char *const *ignored,
                     struct fault_rule *rule, char *error, size_t size)
{
    struct reader r = { m, json, rule, error, size };
    const char *problem;

    fault_rule_init(rule);
    if (!json_object_is_type(json, json_type_object))
        return refuse(&r, "a fault rule is a JSON object with \"at\" and \"do\"");
    if (!json_object_object_get_ex(json, "at", NULL) ||
        !json_object_object_get_ex(json, "do", NULL))
        return refuse(&r, "a fault rule needs \"%s\"",
                      json_object_object_get_ex(json, "at", NULL) ? "do" : "at");
    json_object_object_foreach(json, key, value) {
        size_t i = 0;

        if (is_in(key, ignored))
            continue;
        while (i < sizeof keys / sizeof *keys && strcmp(keys[i].name, key))
            i++;
        if (i == sizeof keys / sizeof *keys)
            return refuse(&r, "a fault rule has no key \"%.64s\"", key);
        if (!keys[i].read(&r, key, value))
            return false;
    }
    problem = fault_rule_check(rule);
    return !problem || refuse(&r, "a rule at %s cannot %s: %s", rule->at ? rule->at : "*",
                              fault_dos[rule->what], problem);
}

/* ---- And back -------------------------------------------------------------------------------- */

static json_object *action_to_json(const struct fault_rule *rule)
{
    json_object *action = json_object_new_object(), *value;
    const char *name = NULL;

    switch (rule->what) {
    case FAULT_STATUS:
        name = hv_status_name((long)rule->value);
        value = name ? json_object_new_string(name) : json_object_new_int64(rule->value);
        break;
    case FAULT_HYPERCALL:
    case FAULT_ERRNO:
        name = errno_name((int)-rule->value);
        value = name ? json_object_new_string(name) : json_object_new_int64(-rule->value);
        break;
    case FAULT_DELAY:
    case FAULT_LATE:
    case FAULT_AFTER:
    case FAULT_DESTROY:
    case FAULT_SUSPEND:
        value = json_object_new_int64(rule->value);
        break;
    case FAULT_REWRITE:
        value = json_object_new_string(rule->text);
        break;
    default:
        value = json_object_new_boolean(true);
    }
    json_object_object_add(action, fault_dos[rule->what], value);
    return action;
}

json_object *fault_to_json(const struct fault_rule *rule)
{
    json_object *object = json_object_new_object();

    if (*rule->name)
        json_add_text(object, "name", rule->name);
    json_add_text(object, "at", rule->at ? rule->at : "*");
    if (rule->domain >= 0)
        json_add_int(object, "domain", rule->domain);
    if (rule->peer >= 0)
        json_add_int(object, "peer", rule->peer);
    if (rule->ref >= 0)
        json_add_int(object, "ref", rule->ref);
    if (rule->index >= 0)
        json_add_int(object, "index", rule->index);
    if (rule->count >= 0)
        json_add_int(object, "count", rule->count);
    if (rule->writable >= 0)
        json_add_bool(object, "writable", rule->writable);
    if (rule->device)
        json_add_text(object, "device", rule->device);
    if (*rule->ioctl)
        json_add_text(object, "ioctl", rule->ioctl);
    if (*rule->path)
        json_add_text(object, "path", rule->path);
    if (rule->process)
        json_add_int(object, "process", rule->process);
    if (rule->skip)
        json_add_int(object, "skip", (int64_t)rule->skip);
    if (rule->times != 1)
        json_add_int(object, "times", (int64_t)rule->times);
    if (rule->every > 1)
        json_add_int(object, "every", (int64_t)rule->every);
    if (rule->probability < 1)
        json_object_object_add(object, "probability", json_object_new_double(rule->probability));
    json_object_object_add(object, "do", action_to_json(rule));
    if (rule->optional)
        json_add_bool(object, "optional", true);
    return object;
}

void fault_record(struct machine *m, const struct fault_rule *rule)
{
    json_object *request;

    if (!trace_is_on(m))
        return;
    request = json_object_new_object();
    json_add_text(request, "verb", "fault-add");
    json_object_object_add(request, "rule", fault_to_json(rule));
    trace_verb(m, json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN));
    json_object_put(request);
}
