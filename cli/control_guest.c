/* SPDX-License-Identifier: MIT */
/* The verbs that act as a driver inside a domain's kernel: machine/actor.h over the control socket. */
#include "control_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

/* ---- Arguments -------------------------------------------------------------------------------- */

const char *gntst_name(int16_t status)
{
    static const char *const names[] = {
        "okay", "general_error", "bad_domain", "bad_gntref", "bad_handle", "bad_virt_addr", "bad_dev_addr", "no_device_space",
        "permission_denied", "bad_page", "bad_copy_arg", "address_too_big", "eagain", "no_space",
    };

    return status <= 0 && -status < (int)(sizeof names / sizeof *names) ? names[-status] : "unknown";
}

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
    control_refuse(request, "\"%s\" must be true or false, not %s", key, json_object_get_string(value));
    return false;
}

static bool has(struct request *request, const char *key)
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
        if (!has(request, kinds[i].key))
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

/* ---- Errors ----------------------------------------------------------------------------------- */

json_object *guest_no_object(struct request *request, const char *what)
{
    json_object *value = json_object_object_get(request->args, what);

    return control_refuse(request, "domain %s has no %s %s", json_object_get_string(json_object_object_get(request->args, "domain")),
                          what, json_object_get_string(value));
}

json_object *guest_failed(struct request *request, const char *what, long rc)
{
    return control_refuse(request, "%s: %s", what, strerror((int)-rc));
}

json_object *guest_place_error(struct request *request, const struct actor_place *place, int rc)
{
    static const char *const names[] = { [ACTOR_PAGE] = "page", [ACTOR_MAPPING] = "mapping", [ACTOR_REF] = "ref" };

    switch (rc) {
    case -ENOENT:
        return guest_no_object(request, names[place->kind]);
    case -ERANGE:
        return control_refuse(request, "that is not within the %s (or more than %u bytes at once)", names[place->kind], ACTOR_MAX_ACCESS);
    case -EACCES:
        return control_refuse(request, "mapping %lld is read-only: a write would be a page fault", (long long)place->id);
    case -EAGAIN:
        return control_refuse(request, "nothing is mapped in mapping %lld (now)", (long long)place->id);
    default:
        return guest_failed(request, "cannot access guest memory", rc);
    }
}

json_object *guest_value(const char *key, int64_t value)
{
    json_object *object = json_object_new_object();

    json_object_object_add(object, key, json_object_new_int64(value));
    return object;
}

static json_object *status_object(int16_t status)
{
    json_object *object = json_object_new_object();

    json_object_object_add(object, "status", json_object_new_string(gntst_name(status)));
    return object;
}

/* ---- Pages and grants ------------------------------------------------------------------------- */

static json_object *verb_page(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t count, page;

    if (!actor || !control_int(request, "count", 1, 1, ACTOR_MAX_BATCH, &count))
        return NULL;
    page = actor_page_alloc(actor, (unsigned)count);
    return page < 0 ? guest_failed(request, "cannot allocate guest pages", page) : guest_value("page", page);
}

static json_object *verb_page_free(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t page;
    bool force;
    int rc;

    if (!actor || !guest_number(request, "page", INT64_MAX, &page) || !guest_bool(request, "force", &force))
        return NULL;
    rc = actor_page_free(actor, page, force);
    if (rc == -EBUSY)
        return control_refuse(request, "page %lld is granted: end its grants first (guest-end), or say \"force\" to act as a buggy "
                              "kernel", (long long)page);
    return rc ? guest_no_object(request, "page") : control_done();
}

static json_object *verb_grant(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t page, to, count, ref = -EINVAL;
    json_object *refs, *result;
    bool readonly;

    if (!actor || !guest_number(request, "page", INT64_MAX, &page) || !guest_number(request, "to", UINT16_MAX, &to) ||
        !control_int(request, "count", 1, 1, ACTOR_MAX_BATCH, &count) || !guest_bool(request, "readonly", &readonly))
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
            actor_end_deferred(actor, (grant_ref_t)json_object_get_int64(json_object_array_get_idx(refs, i)));
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
    rc = deferred ? actor_end_deferred(actor, (grant_ref_t)ref) : actor_end(actor, (grant_ref_t)ref);
    if (rc < 0)
        return control_refuse(request, "reference %lld was not granted with guest-grant, or has ended", (long long)ref);
    result = json_object_new_object();
    if (!deferred)
        json_object_object_add(result, "ended", json_object_new_boolean(rc));
    return result;
}

static json_object *verb_end(struct request *request)
{
    return end_verb(request, false);
}

static json_object *verb_end_deferred(struct request *request)
{
    return end_verb(request, true);
}

