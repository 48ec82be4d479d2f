/* SPDX-License-Identifier: MIT */
/* Attaches and detaches devices, and looks for them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>
#include <xen/io/xenbus.h>

#include "daemon_i.h"
#include "device_nodes_i.h"

/* What it takes to attach a device once more. */
struct attached {
    struct device_wish wish;
    struct device_value *values;    /* the wish's */
    struct attached *prev, *next;
};

/* ---- Attach ---------------------------------------------------------------------------------- */

static bool is_there(struct store_server *server, const char *libxl)
{
    char front[DEVICE_PATH];

    return store_tool_read(server, device_key_path(libxl, "frontend").text, front, sizeof front);
}

static unsigned free_id(struct store_server *server, const struct device_wish *wish)
{
    const struct device_kind *kind = wish->kind;
    unsigned nth = 0;

    while (is_there(server, device_libxl_path(wish->domain, kind->front, kind->id(nth)).text))
        nth++;
    return wish->kind->id(nth);
}

static void free_attached(struct attached *device)
{
    for (size_t i = 0; i < device->wish.nr_values; i++) {
        free(device->values[i].key);
        free(device->values[i].value);
    }
    free(device->values);
    free(device);
}

static struct store_domain *domain_of(const struct store_server *server, domid_t id)
{
    bool own = store_server_of(server->machine);
    struct domain *d = machine_domain(server->machine, id);

    return d && !d->dead ? part_of_domain(d, own ? &store_part : &store_daemon_part) : NULL;
}

/*
 * Who asks: the machine's own store; or one made in room, by which a daemon is asked: each request
 * lets go of the machine's lock then. NULL: the machine has no store.
 */
static struct store_server *tools_of(struct machine *m, struct store_server *room)
{
    struct store_server *server = store_server_of(m);

    *room = (struct store_server){ .machine = m };
    return server ? server : store_daemon_of(m) ? room : NULL;
}

/* Without memory the device is lost when its domain goes on under another id. */
static void remember(struct store_domain *sd, const struct device_wish *wish, unsigned id)
{
    struct attached *device = calloc(1, sizeof *device);
    struct device_value *values = calloc(wish->nr_values + 1, sizeof *values);

    if (!device || !values) {
        free(device);
        free(values);
        return;
    }
    *device = (struct attached){ .wish = *wish, .values = values };
    device->wish.id = id;
    device->wish.values = values;
    for (size_t i = 0; i < wish->nr_values; i++) {
        values[i].key = strdup(wish->values[i].key);
        values[i].value = strdup(wish->values[i].value);
        if (!values[i].key || !values[i].value)
            abort();
    }
    DL_APPEND(sd->devices, device);
}

static bool see(struct store_server *server, domid_t domain, const char *kind, unsigned id,
                struct device_seen *device);

static int attach_new(struct store_server *server, const struct device_wish *wish,
                      struct device_seen *device)
{
    struct store_domain *sd = domain_of(server, wish->domain);
    unsigned id;
    int rc;

    if (!sd)
        return -ESRCH;
    /* Domain 0 is the toolstack's, also before a program runs in it. */
    if (wish->backend && !domain_of(server, wish->backend))
        return -EREMOTE;
    id = wish->id < 0 ? free_id(server, wish) : (unsigned)wish->id;
    if (is_there(server, device_libxl_path(wish->domain, wish->kind->front, id).text))
        return -EEXIST;
    rc = device_nodes_make(server, wish, id);
    if (rc)
        return rc;
    sd = domain_of(server, wish->domain);    /* it may have ended meanwhile */
    if (!sd)
        return -ESRCH;
    remember(sd, wish, id);
    see(server, wish->domain, wish->kind->front, id, device);
    return 0;
}

int store_device_attach(struct machine *m, const struct device_wish *wish,
                        struct device_seen *device)
{
    struct store_server room, *server = tools_of(m, &room);
    bool before;
    int rc;

    if (!server)
        return -ENOTSUP;
    before = store_work_begin(server);
    rc = attach_new(server, wish, device);
    store_work_end(server, before);
    return rc;
}

/* ---- Look ------------------------------------------------------------------------------------ */

static unsigned state_of(struct store_server *server, const char *directory)
{
    char text[8], *end;
    unsigned long state;

    if (!*directory ||
        !store_tool_read(server, device_key_path(directory, "state").text, text, sizeof text))
        return XenbusStateUnknown;
    state = strtoul(text, &end, 10);
    return end != text && !*end && state <= XenbusStateReconfigured ? (unsigned)state
                                                                    : XenbusStateUnknown;
}

/* Devices without states: the server has published its channel; the console has a terminal. */
static bool has(struct store_server *server, const char *front, const char *key)
{
    char text[DEVICE_PATH];

    return store_tool_read(server, device_key_path(front, key).text, text, sizeof text) && *text;
}

/* False: there is no such device. */
static bool see(struct store_server *server, domid_t domain, const char *kind, unsigned id,
                struct device_seen *device)
{
    struct device_path libxl = device_libxl_path(domain, kind, id);

