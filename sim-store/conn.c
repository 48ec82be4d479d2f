/* SPDX-License-Identifier: MIT */
/* Connections: incoming bytes, queued replies and events, and when a connection must wait. */
#include "store_i.h"

#define HEADER sizeof(struct xsd_sockmsg)

struct store_conn *store_conn_add(struct store *store, struct store_domain *d, bool socket)
{
    struct store_conn *conn = store_alloc(sizeof *conn);

    conn->store = store;
    conn->domain = d;
    conn->domid = d->domid;
    conn->number = ++store->last_conn;
    conn->socket = socket;
    if (!socket)
        d->conn = conn;
    DL_APPEND(store->conns, conn);
    return conn;
}

static struct store_conn *connect_one(struct store *store, struct store_domain *d)
{
    struct store_conn *conn = store_conn_add(store, d, true);

    if (store->hooks.connected)
        store->hooks.connected(store->hook_ctx, conn, true);
    return conn;
}

struct store_conn *store_connect(struct store *store)
{
    return connect_one(store, store_domain(store, 0));
}

struct store_conn *store_connect_domain(struct store *store, unsigned domid)
{
    struct store_domain *d = store_domain(store, domid);

    return d && d->conn ? connect_one(store, d) : NULL;
}

void store_disconnect(struct store_conn *conn)
{
    struct store *store = conn->store;

    assert(conn->socket);
    if (store->hooks.connected)
        store->hooks.connected(store->hook_ctx, conn, false);
    store_conn_free(conn);
}

/* ---- The queue ------------------------------------------------------------------------------- */

static void forget_unread(struct unread *cause)
{
    if (cause->conn) {
        DL_DELETE(cause->conn->unread, cause);
        cause->conn->outstanding--;
    }
    if (cause->conn && cause->conn->store->cause == cause)
        cause->conn->store->cause = NULL;
    free(cause);
}

static void free_message(struct store_conn *conn, struct message *msg)
{
    if (msg->found)
        HASH_DEL(conn->events, msg);
    DL_DELETE(conn->queue, msg);
    conn->queued -= msg->size;
    if (msg->cause && --msg->cause->messages == 0)
        forget_unread(msg->cause);
    free(msg);
}

/* What an unprivileged request queues holds its connection up while it is too much. */
static struct unread *present_cause(struct store *store)
{
    struct store_conn *conn = store->current;

    if (!conn || conn->gone || store_conn_is_privileged(conn))
        return NULL;
    if (!store->cause) {
        store->cause = store_alloc(sizeof *store->cause);
        store->cause->conn = conn;
        DL_APPEND(conn->unread, store->cause);
        conn->outstanding++;
    }
    return store->cause;
}

static struct message *queue(struct store_conn *conn, const struct xsd_sockmsg *header,
                             const void *body)
{
    struct store *store = conn->store;
    struct message *msg = store_alloc(sizeof *msg + HEADER + header->len);
    bool first = !conn->queue;

    msg->cause = present_cause(store);
    if (msg->cause)
        msg->cause->messages++;
    msg->queued_at = store->now;
    msg->event = header->type == XS_WATCH_EVENT;
    msg->size = HEADER + header->len;
    memcpy(msg->bytes, header, HEADER);
    memcpy(msg->bytes + HEADER, body, header->len);
    DL_APPEND(conn->queue, msg);
    conn->queued += msg->size;
    if (first && store->hooks.output)
        store->hooks.output(store->hook_ctx, conn);
    return msg;
}

void store_reply(struct request *r, const void *body, size_t len)
{
    struct xsd_sockmsg header = r->conn->header;

    if (r->conn->gone || r->quiet)
        return;
    header.len = (uint32_t)len;
    queue(r->conn, &header, body);
}

int store_reply_done(struct request *r, int error)
{
    if (!error)
        store_reply(r, "OK", sizeof "OK");
    return error;
}

/* Two strings as they stand in an event; returns the length. */
static size_t event_body(char *out, const char *path, const char *token)
{
    size_t len = strlen(path) + 1;

    memcpy(out, path, len);
    memcpy(out + len, token, strlen(token) + 1);
    return len + strlen(token) + 1;
}

static enum store_verdict ask_about_event(struct store_conn *conn, const struct store_point *point,
                                          int *value)
{
    const struct store *store = conn->store;

    return store->hooks.inject ? store->hooks.inject(store->hook_ctx, point, value) : STORE_GO_ON;
}

/* An event whose body is written; *point: what the hooks are told of it. */
struct event {
    struct store_point point;
    char body[XENSTORE_PAYLOAD_MAX];
};

/* False: it is not to be sent, or another that waits says the same. */
static bool make_event(struct event *event, struct store_conn *conn, const char *path,
                       const char *token)
{
    size_t len = strlen(path) + strlen(token) + 2;
    struct message *same;

    if (conn->gone || conn->deaf || len > sizeof event->body ||
        !store_conn_has_memory(conn, HEADER + len))
        return false;
    event_body(event->body, path, token);
    event->point = (struct store_point){ .conn = conn, .type = XS_WATCH_EVENT, .path = path,
                                         .token = token, .body = event->body, .len = len };
    HASH_FIND(hh, conn->events, event->body, len, same);
    return !same;
}

static void queue_event(struct store_conn *conn, const struct event *event, bool twice)
{
    const struct store_point *point = &event->point;
    struct xsd_sockmsg header = { .type = XS_WATCH_EVENT, .len = (uint32_t)point->len };
    struct message *msg = queue(conn, &header, event->body);

    if (!store_path_is_special(point->path)) {
        msg->found = true;
        HASH_ADD_KEYPTR(hh, conn->events, msg->bytes + HEADER, point->len, msg);
    }
    if (twice)
        queue(conn, &header, event->body);
    if (conn->store->hooks.trace)
        conn->store->hooks.trace(conn->store->hook_ctx, point, 0);
}