/* What is named is written, the rest stays. Answers what was there before. */
static json_object *verb_entry(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t ref, flags, to, frame, page;
    struct actor_entry old, new;
    json_object *result;

    if (!actor || !guest_number(request, "ref", UINT32_MAX, &ref))
        return NULL;
    if (actor_entry_read(actor, (grant_ref_t)ref, &old))
        return control_refuse(request, "the grant table of that domain has %u entries", actor_nr_entries(actor));
    if (!control_int(request, "flags", old.flags, 0, UINT16_MAX, &flags) || !control_int(request, "to", old.to, 0, UINT16_MAX, &to) ||
        !control_int(request, "frame", (int64_t)(old.frame & INT64_MAX), 0, INT64_MAX, &frame))
        return NULL;
    new = (struct actor_entry){ (uint16_t)flags, (domid_t)to, (uint64_t)frame };
    if (has(request, "page")) {
        if (!guest_number(request, "page", INT64_MAX, &page))
            return NULL;
        if (actor_page_frame(actor, page, &new.frame))
            return guest_no_object(request, "page");
    }
    if (has(request, "flags") || has(request, "to") || has(request, "frame") || has(request, "page"))
        actor_entry_write(actor, (grant_ref_t)ref, &new);
    result = guest_value("flags", old.flags);
    json_object_object_add(result, "to", json_object_new_int(old.to));
    json_object_object_add(result, "frame", json_object_new_uint64(old.frame));
    return result;
}

static json_object *verb_version(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int64_t version;
    int rc;

    if (!actor || !guest_number(request, "version", INT32_MAX, &version))
        return NULL;
    rc = actor_set_version(actor, (unsigned)version);
    return rc < 0 ? guest_failed(request, "cannot change the grant table's version", rc) : guest_value("version", rc);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static int nibble(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c | 0x20);

    return c && at ? (int)(at - digits) : -1;
}