    *device = (struct device_seen){ .id = id };
    snprintf(device->kind, sizeof device->kind, "%s", kind);
    if (!store_tool_read(server, device_key_path(libxl.text, "frontend").text, device->front,
                         sizeof device->front))
        return false;
    store_tool_read(server, device_key_path(libxl.text, "backend").text, device->back,
                    sizeof device->back);
    device->front_state = state_of(server, device->front);
    device->back_state = state_of(server, device->back);
    if (!*device->back)
        device->connected = has(server, device->front, "event-channel");
    else if (!device->front_state && !strcmp(kind, "console"))
        device->connected = has(server, device->front, "tty");
    else
        device->connected = device->front_state == XenbusStateConnected &&
                            device->back_state == XenbusStateConnected;
    return *device->front;
}

static void see_kind(struct store_server *server, domid_t domain, const char *kind,
                     void (*each)(void *ctx, const struct device_seen *device), void *ctx)
{
    char path[DEVICE_PATH], names[XENSTORE_PAYLOAD_MAX];
    struct device_seen device;
    size_t len;

    snprintf(path, sizeof path, "/libxl/%u/device/%.64s", domain, kind);
    len = store_tool_names(server, path, names);
    for (const char *id = names; id < names + len; id += strlen(id) + 1) {
        if (see(server, domain, kind, (unsigned)strtoul(id, NULL, 10), &device))
            each(ctx, &device);
    }
}

static void see_all(struct store_server *server, domid_t domain,
                    void (*each)(void *ctx, const struct device_seen *device), void *ctx)
{
    char path[DEVICE_PATH], names[XENSTORE_PAYLOAD_MAX];
    size_t len;

    snprintf(path, sizeof path, "/libxl/%u/device", domain);
    len = store_tool_names(server, path, names);
    for (const char *kind = names; kind < names + len; kind += strlen(kind) + 1)
        see_kind(server, domain, kind, each, ctx);
}

void store_devices_see(struct machine *m, domid_t domain,
                       void (*each)(void *ctx, const struct device_seen *device), void *ctx)
{
    struct store_server room, *server = tools_of(m, &room);
    bool before;

    if (!server)
        return;
    before = store_work_begin(server);
    see_all(server, domain, each, ctx);
    store_work_end(server, before);
}

/* ---- Detach ---------------------------------------------------------------------------------- */

static void remove_nodes(struct store_server *server, domid_t domain,
                         const struct device_seen *device)
{
    char keep[DEVICE_PATH];

    snprintf(keep, sizeof keep, "/local/domain/%u/data", domain);
    store_tool_prune(server, device->front, *device->back ? "" : keep);
    if (*device->back)
        store_tool_prune(server, device->back, "");
    store_tool_prune(server, device_libxl_path(domain, device->kind, device->id).text, "");
}

static void forget(struct store_domain *sd, const char *kind, unsigned id)
{
    struct attached *device, *next;

    DL_FOREACH_SAFE(sd->devices, device, next) {
        if (strcmp(device->wish.kind->front, kind) || device->wish.id != id)
            continue;
        DL_DELETE(sd->devices, device);
        free_attached(device);
    }
}

static void detach(struct store_server *server, domid_t domain, bool gone,
                   const struct device_seen *device)
{
    struct store_domain *sd;

    do {
        store_tool_begin(server);
        if (gone) {
            remove_nodes(server, domain, device);
        } else if (device->back_state != XenbusStateClosing) {
            store_tool_write(server, device_key_path(device->back, "online").text, "0");
            store_tool_write(server, device_key_path(device->back, "state").text, "5");
        }
    } while (store_tool_end(server, true) == -EAGAIN);
    sd = domain_of(server, domain);
    if (gone && sd)
        forget(sd, device->kind, device->id);
}

int store_device_detach(struct machine *m, domid_t domain, const char *kind, unsigned id,
                        bool force, bool *gone, struct device_seen *device)
{
    struct store_server room, *server = tools_of(m, &room);
    struct store_domain *sd = server ? domain_of(server, domain) : NULL;
    int rc = 0;
    bool before;

    if (!sd)
        return server ? -ESRCH : -ENOTSUP;
    before = store_work_begin(server);
    if (see(server, domain, kind, id, device)) {
        *gone = force || !device->back_state || device->back_state == XenbusStateClosed;
        detach(server, domain, *gone, device);
    } else {
        rc = -ENOENT;
    }
    store_work_end(server, before);
    return rc;
}

/* ---- The end of a domain, and another id ----------------------------------------------------- */

struct going {
    struct store_server *server;
    domid_t domain;
};

static void remove_one(void *ctx, const struct device_seen *device)
{
    const struct going *going = ctx;

    remove_nodes(going->server, going->domain, device);
}

void store_devices_gone(struct store_server *server, unsigned domid)
{
    struct going going = { server, (domid_t)domid };

    see_all(server, (domid_t)domid, remove_one, &going);
}

struct attached *store_devices_take(struct store_domain *sd)
{
    struct attached *devices = sd->devices;

    sd->devices = NULL;
    return devices;
}

void store_devices_again(struct store_server *server, unsigned domid, struct attached *devices)
{
    struct attached *device, *next;
    struct device_seen seen;

    DL_FOREACH_SAFE(devices, device, next) {
        device->wish.domain = (domid_t)domid;
        store_device_attach(server->machine, &device->wish, &seen);
        free_attached(device);
    }
}

void store_devices_free(struct store_domain *sd)
{
    struct attached *device, *next;

    DL_FOREACH_SAFE(sd->devices, device, next)
        free_attached(device);
    sd->devices = NULL;
}
