/* SPDX-License-Identifier: MIT */
/* Finds in a trace when grants, mappings and event channels begin and end, and what leads where. */
#include <inttypes.h>
#include <string.h>

#include <gntsim/ops.h>

#include "chrome_i.h"

/* An event, and where it happened. */
struct told {
    struct chrome *chrome;
    json_object *args;
    const struct chrome_place *place;
    int64_t domain;
    bool done; /* what the event tells of was done */
};

static int64_t argument(const struct told *t, const char *key)
{
    return chrome_number(t->args, key, -1);
}

static int64_t domain_of(const struct told *t, const char *key)
{
    int64_t domain = argument(t, key);

    return domain == DOMID_SELF ? t->domain : domain;
}

static struct chrome_key key_of(enum chrome_kind kind, int64_t domain, int64_t number)
{
    return (struct chrome_key){ .kind = kind, .domain = domain, .number = number };
}

static struct chrome_span *find(const struct told *t, enum chrome_kind kind, const char *number)
{
    return chrome_find(t->chrome, kind, t->domain, argument(t, number));
}

static void close_all(const struct told *t, bool ports_only)
{
    struct chrome_span *span, *next;

    HASH_ITER(hh, t->chrome->open, span, next)
        if (span->key.domain == t->domain && (!ports_only || span->key.kind == CHROME_PORT))
            chrome_close(t->chrome, span, t->place, NULL);
}

/* ---- Grants and mappings --------------------------------------------------------------------- */

static void on_grant(const struct told *t)
{
    struct chrome_key key = key_of(CHROME_GRANT, t->domain, argument(t, "ref"));

    chrome_open(t->chrome, &key, t->place, t->args, "grant %" PRId64 " to domain %" PRId64,
                key.number, argument(t, "to"));
}

static void on_grant_end(const struct told *t)
{
    chrome_close(t->chrome, find(t, CHROME_GRANT, "ref"), t->place, NULL);
}

static void on_map(const struct told *t)
{
    struct chrome_key key = key_of(CHROME_MAPPING, t->domain, argument(t, "handle"));
    int64_t peer = argument(t, "peer"), ref = argument(t, "ref");
    struct chrome_span *grant = chrome_find(t->chrome, CHROME_GRANT, peer, ref);

    if (!t->done || key.number < 0)
        return;
    chrome_open(t->chrome, &key, t->place, t->args,
                "mapping of grant %" PRId64 " of domain %" PRId64, ref, peer);
    if (grant)
        chrome_flow(t->chrome, "grant is mapped", &grant->made, t->place);
}

static void on_unmap(const struct told *t)
{
    if (t->done)
        chrome_close(t->chrome, find(t, CHROME_MAPPING, "handle"), t->place, NULL);
}

/* ---- Event channels -------------------------------------------------------------------------- */

static void on_alloc_unbound(const struct told *t)
{
    struct chrome_key key = key_of(CHROME_PORT, domain_of(t, "dom"), argument(t, "port"));

    if (t->done)
        chrome_open(t->chrome, &key, t->place, t->args, "port %" PRId64, key.number);
}

static void on_bind(const struct told *t)
{
    struct chrome_key key = key_of(CHROME_PORT, t->domain, argument(t, "local_port"));
    int64_t peer = domain_of(t, "remote_dom"), port = argument(t, "remote_port");
    struct chrome_span *other = chrome_find(t->chrome, CHROME_PORT, peer, port), *span;

    if (!t->done)
        return;
    span = chrome_open(t->chrome, &key, t->place, t->args,
                       "port %" PRId64 " with port %" PRId64 " of domain %" PRId64, key.number,
                       port, peer);
    if (span) {
        span->peer = peer;
        span->peer_port = port;
    }
    if (other) {
        other->peer = t->domain;
        other->peer_port = key.number;
        chrome_flow(t->chrome, "port is bound", &other->made, t->place);
    }
}

static void on_close(const struct told *t)
{
    if (t->done)
        chrome_close(t->chrome, find(t, CHROME_PORT, "port"), t->place, NULL);
}

static void on_reset(const struct told *t)
{
    if (t->done)
        close_all(t, true);
}

static void on_send(const struct told *t)
{
    struct chrome_span *mine = find(t, CHROME_PORT, "port");
    struct chrome_span *other =
        mine ? chrome_find(t->chrome, CHROME_PORT, mine->peer, mine->peer_port) : NULL;

    if (t->done && other && other->sent.ts < 0)
        other->sent = *t->place;
}

/* Several that were sent meanwhile are delivered as one. */
static void on_delivered(const struct told *t)
{
    struct chrome_span *mine = find(t, CHROME_PORT, "port");

    if (!mine || mine->sent.ts < 0)
        return;
    chrome_flow(t->chrome, "event is delivered", &mine->sent, t->place);
    mine->sent.ts = -1;
}

/* ---- Domains --------------------------------------------------------------------------------- */

static void on_domain_end(const struct told *t)
{
    close_all(t, false);
}

/* Those of hypercalls have no name here, but the one that their table has. */
static const struct handler {
    const char *op;
    unsigned hypercall, cmd;
    void (*handle)(const struct told *told);
    bool is_slice;
} handlers[] = {
    { "grant", 0, 0, on_grant, true },
    { "grant_end", 0, 0, on_grant_end, false },
    { "event", 0, 0, on_delivered, true },
    { "domain_destroy", 0, 0, on_domain_end, false },
    { "domain_suspend", 0, 0, on_domain_end, false },
    { NULL, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, on_map, true },
    { NULL, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, on_unmap, false },
    { NULL, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace, on_unmap, false },
    { NULL, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, on_alloc_unbound, true },
    { NULL, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, on_bind, true },
    { NULL, __HYPERVISOR_event_channel_op, EVTCHNOP_close, on_close, false },
    { NULL, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, on_reset, false },
    { NULL, __HYPERVISOR_event_channel_op, EVTCHNOP_send, on_send, true },
};

static bool is_done(json_object *event)
{
    json_object *result;

    if (!json_object_object_get_ex(event, "result", &result))
        return true;
    return json_object_is_type(result, json_type_string)
        ? !strcmp(json_object_get_string(result), hv_status_name(GNTST_okay))
        : !json_object_get_int64(result);
}

bool chrome_bars(struct chrome *chrome, const char *op, json_object *event, json_object *args,
                 const struct chrome_place *place)
{
    struct told told = { .chrome = chrome, .args = args, .place = place, .domain = place->pid,
                         .done = is_done(event) };

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        const struct handler *handler = &handlers[i];
        const char *name = handler->op ? handler->op
                                       : hv_op_find(handler->hypercall, handler->cmd)->name;

        if (strcmp(name, op))
            continue;
        handler->handle(&told);
        return handler->is_slice;
    }
    return false;
}