/* Bytes of a hex string, in allocated memory. NULL after setting the error. */
static uint8_t *get_hex(struct request *request, size_t *size)
{
    json_object *value = json_object_object_get(request->args, "hex");
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
    size_t len = text ? strlen(text) : 1;
    uint8_t *bytes = NULL;

    if (text && len % 2 == 0 && len / 2 <= ACTOR_MAX_ACCESS)
        bytes = malloc(len / 2 + 1);
    *size = len / 2;
    for (size_t i = 0; bytes && i < *size; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            free(bytes);
            bytes = NULL;
            break;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (!bytes)
        control_refuse(request, "\"hex\" must be a string of pairs of hexadecimal digits, for at most %u bytes", ACTOR_MAX_ACCESS);
    return bytes;
}

static json_object *verb_write(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_place place;
    uint8_t *bytes;
    size_t size;
    int rc;

    if (!actor || !guest_place(request, &place) || !(bytes = get_hex(request, &size)))
        return NULL;
    rc = actor_write(actor, &place, bytes, size);
    free(bytes);
    return rc ? guest_place_error(request, &place, rc) : control_done();
}

static json_object *verb_read(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_place place;
    json_object *result;
    uint8_t *bytes;
    int64_t size;
    char *text;
    int rc;

    if (!actor || !guest_place(request, &place) || !guest_number(request, "size", ACTOR_MAX_ACCESS, &size))
        return NULL;
    bytes = malloc((size_t)size + 1);
    text = malloc(2 * (size_t)size + 1);
    rc = bytes && text ? actor_read(actor, &place, bytes, (size_t)size) : -ENOMEM;
    if (rc) {
        result = guest_place_error(request, &place, rc);
    } else {
        for (int64_t i = 0; i < size; i++) {
            text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
            text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
        }
        text[2 * size] = 0;
        result = json_object_new_object();
        json_object_object_add(result, "hex", json_object_new_string(text));
    }
    free(bytes);
    free(text);
    return result;
}

/* ---- Mappings and copies ---------------------------------------------------------------------- */

/* "ref" or "refs", in allocated memory. NULL after setting the error. */
static grant_ref_t *get_refs(struct request *request, unsigned *nr)
{
    json_object *list = json_object_object_get(request->args, "refs");
    grant_ref_t *refs;
    int64_t ref;

    if (!list) {
        if (!guest_number(request, "ref", UINT32_MAX, &ref))
            return NULL;
        refs = malloc(sizeof *refs);
        if (refs)
            *refs = (grant_ref_t)ref;
        *nr = 1;
        return refs;
    }
    *nr = json_object_is_type(list, json_type_array) ? (unsigned)json_object_array_length(list) : 0;
    refs = *nr && *nr <= ACTOR_MAX_BATCH ? calloc(*nr, sizeof *refs) : NULL;
    for (unsigned i = 0; refs && i < *nr; i++) {
        json_object *item = json_object_array_get_idx(list, i);

        ref = json_object_get_int64(item);
        if (!json_object_is_type(item, json_type_int) || ref < 0 || ref > UINT32_MAX) {
            free(refs);
            refs = NULL;
            break;
        }
        refs[i] = (grant_ref_t)ref;
    }
    if (!refs)
        control_refuse(request, "\"refs\" must be a list of 1 to %u grant references", ACTOR_MAX_BATCH);
    return refs;
}

static json_object *mapping_object(const struct actor_mapping *mapping)
{
    json_object *object = status_object(mapping->status);

    if (mapping->id && (mapping->pending || mapping->status == GNTST_okay))
        json_object_object_add(object, "mapping", json_object_new_int64(mapping->id));
    if (mapping->pending)
        json_object_object_add(object, "pending", json_object_new_boolean(true));
    else if (mapping->status != GNTST_okay)
        json_object_object_add(object, "index", json_object_new_int64(mapping->index));
    return object;
}

static json_object *verb_map(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_mapping mapping;
    grant_ref_t *refs;
    int64_t granter;
    unsigned nr;
    bool readonly;
    int rc;

    if (!actor || !guest_number(request, "granter", UINT16_MAX, &granter) || !guest_bool(request, "readonly", &readonly) ||
        !(refs = get_refs(request, &nr)))
        return NULL;
    rc = actor_map(actor, (domid_t)granter, refs, nr, readonly, &mapping);
    free(refs);
    return rc ? guest_failed(request, "cannot map", rc) : mapping_object(&mapping);
}

static json_object *verb_mapping(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_mapping mapping;
    int64_t id;

    if (!actor || !guest_number(request, "mapping", INT64_MAX, &id))
        return NULL;
    return actor_mapping(actor, id, &mapping) ? guest_no_object(request, "mapping") : mapping_object(&mapping);
}

static json_object *verb_unmap(struct request *request)
{
    struct actor *actor = guest_actor(request);
    int16_t status;
    int64_t id;
    int rc;

    if (!actor || !guest_number(request, "mapping", INT64_MAX, &id))
        return NULL;
    rc = actor_unmap(actor, id, &status);
    if (rc == -ENOENT)
        return guest_no_object(request, "mapping");
    if (rc == -EBUSY)
        return control_refuse(request, "mapping %lld is still being made: its kernel retries (see guest-mapping)", (long long)id);
    return rc ? guest_failed(request, "cannot unmap", rc) : status_object(status);
}

/* {"page": P, "offset": O} or {"domain": D, "ref": R, "offset": O} */
static bool get_copy_end(struct request *request, const char *key, struct actor_copy_end *end)
{
    struct request inner = { .args = json_object_object_get(request->args, key) };
    int64_t domain = 0, ref = 0, page = 0, offset;
    bool ok;

    if (!json_object_is_type(inner.args, json_type_object)) {
        control_refuse(request, "\"%s\" must be an object with a \"page\", or a \"domain\" and a \"ref\"", key);
        return false;
    }
    end->foreign = has(&inner, "ref");
    ok = guest_number(&inner, "offset", UINT16_MAX, &offset);
    if (end->foreign)
        ok = ok && guest_number(&inner, "domain", UINT16_MAX, &domain) && guest_number(&inner, "ref", UINT32_MAX, &ref);
    else
        ok = ok && guest_number(&inner, "page", INT64_MAX, &page);
    if (!ok) {
        control_refuse(request, "\"%s\": %s", key, inner.error);
        return false;
    }
    end->domain = (domid_t)domain;
    end->ref = (grant_ref_t)ref;
    end->page = page;
    end->offset = (uint16_t)offset;
    return true;
}

static json_object *verb_copy(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_copy_end source, dest;
    int16_t status;
    int64_t size;
    int rc;

    if (!actor || !get_copy_end(request, "source", &source) || !get_copy_end(request, "dest", &dest) ||
        !guest_number(request, "size", UINT16_MAX, &size))
        return NULL;
    rc = actor_copy(actor, &source, &dest, (uint16_t)size, &status);
    if (rc == -ENOENT)
        return control_refuse(request, "there is no such page: %s to %s", json_object_get_string(json_object_object_get(request->args,
                              "source")), json_object_get_string(json_object_object_get(request->args, "dest")));
    return rc ? guest_failed(request, "cannot copy", rc) : status_object(status);
}

const struct verb control_guest_verbs[] = {
    { "guest-page", verb_page },
    { "guest-page-free", verb_page_free },
    { "guest-grant", verb_grant },
    { "guest-end", verb_end },
    { "guest-end-deferred", verb_end_deferred },
    { "guest-entry", verb_entry },
    { "guest-version", verb_version },
    { "guest-write", verb_write },
    { "guest-read", verb_read },
    { "guest-map", verb_map },
    { "guest-mapping", verb_mapping },
    { "guest-unmap", verb_unmap },
    { "guest-copy", verb_copy },
    { NULL, NULL },
};
