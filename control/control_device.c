/* SPDX-License-Identifier: MIT */
/* The verbs of devices: what a toolstack attaches to domains through the store. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_i.h"
#include "devices.h"
#include "json_add.h"
#include "store_way.h"

static const char *const states[] = { "unknown",     "initialising", "initwait",
                                      "initialised", "connected",    "closing",
                                      "closed",      "reconfiguring", "reconfigured" };

#define MOST_VALUES 32

static json_object *row_of(domid_t domain, const struct device_seen *device)
{
    json_object *row = control_done();

    json_add_int(row, "domain", domain);
    json_add_text(row, "kind", device->kind);
    json_add_int(row, "id", device->id);
    json_add_text(row, "front", states[device->front_state]);
    json_add_text(row, "back", states[device->back_state]);
    json_add_bool(row, "connected", device->connected);
    json_add_text(row, "frontend", device->front);
    json_add_text(row, "backend", device->back);
    return row;
}

static bool text_of(struct request *request, const char *key, const char **out)
{
    json_object *value;

    *out = NULL;
    if (!json_object_object_get_ex(request->args, key, &value))
        return true;
    if (json_object_is_type(value, json_type_string))
        *out = json_object_get_string(value);
    else
        control_refuse(request, "\"%s\" is a text", key);
    return *out;
}

static json_object *refuse_kind(struct request *request, const char *name, const char *type)
{
    char list[128] = "";

    for (const struct device_kind *kind = device_kinds; kind->name; kind++) {
        bool fits = type ? !strcmp(kind->name, name) && kind->type
                         : kind == device_kinds || strcmp(kind[-1].name, kind->name);
        const char *word = type ? kind->type : kind->name;

        if (fits && strlen(list) + strlen(word) + 3 < sizeof list)
            strcat(strcat(list, *list ? ", " : ""), word);
    }
    if (type)
        return control_refuse(request, "no %s has type '%s'%s%s", name, type,
                              *list ? "; there are: " : "", list);
    return control_refuse(request, "there is no kind of device '%s'; there are: %s",
                          name ? name : "", list);
}

static const struct device_kind *kind_of(struct request *request)
{
    const char *name, *type;
    const struct device_kind *kind;

    if (!text_of(request, "kind", &name) || !text_of(request, "type", &type))
        return NULL;
    kind = name ? device_kind_find(name, type) : NULL;
    if (!kind)
        refuse_kind(request, name, name && device_kind_find(name, NULL) ? type : NULL);
    return kind;
}

static json_object *refuse_key(struct request *request, const struct device_kind *kind,
                               const char *key)
{
    char list[160] = "";

    for (const struct device_key *row = kind->keys; row->key; row++)
        if (!(row->flags & KEY_FIXED) && device_kind_key(kind, row->key) == row &&
            strlen(list) + strlen(row->key) + 3 < sizeof list)
            strcat(strcat(list, *list ? ", " : ""), row->key);
    return control_refuse(request, "nobody chooses '%s' of a %s%s%s", key, kind->name,
                          *list ? "; there are: " : "", list);
}

/* The values that the request gives; the texts stay the request's. -1 after setting the error. */
static int values_of(struct request *request, const struct device_kind *kind,
                     struct device_value values[MOST_VALUES])
{
    json_object *given;
    int nr = 0;

    if (!json_object_object_get_ex(request->args, "keys", &given))
        return 0;
    if (!json_object_is_type(given, json_type_object)) {
        control_refuse(request, "\"keys\" is an object, like {\"params\": \"raw:/disk.img\"}");
        return -1;
    }
    json_object_object_foreach(given, key, value) {
        const char *text = json_object_get_string(value);

        if (!device_kind_key(kind, key) || nr == MOST_VALUES) {
            refuse_key(request, kind, key);
            return -1;
        }
        if (!text || strlen(text) > XENSTORE_PAYLOAD_MAX / 2) {
            control_refuse(request, "the value of '%s' is no text, or too long", key);
            return -1;
        }
        values[nr++] = (struct device_value){ key, (char *)text };
    }
    return nr;
}

static bool has_all(struct request *request, const struct device_kind *kind,
                    const struct device_value *values, int nr)
{
    for (const struct device_key *row = kind->keys; row->key; row++) {
        bool found = !(row->flags & KEY_REQUIRED);

        for (int i = 0; i < nr && !found; i++)
            found = !strcmp(values[i].key, row->key);
        if (!found) {
            control_refuse(request, "a %s needs %s=VALUE", kind->name, row->key);
            return false;
        }
    }
    return true;
}

