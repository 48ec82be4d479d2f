/* SPDX-License-Identifier: MIT */
/* The verbs for an actor's pages and grants (guests/actor.h), and what all such verbs share. */
#include "control_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json_add.h"
#include "machine.h"

/* ---- Arguments ------------------------------------------------------------------------------- */

struct actor *guest_actor(struct request *request)
{
    struct actor *actor;
    struct domain *d;
    domid_t id;

    if (!control_domid(request, &id))
        return NULL;
    d = machine_domain(request->machine, id);
    if (!d) {
        control_no_domain(request, id);
        return NULL;
    }
    actor = actor_of(d);
    if (!actor)
        control_refuse(request, "out of memory");
    return actor;
}

bool guest_bool(struct request *request, const char *key, bool *out)
{
    json_object *value;

    *out = false;
    if (!json_object_object_get_ex(request->args, key, &value))
        return true;
    *out = json_object_get_boolean(value);
    if (json_object_is_type(value, json_type_boolean))
        return true;
    control_refuse(request, "\"%s\" must be true or false, not %s", key,
                   json_object_get_string(value));
    return false;
}

bool guest_has(struct request *request, const char *key)
{
    return json_object_object_get_ex(request->args, key, NULL);
}

bool guest_number(struct request *request, const char *key, int64_t max, int64_t *out)
{
    return control_int(request, key, -1, 0, max, out);
}

bool guest_place(struct request *request, struct actor_place *place)
{
    static const struct {
        const char *key;
        int kind;
    } kinds[] = { { "page", ACTOR_PAGE }, { "mapping", ACTOR_MAPPING }, { "ref", ACTOR_REF } };
    int64_t offset;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!guest_has(request, kinds[i].key))
            continue;
        place->kind = kinds[i].kind;
        if (!guest_number(request, kinds[i].key, INT64_MAX, &place->id) ||
            !control_int(request, "offset", 0, 0, INT32_MAX, &offset))
            return false;
        place->offset = (uint64_t)offset;
        return true;
    }
    control_refuse(request, "name a \"page\", a \"mapping\", or a \"ref\" that the domain grants");
    return false;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

json_object *guest_no_object(struct request *request, const char *what)
{
    json_object *value = json_object_object_get(request->args, what);

    return control_refuse(request, "domain %s has no %s %s",
                          json_object_get_string(json_object_object_get(request->args, "domain")),
                          what, json_object_get_string(value));
}

json_object *guest_failed(struct request *request, const char *what, long rc)
{
    return control_refuse(request, "%s: %s", what, strerror((int)-rc));
}

json_object *guest_place_error(struct request *request, const struct actor_place *place, int rc)
{
    static const char *const names[] = {
        [ACTOR_PAGE] = "page", [ACTOR_MAPPING] = "mapping", [ACTOR_REF] = "ref"
    };

    switch (rc) {
    case -ENOENT:
        return guest_no_object(request, names[place->kind]);
    case -ERANGE:
        return control_refuse(request, "that is not within the %s (or more than %u bytes at once)",
                              names[place->kind], ACTOR_MAX_ACCESS);
    case -EACCES:
        return control_refuse(request, "mapping %lld is read-only: a write would be a page fault",
                              (long long)place->id);
    case -EAGAIN:
        return control_refuse(request, "nothing is mapped in mapping %lld (now)",
                              (long long)place->id);
    default:
        return guest_failed(request, "cannot access guest memory", rc);
    }
}

json_object *guest_value(const char *key, int64_t value)
{
    json_object *object = json_object_new_object();

    json_add_int(object, key, value);
    return object;
}

/* ---- Pages and grants ------------------------------------------------------------------------ */

json_object *verb_guest_page(struct request *request)
{
    struct actor *actor = guest_actor(request);
    json_object *result;
    int64_t count, page;
    uint64_t frame;

    if (!actor || !control_int(request, "count", 1, 1, ACTOR_MAX_BATCH, &count))
        return NULL;
    page = actor_page_alloc(actor, (unsigned)count);
    if (page < 0)
        return guest_failed(request, "cannot allocate guest pages", page);
    result = guest_value("page", page);
    if (!actor_page_frame(actor, page, &frame))
        json_object_object_add(result, "frame", json_object_new_uint64(frame));
    return result;
}

