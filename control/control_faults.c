/* SPDX-License-Identifier: MIT */
/* The verbs for faults, the clock, limits and suspending a domain. */
#include "control_i.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gntsim/ioctls.h>

#include "control_guest.h"
#include "fault_json.h"
#include "faults.h"
#include "json_add.h"
#include "machine.h"
#include "names.h"
#include "words.h"

/* ---- Rules ----------------------------------------------------------------------------------- */

json_object *verb_fault_add(struct request *request)
{
    static const char *const ignored[] = { "verb", "rule", NULL };
    struct fault_rule rule;
    json_object *json;
    uint64_t id;

    /* The rule's keys beside the verb, or in an object of their own. */
    if (!json_object_object_get_ex(request->args, "rule", &json))
        json = request->args;
    if (!fault_from_json(request->machine, json, ignored, &rule, request->error,
                         sizeof request->error))
        return NULL;
    fault_record(request->machine, &rule);
    if (faults_add(request->machine, &rule, &id))
        return control_refuse(request, "cannot add the rule: no memory");
    return guest_value("id", (int64_t)id);
}

/* Answers how often it had its turn: asked before, the last one may be missed. */
json_object *verb_fault_remove(struct request *request)
{
    const struct fault_rule *rule;
    json_object *result;
    int64_t id;

    if (!control_int(request, "id", -1, 0, INT64_MAX, &id))
        return NULL;
    for (rule = faults_first(request->machine); rule && rule->id != (uint64_t)id;)
        rule = rule->next;
    if (!rule)
        return control_refuse(request, "there is no fault rule %" PRId64 " (see fault list)", id);
    result = json_object_new_object();
    json_add_int(result, "passed", rule->passed);
    json_add_int(result, "fired", rule->fired);
    faults_remove(request->machine, rule->id);
    return result;
}

json_object *verb_fault_clear(struct request *request)
{
    faults_clear(request->machine);
    return control_done();
}

json_object *verb_fault_list(struct request *request)
{
    json_object *list = json_object_new_array();

    for (const struct fault_rule *rule = faults_first(request->machine); rule; rule = rule->next) {
        json_object *object = fault_to_json(rule);

        json_add_int(object, "id", rule->id);
        json_add_int(object, "passed", rule->passed);
        json_add_int(object, "fired", rule->fired);
        json_object_array_add(list, object);
    }
    return list;
}

/* ---- Points ---------------------------------------------------------------------------------- */

static void add_point(json_object *object, const char *at, const char *device, unsigned ioctl_nr,
                      enum point_kind kind)
{
    const struct kernel_ioctl *known = ioctl_nr ? kernel_ioctl_find(device, ioctl_nr) : NULL;
    char number[16];

    json_add_text(object, "at", at);
    json_add_text(object, "kind", point_kinds[kind]);
    if (device)
        json_add_text(object, "device", device);
    if (!ioctl_nr)
        return;
    snprintf(number, sizeof number, "%#x", ioctl_nr);
    json_add_text(object, "ioctl", known ? known->name : number);
}

json_object *verb_points(struct request *request)
{
    json_object *result = json_object_new_object(), *list = json_object_new_array();

    json_add_int(result, "total", faults_passed(request->machine));
    for (const struct fault_count *c = faults_counts(request->machine); c; c = c->next) {
        json_object *object = json_object_new_object();

        add_point(object, c->at, c->device, c->ioctl_nr, c->kind);
        json_add_int(object, "passed", c->passed);
        json_object_array_add(list, object);
    }
    json_object_object_add(result, "points", list);
    return result;
}

json_object *verb_points_reset(struct request *request)
{
    faults_reset_counts(request->machine);
    return control_done();
}

/* ---- Paused calls ---------------------------------------------------------------------------- */

json_object *verb_paused(struct request *request)
{
    json_object *list = json_object_new_array();

    for (const struct fault_paused *paused = faults_paused(request->machine); paused;
         paused = paused->next) {
        json_object *object = json_object_new_object();

        json_add_int(object, "id", paused->id);
        json_add_int(object, "rule", paused->rule);
        json_add_int(object, "domain", paused->at.domain);
        json_add_int(object, "process", paused->process);
        add_point(object, paused->at.at, paused->at.device, paused->at.ioctl_nr, paused->at.kind);
        json_object_array_add(list, object);
    }
    return list;
}

json_object *verb_resume(struct request *request)
{
    int64_t id;

    if (!control_int(request, "id", -1, 0, INT64_MAX, &id))
        return NULL;
    if (faults_resume(request->machine, (uint64_t)id))
        return control_refuse(request, "nothing is paused with id %" PRId64 " (see paused)", id);
    return control_done();
}

/* ---- Clock ----------------------------------------------------------------------------------- */