static json_object *refuse(struct request *request, int rc, domid_t domain, domid_t backend)
{
    switch (-rc) {
    case ENOTSUP:
        return control_refuse(request, "this machine has no store");
    case ESRCH:
        return control_no_domain(request, domain);
    case EREMOTE:
        return control_no_domain(request, backend);
    case EEXIST:
        return control_refuse(request, "domain %u has such a device with this id", domain);
    case ENOENT:
        return control_refuse(request, "domain %u has no such device: see device list", domain);
    default:
        return control_refuse(request, "the store answers: %s", strerror(-rc));
    }
}

/* ---- The verbs ------------------------------------------------------------------------------- */

json_object *verb_device_attach(struct request *request)
{
    struct device_value values[MOST_VALUES];
    struct device_wish wish = { .values = values };
    struct device_seen device;
    int64_t backend;
    int nr, rc;

    if (!control_domid(request, &wish.domain) ||
        !control_int(request, "backend", 0, 0, DOMID_FIRST_RESERVED - 1, &backend) ||
        !control_int(request, "id", -1, -1, INT32_MAX, &wish.id))
        return NULL;
    wish.backend = (domid_t)backend;
    wish.kind = kind_of(request);
    nr = wish.kind ? values_of(request, wish.kind, values) : -1;
    if (nr < 0 || !has_all(request, wish.kind, values, nr))
        return NULL;
    wish.nr_values = (size_t)nr;
    /* Domain 0 is there for a toolstack before a program runs in it. */
    rc = wish.domain || machine_domain(request->machine, 0)
           ? 0
           : machine_domain_create(request->machine, 0, NULL, NULL);
    if (!rc)
        rc = store_device_attach(request->machine, &wish, &device);
    return rc ? refuse(request, rc, wish.domain, wish.backend) : row_of(wish.domain, &device);
}

struct listing {
    domid_t domain;
    json_object *list;
    const char *kind;               /* NULL: all */
    int64_t id;                     /* -1: the only one */
    unsigned nr_found;
    struct device_seen found;       /* the first of these */
};

static void add_row(void *ctx, const struct device_seen *device)
{
    struct listing *listing = ctx;

    json_object_array_add(listing->list, row_of(listing->domain, device));
}

json_object *verb_device_list(struct request *request)
{
    struct listing listing = { .list = NULL };
    struct machine *m = request->machine;
    int64_t domain;

    if (!control_int(request, "domain", -1, -1, DOMID_FIRST_RESERVED - 1, &domain))
        return NULL;
    if (domain > 0 && !machine_domain(m, (domid_t)domain))
        return control_no_domain(request, (domid_t)domain);
    listing.list = json_object_new_array();
    for (struct domain *d = m->domains, *next; d; d = next) {
        listing.domain = d->id;
        /* To ask a daemon takes a moment without the lock, in which the domain may end. */
        domain_enter(d);
        if (!d->dead && (domain < 0 || d->id == domain))
            store_devices_see(m, d->id, add_row, &listing);
        next = d->next;
        domain_leave(d);
    }
    return listing.list;
}

static void find(void *ctx, const struct device_seen *device)
{
    struct listing *listing = ctx;

    if (strcmp(device->kind, listing->kind) || (listing->id >= 0 && device->id != listing->id))
        return;
    if (!listing->nr_found++)
        listing->found = *device;
}

json_object *verb_device_detach(struct request *request)
{
    struct listing listing = { .id = -1 };
    json_object *result;
    bool gone, by_force = control_is_true(request, "force");
    int rc;

    if (!control_domid(request, &listing.domain) ||
        !control_int(request, "id", -1, -1, INT32_MAX, &listing.id) ||
        !text_of(request, "kind", &listing.kind))
        return NULL;
    if (!listing.kind || !device_kind_find(listing.kind, NULL))
        return refuse_kind(request, listing.kind, NULL);
    store_devices_see(request->machine, listing.domain, find, &listing);
    if (listing.nr_found > 1)
        return control_refuse(request, "domain %u has %u %s devices: name one by its id (see "
                              "device list)", listing.domain, listing.nr_found, listing.kind);
    rc = store_device_detach(request->machine, listing.domain, listing.kind, listing.found.id,
                             by_force, &gone, &listing.found);
    if (rc)
        return refuse(request, rc, listing.domain, 0);
    result = row_of(listing.domain, &listing.found);
    json_add_bool(result, "gone", gone);
    return result;
}