json_object *verb_guest_page_free(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t page;
    bool force;
    int rc;

    if (!actor || !guest_number(request, "page", INT64_MAX, &page) ||
        !guest_bool(request, "force", &force))
        return NULL;
    rc = actor_page_free(actor, page, force);
    if (rc == -EBUSY)
        return control_refuse(request,
                              "page %lld is granted: end its grants first (guest-end), or say "
                              "\"force\" to act as a buggy "
                              "kernel",
                              (long long)page);
    return rc ? guest_no_object(request, "page") : control_done();
}

json_object *verb_guest_grant(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t page, to, count, ref = -EINVAL;
    json_object *refs, *result;
    bool readonly;

    if (!actor || !guest_number(request, "page", INT64_MAX, &page) ||
        !guest_number(request, "to", UINT16_MAX, &to) ||
        !control_int(request, "count", 1, 1, ACTOR_MAX_BATCH, &count) ||
        !guest_bool(request, "readonly", &readonly))
        return NULL;
    refs = json_object_new_array();
    for (int64_t i = 0; i < count; i++) {
        ref = actor_grant(actor, page + i, (domid_t)to, readonly);
        if (ref < 0)
            break;
        json_object_array_add(refs, json_object_new_int64(ref));
    }
    if (ref < 0) {
        for (size_t i = json_object_array_length(refs); i-- > 0;)
            actor_end_deferred(
                actor, (grant_ref_t)json_object_get_int64(json_object_array_get_idx(refs, i)));
        json_object_put(refs);
        if (ref == -ENOENT)
            return guest_no_object(request, "page");
        return guest_failed(request, "cannot grant", ref);
    }
    result = guest_value("ref", json_object_get_int64(json_object_array_get_idx(refs, 0)));
    json_object_object_add(result, "refs", refs);
    return result;
}

static json_object *end_verb(struct request *request, bool deferred)
{
    struct actor *actor = guest_actor(request);
    json_object *result;
    int64_t ref;
    int rc;

    if (!actor || !guest_number(request, "ref", UINT32_MAX, &ref))
        return NULL;
    rc = deferred ? actor_end_deferred(actor, (grant_ref_t)ref)
                  : actor_end(actor, (grant_ref_t)ref);
    if (rc < 0)
        return control_refuse(request,
                              "reference %lld was not granted with guest-grant, or has ended",
                              (long long)ref);
    result = json_object_new_object();
    if (!deferred)
        json_add_bool(result, "ended", rc);
    return result;
}

json_object *verb_guest_end(struct request *request)
{
    return end_verb(request, false);
}

json_object *verb_guest_end_deferred(struct request *request)
{
    return end_verb(request, true);
}

/* What is named is written, the rest stays. Answers what was there before. */
json_object *verb_guest_entry(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t ref, flags, to, frame, page;
    struct actor_entry old, new;
    json_object *result;

    if (!actor || !guest_number(request, "ref", UINT32_MAX, &ref))
        return NULL;
    if (actor_entry_read(actor, (grant_ref_t)ref, &old))
        return control_refuse(request, "the grant table of that domain has %u entries",
                              actor_nr_entries(actor));
    if (!control_int(request, "flags", old.flags, 0, UINT16_MAX, &flags) ||
        !control_int(request, "to", old.to, 0, UINT16_MAX, &to) ||
        !control_int(request, "frame", (int64_t)(old.frame & INT64_MAX), 0, INT64_MAX, &frame))
        return NULL;
    new = (struct actor_entry){ (uint16_t)flags, (domid_t)to, (uint64_t)frame };
    if (guest_has(request, "page")) {
        if (!guest_number(request, "page", INT64_MAX, &page))
            return NULL;
        if (actor_page_frame(actor, page, &new.frame))
            return guest_no_object(request, "page");
    }
    if (guest_has(request, "flags") || guest_has(request, "to") || guest_has(request, "frame") ||
        guest_has(request, "page"))
        actor_entry_write(actor, (grant_ref_t)ref, &new);
    result = guest_value("flags", old.flags);
    json_add_int(result, "to", old.to);
    json_add_uint(result, "frame", old.frame);
    return result;
}

json_object *verb_guest_version(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t version;
    int rc;

    if (!actor || !guest_number(request, "version", INT32_MAX, &version))
        return NULL;
    rc = actor_set_version(actor, (unsigned)version);
    return rc < 0 ? guest_failed(request, "cannot change the grant table's version", rc)
                  : guest_value("version", rc);
}