static json_object *clock_state(struct machine *m)
{
    json_object *result = json_object_new_object();
    uint64_t next = clock_next(m);

    json_add_text(result, "mode", m->clock.is_virtual ? "virtual" : "real");
    json_add_bool(result, "auto", m->clock.automatic);
    json_add_int(result, "now", m->clock.now);
    json_object_object_add(result, "next",
                           next == CLOCK_NEVER ? NULL : json_object_new_int64((int64_t)next));
    return result;
}

json_object *verb_clock(struct request *request)
{
    struct machine *m = request->machine;
    json_object *value;

    if (json_object_object_get_ex(request->args, "auto", &value)) {
        if (!json_object_is_type(value, json_type_boolean))
            return control_refuse(request, "\"auto\" must be true or false, not %.80s",
                                  json_object_get_string(value));
        if (!m->clock.is_virtual && json_object_get_boolean(value))
            return control_refuse(
                request,
                "the clock is real: start the machine with --clock virtual to let it jump");
        m->clock.automatic = json_object_get_boolean(value);
        clock_jump(m);
        m->timer_dirty = true;
    }
    return clock_state(m);
}

json_object *verb_clock_advance(struct request *request)
{
    struct machine *m = request->machine;
    json_object *value, *ns;
    int64_t by;

    if (!m->clock.is_virtual)
        return control_refuse(request, "the clock is real and goes by itself: start the machine "
                                       "with --clock virtual to move it");
    if (json_object_object_get_ex(request->args, "to", &value)) {
        if (json_object_object_get_ex(request->args, "ns", &ns))
            return control_refuse(request, "clock-advance takes \"ns\" or \"to\", not both");
        if (!json_object_is_type(value, json_type_string) ||
            strcmp(json_object_get_string(value), "next"))
            return control_refuse(request, "\"to\" must be \"next\", not %.80s",
                                  json_object_get_string(value));
        if (clock_next(m) != CLOCK_NEVER)
            clock_advance(m, clock_next(m));
        return clock_state(m);
    }
    if (!control_int(request, "ns", -1, 0, (int64_t)365 * 86400 * 1000000000, &by))
        return NULL;
    if (m->clock.now > (uint64_t)INT64_MAX - (uint64_t)by)
        return control_refuse(request, "the clock cannot go further");
    clock_advance(m, m->clock.now + (uint64_t)by);
    return clock_state(m);
}

/* ---- Limits, suspend ------------------------------------------------------------------------- */

const char *const limit_names[] = {
    "grant_frames", "maptrack_frames", "gntalloc", "gntdev", "privcmd_unrestricted", NULL
};
/* Those of a domain's kernel are parameters of its modules. */
static const char *const limit_params[] = {
    NULL, NULL, "xen_gntalloc/limit", "xen_gntdev/limit", "xen_privcmd/unrestricted"
};

static int set_limit(struct machine *m, struct domain *d, int limit, int64_t value)
{
    if (limit_params[limit])
        return kernel_param_set(d->kernel, limit_params[limit], value);
    if (limit == 0)
        return hv_domain_set_limits(m->hv, d->id, (int32_t)value, -1) ?: value ? 0 : -EINVAL;
    return hv_domain_set_limits(m->hv, d->id, -1, (int32_t)value);
}

json_object *verb_limit(struct request *request)
{
    const char *what;
    struct domain *d;
    json_object *json;
    int64_t value;
    int limit, rc;
    domid_t id;

    if (!control_domid(request, &id) || !control_int(request, "value", -1, 0, INT32_MAX, &value))
        return NULL;
    if (!json_object_object_get_ex(request->args, "what", &json))
        return control_refuse(request, "\"what\" is missing: %s", WORDS_OR(limit_names));
    d = machine_domain(request->machine, id);
    if (!d)
        return control_no_domain(request, id);
    what = json_object_get_string(json);
    limit = word_find(limit_names, what);
    if (limit < 0)
        return control_refuse(request, "there is no limit '%.64s': use %s", what,
                              WORDS_OR(limit_names));
    rc = set_limit(request->machine, d, limit, value);
    if (rc == -EBUSY)
        return control_refuse(request, "domain %u uses more than %" PRId64 " of its %s already",
                              id, value, what);
    if (rc)
        return control_refuse(request, "%" PRId64 " is not a possible value of %s", value, what);
    return control_done();
}

json_object *verb_domain_suspend(struct request *request)
{
    int64_t as, version;
    domid_t id, now;
    int rc;

    if (!control_domid(request, &id) ||
        !control_int(request, "as", -1, -1, DOMID_FIRST_RESERVED - 1, &as) ||
        !control_int(request, "grant_version", 0, 0, 2, &version))
        return NULL;
    if (!machine_domain(request->machine, id))
        return control_no_domain(request, id);
    rc = machine_domain_suspend(request->machine, id, (int)as, (unsigned)version, &now);
    if (rc == -EEXIST)
        return control_refuse(
            request,
            "domain %" PRId64
            " exists already, or is dead and its frames are still mapped by others",
            as);
    if (rc)
        return control_refuse(request, "cannot suspend domain %u: %s", id, strerror(-rc));
    return guest_value("domain", now);
}
