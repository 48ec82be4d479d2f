/* SPDX-License-Identifier: MIT */
/* Makes the store a part of the machine: its life, and what it asks of the machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_i.h"
#include "store_way_i.h"
#include "toolstack_i.h"
#include "xs_error.h"

#define NS_PER_MS 1000000u

/* ---- What the store asks --------------------------------------------------------------------- */

static enum store_domain_state domain_state(void *ctx, unsigned domid)
{
    const struct store_server *server = ctx;
    struct hv_domain_info info;

    if (domid >= DOMID_FIRST_RESERVED ||
        hv_domain_info(server->machine->hv, (domid_t)domid, &info) || info.dying)
        return STORE_DOMAIN_GONE;
    return info.crashed ? STORE_DOMAIN_SHUT : STORE_DOMAIN_RUNS;
}

static void released(void *ctx, unsigned domid)
{
    store_peers_hang_up(ctx, domid);
    store_rings_released(ctx, domid);
}

static void output(void *ctx, struct store_conn *conn)
{
    if (store_conn_is_socket(conn))
        store_peers_output(ctx, conn);
    else
        store_rings_output(ctx, conn);
}

/* ---- The toolstack's connection -------------------------------------------------------------- */

bool store_work_begin(struct store_server *server)
{
    bool before = server->is_building;

    server->is_building = true;
    return before;
}

void store_work_end(struct store_server *server, bool before)
{
    server->is_building = before;
    if (!before)
        store_peers_flush(server);
}

/* It watches nothing: what is queued is the reply, whole. */
static int take_reply(struct store_conn *conn, void *reply, size_t *reply_len)
{
    struct xsd_sockmsg header;
    size_t size;
    const char *bytes = store_output(conn, &size);
    int rc = 0;

    memcpy(&header, bytes, sizeof header);
    bytes += sizeof header;
    if (header.type == XS_ERROR)
        rc = -xs_error_number(bytes);
    else if (reply)
        memcpy(reply, bytes, header.len);
    if (reply_len)
        *reply_len = rc ? 0 : header.len;
    store_sent(conn, size);
    return rc;
}

int store_ask_own(struct store_server *server, uint32_t type, const void *body, size_t len,
                  void *reply, size_t *reply_len)
{
    struct xsd_sockmsg header = { .type = type, .tx_id = server->tx, .len = (uint32_t)len };
    int rc;

    store_receive(server->toolstack, &header, sizeof header);
    if (len)
        store_receive(server->toolstack, body, len);
    rc = take_reply(server->toolstack, reply, reply_len);
    store_peers_flush(server);
    return rc;
}

int store_way_ask(struct machine *m, uint32_t type, const void *body, size_t len, void *reply,
                  size_t *reply_len)
{
    struct store_server *server = store_server_of(m);

    if (len > XENSTORE_PAYLOAD_MAX)
        return -E2BIG;
    /* It would get events and transactions that nobody looks at. */
    if (type == XS_WATCH || type == XS_TRANSACTION_START)
        return -EINVAL;
    if (store_daemon_of(m))
        return store_daemon_ask(m, type, 0, body, len, reply, reply_len);
    return server ? store_ask_own(server, type, body, len, reply, reply_len) : -ENOTSUP;
}

void store_way_request(struct machine *m, struct store_conn *conn, unsigned process,
                       const struct xsd_sockmsg *header, const void *body)
{
    struct store_server *server = store_server_of(m);

    if (conn != server->toolstack)
        store_time(server->store, m->clock.now / NS_PER_MS);
    server->process = process;
    store_receive(conn, header, sizeof *header);
    if (header->len)
        store_receive(conn, body, header->len);
    server->process = 0;
    store_points_settle(server);
}

const char *store_way_path(struct machine *m, domid_t id, bool inside, int *rc)
{
    struct store_server *server = store_server_of(m);

    if (store_daemon_of(m))
        return store_daemon_path(m, id, inside, rc);
    *rc = !server ? -ENOTSUP : store_domain_conn(server->store, id) ? 0 : -ESRCH;
    return *rc ? NULL : store_listeners_path(&server->listeners, id, inside, rc);
}

struct store *store_way_store(const struct machine *m)
{
    const struct store_server *server = store_server_of(m);

    return server ? server->store : NULL;
}

/* ---- The part -------------------------------------------------------------------------------- */

static int prepare(struct machine *m, int *memory_fd)
{
    struct store_server *server = store_server_of(m);
    struct store_config config = { .hooks = { .domain_state = domain_state,
                                              .introduce = store_rings_introduce,
                                              .released = released,
                                              .notify = store_rings_notify,
                                              .output = output },
                                   .hook_ctx = server };
    bool before;

    (void)memory_fd;
    server->machine = m;
    server->again.fd = -1;
    store_listeners_begin(&server->listeners, m, store_peers_accept);
    store_points_hooks(&config.hooks);
    server->store = store_create(&config);
    server->toolstack = store_connect(server->store);
    before = store_work_begin(server);
    store_toolstack_begin(server);
    store_work_end(server, before);
    return 0;
}

/* Domain 0's programs will see it as /run/xenstored, if they have namespaces. */
static int make_directory(const struct machine *m)
{
    char path[PRIVATE_DIR_MAX + 16];

    if (!m->inner_dir)
        return 0;
    snprintf(path, sizeof path, "%s/xenstored", m->inner_dir);
    return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

static int start(struct machine *m)
{
    int rc = make_directory(m);

    return rc ? rc : store_rings_start(store_server_of(m));
}

static void attend(struct machine *m)
{
    store_rings_attend(store_server_of(m));
}

static void domain_started(struct domain *d)
{
    struct store_server *server = store_server_of(d->machine);
    struct store_domain *sd = part_of_domain(d, &store_part);
    struct toolstack_domain known;
    bool before;

    sd->id = d->id;
    store_time(server->store, d->machine->clock.now / NS_PER_MS);
    before = store_work_begin(server);
    store_toolstack_look(d, &known);
    if (!d->has_toolstack)
        store_toolstack_create(server, &known);
    store_work_end(server, before);
}

static void domain_gone(struct domain *d)
{
    struct store_server *server = store_server_of(d->machine);
    struct store_domain *sd = part_of_domain(d, &store_part);
    unsigned domid = sd->id;
    bool before;

    store_rings_gone(server, sd);
    store_check_domains(server->store);
    before = store_work_begin(server);
    store_toolstack_destroy(server, domid);
    store_work_end(server, before);
    if (!domid)
        store_peers_hang_up(server, domid);
}

static void domain_destroyed(struct domain *d)
{
    domain_gone(d);
    store_devices_free(part_of_domain(d, &store_part));
}

/* A new domain, as a restore makes one. */
static void domain_migrated(struct domain *d)
{
    struct store_server *server = store_server_of(d->machine);
    struct attached *devices = store_devices_take(part_of_domain(d, &store_part));

    domain_gone(d);
    domain_started(d);
    store_devices_again(server, d->id, devices);
}

static void destroy(struct machine *m)
{
    struct store_server *server = store_server_of(m);

    store_rings_stop(server);
    store_peers_free(server);
    store_listeners_free(&server->listeners);
    store_destroy(server->store);
}

const struct machine_part store_part = {
    .machine_size = sizeof(struct store_server),
    .domain_size = sizeof(struct store_domain),
    .is_store = true,
    .prepare = prepare,
    .start = start,
    .domain_started = domain_started,
    .domain_migrated = domain_migrated,
    .domain_destroyed = domain_destroyed,
    .unheard = store_rings_unheard,
    .attend = attend,
    .destroy = destroy,
};
