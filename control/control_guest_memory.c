/* SPDX-License-Identifier: MIT */
/* The verbs for an actor's memory, mappings and copies (guests/actor.h). */
#include "control_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/ops.h>

#include "json_add.h"

/* ---- Memory ---------------------------------------------------------------------------------- */

static int nibble(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c | 0x20);

    return c && at ? (int)(at - digits) : -1;
}

/* Bytes of a hex string, in allocated memory. NULL after setting the error. */
static uint8_t *get_hex(struct request *request, size_t *size)
{
    json_object *value = json_object_object_get(request->args, "hex");
    const char *text = json_object_is_type(value, json_type_string)
        ? json_object_get_string(value) : NULL;
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
        control_refuse(
            request,
            "\"hex\" must be a string of pairs of hexadecimal digits, for at most %u bytes",
            ACTOR_MAX_ACCESS);
    return bytes;
}

json_object *verb_guest_write(struct request *request)
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

json_object *verb_guest_read(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_place place;
    json_object *result;
    uint8_t *bytes;
    int64_t size;
    char *text;
    int rc;

    if (!actor || !guest_place(request, &place) ||
        !guest_number(request, "size", ACTOR_MAX_ACCESS, &size))
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
        json_add_text(result, "hex", text);
    }
    free(bytes);
    free(text);
    return result;
}

/* ---- Mappings and copies --------------------------------------------------------------------- */

static json_object *status_object(int16_t status)
{
    json_object *object = json_object_new_object();
    const char *name = hv_status_name(status);

    json_add_text(object, "status", name ? name : "unknown");
    return object;
}

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
        control_refuse(request, "\"refs\" must be a list of 1 to %u grant references",
                       ACTOR_MAX_BATCH);
    return refs;
}

static json_object *mapping_object(const struct actor_mapping *mapping)
{
    json_object *object = status_object(mapping->status);

    if (mapping->id && (mapping->pending || mapping->status == GNTST_okay))
        json_add_int(object, "mapping", mapping->id);
    if (mapping->pending)
        json_add_bool(object, "pending", true);
    else if (mapping->status != GNTST_okay)
        json_add_int(object, "index", mapping->index);
    return object;
}

json_object *verb_guest_map(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_mapping mapping;
    grant_ref_t *refs;
    int64_t granter;
    unsigned nr;
    bool readonly;
    int rc;

    if (!actor || !guest_number(request, "granter", UINT16_MAX, &granter) ||
        !guest_bool(request, "readonly", &readonly) || !(refs = get_refs(request, &nr)))
        return NULL;
    rc = actor_map(actor, (domid_t)granter, refs, nr, readonly, &mapping);
    free(refs);
    return rc ? guest_failed(request, "cannot map", rc) : mapping_object(&mapping);
}

json_object *verb_guest_mapping(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_mapping mapping;
    int64_t id;

    if (!actor || !guest_number(request, "mapping", INT64_MAX, &id))
        return NULL;
    return actor_mapping(actor, id, &mapping)
        ? guest_no_object(request, "mapping") : mapping_object(&mapping);
}

json_object *verb_guest_unmap(struct request *request)
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
        return control_refuse(
            request, "mapping %lld is still being made: its kernel retries (see guest-mapping)",
            (long long)id);
    return rc ? guest_failed(request, "cannot unmap", rc) : status_object(status);
}

/* {"page": P, "offset": O} or {"domain": D, "ref": R, "offset": O} */
static bool get_copy_end(struct request *request, const char *key, struct actor_copy_end *end)
{
    struct request inner = { .args = json_object_object_get(request->args, key) };
    int64_t domain = 0, ref = 0, page = 0, offset;
    bool ok;

    if (!json_object_is_type(inner.args, json_type_object)) {
        control_refuse(request,
                       "\"%s\" must be an object with a \"page\", or a \"domain\" and a \"ref\"",
                       key);
        return false;
    }
    end->foreign = guest_has(&inner, "ref");
    ok = guest_number(&inner, "offset", UINT16_MAX, &offset);
    if (end->foreign)
        ok = ok && guest_number(&inner, "domain", UINT16_MAX, &domain) &&
             guest_number(&inner, "ref", UINT32_MAX, &ref);
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

json_object *verb_guest_copy(struct request *request)
{
    struct actor *actor = guest_actor(request);
    struct actor_copy_end source, dest;
    int16_t status;
    int64_t size;
    int rc;

    if (!actor || !get_copy_end(request, "source", &source) ||
        !get_copy_end(request, "dest", &dest) || !guest_number(request, "size", UINT16_MAX, &size))
        return NULL;
    rc = actor_copy(actor, &source, &dest, (uint16_t)size, &status);
    if (rc == -ENOENT)
        return control_refuse(
            request, "there is no such page: %s to %s",
            json_object_get_string(json_object_object_get(request->args, "source")),
            json_object_get_string(json_object_object_get(request->args, "dest")));
    return rc ? guest_failed(request, "cannot copy", rc) : status_object(status);
}