void store_queue_event(struct store_conn *conn, const char *path, const char *token)
{
    struct event event;

    if (make_event(&event, conn, path, token))
        queue_event(conn, &event, false);
}

void store_send_event(struct store_conn *conn, const char *path, const char *token)
{
    enum store_verdict verdict;
    struct event event;
    int value = 0;

    if (!make_event(&event, conn, path, token))
        return;
    verdict = ask_about_event(conn, &event.point, &value);
    if (verdict == STORE_LATE)
        store_late_add(conn, path, token, (unsigned)value);
    else if (verdict != STORE_LOSE)
        queue_event(conn, &event, verdict == STORE_TWICE);
}

void store_conn_drop_events(struct store_conn *conn, uint64_t ms)
{
    struct message *msg, *next;

    DL_FOREACH_SAFE(conn->queue, msg, next)
        if (msg->event && !msg->done && conn->store->now - msg->queued_at >= ms)
            free_message(conn, msg);
}

const void *store_output(const struct store_conn *conn, size_t *size)
{
    const struct message *msg = conn->queue;

    *size = msg ? msg->size - msg->done : 0;
    return msg ? msg->bytes + msg->done : NULL;
}

void store_sent(struct store_conn *conn, size_t size)
{
    const struct store *store = conn->store;

    assert(conn->queue && size <= conn->queue->size - conn->queue->done);
    if (store->hooks.taken)
        store->hooks.taken(store->hook_ctx, conn, size);
    conn->queue->done += size;
    if (conn->queue->done == conn->queue->size)
        free_message(conn, conn->queue);
}

/* ---- What comes in --------------------------------------------------------------------------- */

size_t store_conn_wants(const struct store_conn *conn)
{
    return conn->have < HEADER ? HEADER - conn->have : HEADER + conn->header.len - conn->have;
}

ssize_t store_receive(struct store_conn *conn, const void *bytes, size_t size)
{
    size_t taken = 0;

    while (!conn->deaf && taken < size && (conn->have || store_conn_is_ready(conn))) {
        bool in_header = conn->have < HEADER;
        size_t wants = store_conn_wants(conn), n = wants < size - taken ? wants : size - taken;
        void *to =
            in_header ? (uint8_t *)&conn->header + conn->have : conn->body + (conn->have - HEADER);

        memcpy(to, (const uint8_t *)bytes + taken, n);
        conn->have += n;
        taken += n;
        if (n < wants)
            continue;
        if (in_header && conn->header.len > XENSTORE_PAYLOAD_MAX) {
            store_conn_deafen(conn, XENSTORE_ERROR_PROTO);
            break;
        }
        if (in_header && conn->header.len)
            continue;
        conn->have = 0;
        if (!store_request(conn))
            return (ssize_t)taken;
    }
    return conn->deaf ? -EPROTO : (ssize_t)taken;
}

/* ---- Its state ------------------------------------------------------------------------------- */

bool store_conn_is_privileged(const struct store_conn *conn)
{
    return !conn->domain->domid || conn->domain->domid == conn->store->privileged_domid;
}

bool store_conn_has_memory(const struct store_conn *conn, size_t more)
{
    size_t has = conn->domain->memory + conn->watch_memory + conn->queued;

    return store_conn_is_privileged(conn) || has + more <= conn->store->quotas[STORE_QUOTA_MEMORY];
}

bool store_conn_is_ready(const struct store_conn *conn)
{
    if (conn->deaf)
        return false;
    return store_conn_is_privileged(conn) ||
           (conn->outstanding < conn->store->quotas[STORE_QUOTA_OUTSTANDING] &&
            store_conn_has_memory(conn, 0));
}

void store_conn_reset(struct store_conn *conn)
{
    store_watches_drop(conn);
    store_transactions_drop(conn);
    store_late_drop(conn);
    while (conn->queue)
        free_message(conn, conn->queue);
    conn->have = 0;
}

void store_conn_deafen(struct store_conn *conn, uint32_t error)
{
    store_conn_reset(conn);
    conn->deaf = true;
    if (conn->ring)
        __atomic_store_n(&conn->ring->error, error, __ATOMIC_RELEASE);
}

void store_conn_free(struct store_conn *conn)
{
    struct store *store = conn->store;

    store_conn_reset(conn);
    while (conn->unread) {
        conn->unread->conn = NULL;
        DL_DELETE(conn->unread, conn->unread);
    }
    if (!conn->socket)
        conn->domain->conn = NULL;
    DL_DELETE(store->conns, conn);
    if (conn == store->current) {
        conn->gone = true;
        store->cause = NULL;
    } else {
        free(conn);
    }
}

struct store_conn *store_domain_conn(const struct store *store, unsigned domid)
{
    const struct store_domain *d = store_domain(store, domid);

    return d ? d->conn : NULL;
}

void store_forget_clients(struct store *store)
{
    for (struct store_conn *conn = store->conns; conn; conn = conn->next)
        store_conn_reset(conn);
}

struct store_conn *store_conn_find(const struct store *store, uint64_t number)
{
    struct store_conn *conn = store->conns;

    while (conn && conn->number != number)
        conn = conn->next;
    return conn;
}

uint64_t store_conn_number(const struct store_conn *conn)
{
    return conn->number;
}

void store_conn_set_user(struct store_conn *conn, void *user)
{
    conn->user = user;
}

void *store_conn_user(const struct store_conn *conn)
{
    return conn->user;
}

unsigned store_conn_domid(const struct store_conn *conn)
{
    return conn->domid;
}

bool store_conn_is_socket(const struct store_conn *conn)
{
    return conn->socket;
}
