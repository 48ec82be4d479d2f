/* SPDX-License-Identifier: MIT */
/*
 * What the machine is told of the store's work, and asks of it: requests and events as points for
 * fault rules and in the trace, and the daemon that starts anew.
 *
 * The toolstack's own work is no point: what it does for a new domain follows from that domain's
 * creation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "daemon_i.h"
#include "faults.h"
#include "points.h"
#include "store_way_i.h"
#include "trace.h"

static bool is_told(const struct store_server *server, const struct store_conn *conn)
{
    return server->toolstack && !(conn == server->toolstack && server->is_building);
}

static struct trace_store told(const struct store_server *server, const struct store_conn *conn,
                               const struct store_point *point)
{
    struct trace_store store = { .domain = (domid_t)store_conn_domid(conn),
                                 .conn = store_conn_number(conn) };

    if (!point)
        return store;
    store.type = point->type;
    store.tx = point->tx_id;
    store.body = point->body;
    store.len = point->len;
    store.token = point->token;
    if (point->type != XS_WATCH_EVENT)
        store.process = server->process;
    return store;
}

/* With a path as given, where there is one; room is for an absolute one. */
static struct point point_of(struct trace_store *store, const struct store_point *point,
                             char *room, size_t size)
{
    struct point result;

    point_of_store(&result, point->type, store->domain, point->path, room, size);
    store->at = result.at;
    store->path = result.path;
    return result;
}

#define ROOM (XENSTORE_PAYLOAD_MAX + 64)

/* ---- The model's hooks ----------------------------------------------------------------------- */

static void on_connected(void *ctx, const struct store_conn *conn, bool there)
{
    const struct store_server *server = ctx;
    struct trace_store store = told(server, conn, NULL);

    if (is_told(server, conn))
        trace_store_connected(server->machine, &store, there);
}

static void on_taken(void *ctx, const struct store_conn *conn, size_t size)
{
    const struct store_server *server = ctx;
    struct trace_store store = told(server, conn, NULL);

    store.len = size;
    if (is_told(server, conn))
        trace_store_taken(server->machine, &store);
}

static void on_asked(void *ctx, const struct store_point *point)
{
    struct store_server *server = ctx;
    struct trace_store store = told(server, point->conn, point);

    if (is_told(server, point->conn))
        trace_store_asked(server->machine, &store);
}

/* What a fault rule makes a hostile peer do when the request is over. */
struct peer_act {
    char path[STORE_TOOL_PATH], value[64];
    bool removes;
    struct peer_act *prev, *next;
};

/* value NULL: the directory of the node goes. Of no memory nothing comes. */
static void peer_later(struct store_server *server, const char *path, const char *value)
{
    struct peer_act *act = path ? calloc(1, sizeof *act) : NULL;
    char *end;

    if (!act)
        return;
    act->removes = !value;
    snprintf(act->path, sizeof act->path, "%s", path);
    end = value ? NULL : strrchr(act->path, '/');
    if (end)
        *end = '\0';
    snprintf(act->value, sizeof act->value, "%s", value ? value : "");
    DL_APPEND(server->acts, act);
}

static void peers_act(struct store_server *server)
{
    bool before = server->is_building;
    struct peer_act *act;

    /* A replay has the rules, too. */
    server->is_building = true;
    while ((act = server->acts)) {
        DL_DELETE(server->acts, act);
        if (act->removes)
            store_tool_remove(server, act->path);
        else
            store_tool_write(server, act->path, act->value);
        free(act);
    }
    server->is_building = before;
}

static enum store_verdict on_point(void *ctx, const struct store_point *point, int *value)
{
    struct store_server *server = ctx;
    struct trace_store store = told(server, point->conn, point);
    struct store_fault fault;
    char room[ROOM];
    struct point at;

    if (point->conn == server->toolstack)
        return STORE_GO_ON;
    at = point_of(&store, point, room, sizeof room);
    fault = faults_at_store(server->machine, &at, store.process);
    *(point->type == XS_WATCH_EVENT ? &server->event_rule : &server->rule) = fault.rule;
    switch (fault.what) {
    case FAULT_ERRNO:
        *value = fault.value;
        return STORE_ERROR;
    case FAULT_DROP:
        store.rule = fault.rule;
        store.at = "store_lost";
        trace_store_event(server->machine, &store);
        return STORE_LOSE;
    case FAULT_DOUBLE:
        return STORE_TWICE;
    case FAULT_AFTER:
        store.rule = fault.rule;
        store.at = "store_late";
        trace_store_event(server->machine, &store);
        server->event_rule = 0;
        *value = fault.value;
        return STORE_LATE;
    case FAULT_REWRITE:
    case FAULT_REMOVE:
        peer_later(server, at.path, fault.what == FAULT_REWRITE ? fault.text : NULL);
        return STORE_GO_ON;
    case FAULT_RESTART:
        server->must_restart = true;
        *value = EIO;
        return STORE_ERROR;
    default:
        return STORE_GO_ON;
    }
}

static void on_done(void *ctx, const struct store_point *point, int error)
{
    struct store_server *server = ctx;
    struct trace_store store = told(server, point->conn, point);
    char room[ROOM];

    uint64_t *rule = point->type == XS_WATCH_EVENT ? &server->event_rule : &server->rule;

    point_of(&store, point, room, sizeof room);
    store.rule = *rule;
    *rule = 0;
    if (server->machine->watched && point->type != XS_WATCH_EVENT)
        PARTS_TELL(server->machine, store_over, server->machine, &store, error);
    if (point->type == XS_WATCH_EVENT)
        trace_store_event(server->machine, &store);
    else if (is_told(server, point->conn))
        trace_store_done(server->machine, &store, error);
}

void store_points_hooks(struct store_hooks *hooks)
{
    hooks->connected = on_connected;
    hooks->taken = on_taken;
    hooks->asked = on_asked;
    hooks->inject = on_point;
    hooks->trace = on_done;
}

/* ---- A daemon that starts anew --------------------------------------------------------------- */

void store_points_settle(struct store_server *server)
{
    peers_act(server);
    if (!server->must_restart)
        return;
    server->must_restart = false;
    store_way_restart(server->machine);
}

int store_way_restart(struct machine *m)
{
    struct store_server *server = store_server_of(m);

    if (store_daemon_of(m))
        return store_daemon_restart(m);
    if (!server)
        return -ENOTSUP;
    store_forget_clients(server->store);
    store_peers_drop(server);
    return 0;
}
