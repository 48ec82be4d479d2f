/* SPDX-License-Identifier: MIT */
/*
 * The kernel's connection to the store: puts requests into the ring page, takes replies and watch
 * events out of it. The store may write the page at any time, so nothing there is read twice.
 */
#include "kernel_i.h"
#include "xenbus_i.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HEADER sizeof(struct xsd_sockmsg)
/* Bytes of requests that are under way: beyond, a store that takes none costs no more memory. */
#define MOST_QUEUED (1u << 20)

static uint32_t get_index(const uint32_t *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void set_index(uint32_t *index, uint32_t value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

struct xenstore_domain_interface *xenbus_ring(const struct kernel *k)
{
    const struct xenbus *bus = k->xenbus;
    struct hv_frame_info info;

    if (!bus || !bus->ring || k->dead || hv_frame_info(k->hv, bus->mfn, &info) ||
        info.owner != k->domid)
        return NULL;
    return bus->ring;
}

/* How much of the ring is used. False: that cannot be, and it starts over. */
static bool look(struct kernel *k, uint32_t *prod, uint32_t *cons, uint32_t *used)
{
    *used = get_index(prod) - get_index(cons);
    if (*used <= XENSTORE_RING_SIZE)
        return true;
    set_index(cons, 0);
    set_index(prod, 0);
    kernel_log(k, "xenstore: the ring page has indices that cannot be");
    return false;
}

static size_t piece(size_t wanted, size_t there, uint32_t at)
{
    size_t to_end = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(at);
    size_t n = wanted < there ? wanted : there;

    return n < to_end ? n : to_end;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static const struct xsd_sockmsg *header_of(const struct xenbus_request *req)
{
    return (const struct xsd_sockmsg *)(const void *)req->bytes;
}

static void finish(struct kernel *k, struct xenbus_request *req, const struct xsd_sockmsg *header,
                   const char *body)
{
    if (req->caller.reply)
        req->caller.reply(k, req, header, body);
    k->xenbus->queued -= req->size;
    free(req);
}

static void finish_with(struct kernel *k, struct xenbus_request *req, uint32_t type,
                        const char *body)
{
    struct xsd_sockmsg header = req->caller.asked;

    header.type = type;
    header.len = (uint32_t)strlen(body) + 1;
    finish(k, req, &header, body);
}

static void write_out(struct kernel *k)
{
    struct xenstore_domain_interface *ring = xenbus_ring(k);
    struct xenbus *bus = k->xenbus;
    struct xenbus_request *req;
    bool some = false;

    while (ring && (req = bus->unsent)) {
        uint32_t used, at;
        size_t n;

        if (!look(k, &ring->req_prod, &ring->req_cons, &used)) {
            DL_DELETE(bus->unsent, req);
            finish_with(k, req, XS_ERROR, "EIO");
            continue;
        }
        at = get_index(&ring->req_prod);
        n = piece(req->size - req->sent, XENSTORE_RING_SIZE - used, at);
        if (!n)
            break;                   /* an event comes when there is room */
        memcpy(ring->req + MASK_XENSTORE_IDX(at), req->bytes + req->sent, n);
        set_index(&ring->req_prod, at + (uint32_t)n);
        some = true;
        req->sent += n;
        if (req->sent < req->size)
            continue;
        DL_DELETE(bus->unsent, req);
        DL_APPEND(bus->waiting, req);
    }
    if (some)
        event_notify(k, bus->handler.port);
}

int xenbus_send(struct kernel *k, const struct xsd_sockmsg *header, const void *body,
                const struct xenbus_caller *caller)
{
    struct xenbus *bus = k->xenbus;
    struct xsd_sockmsg own = *header;
    struct xenbus_request *req;
    size_t size = HEADER + header->len;

    if (size > MOST_QUEUED - bus->queued)
        return -ENOMEM;
    req = calloc(1, sizeof *req + size);
    if (!req)
        return -ENOMEM;
    if (caller)
        req->caller = *caller;
    own.req_id = ++bus->last_id;
    req->size = size;
    bus->queued += size;
    memcpy(req->bytes, &own, HEADER);
    memcpy(req->bytes + HEADER, body, header->len);
    DL_APPEND(bus->unsent, req);
    write_out(k);
    return 0;
}

void xenbus_forget(struct kernel *k, const void *owner)
{
    struct xenbus_request *req;

    DL_FOREACH(k->xenbus->unsent, req)
        if (req->caller.owner == owner)
            req->caller.owner = NULL;
    DL_FOREACH(k->xenbus->waiting, req)
        if (req->caller.owner == owner)
            req->caller.owner = NULL;
}

/* ---- Watches --------------------------------------------------------------------------------- */

void xenbus_add_watch(struct kernel *k, struct xenbus_watch *watch)
{
    struct xenbus *bus = k->xenbus;

    watch->id = ++bus->last_id;
    HASH_ADD(hh, bus->watches, id, sizeof watch->id, watch);
}

void xenbus_drop_watch(struct kernel *k, struct xenbus_watch *watch)
{
    HASH_DEL(k->xenbus->watches, watch);
}

size_t xenbus_watch_body(const struct xenbus_watch *watch, char body[XENSTORE_PAYLOAD_MAX])
{
    int path = snprintf(body, XENSTORE_PAYLOAD_MAX, "%s", watch->path) + 1;

    return (size_t)path + (size_t)snprintf(body + path, XENSTORE_PAYLOAD_MAX - (size_t)path, "%X",
                                           watch->id) + 1;
}

static void fire(struct kernel *k, const char *path, size_t len)
{
    const char *end = memchr(path, '\0', len), *token = end ? end + 1 : NULL;
    struct xenbus_watch *watch;
    uint32_t id;

    if (!token || !memchr(token, '\0', len - (size_t)(token - path)))
        return;
    id = (uint32_t)strtoul(token, NULL, 16);
    HASH_FIND(hh, k->xenbus->watches, &id, sizeof id, watch);
    if (watch)
        watch->fired(k, watch, path);
}

/* ---- What comes in --------------------------------------------------------------------------- */

static void deliver(struct kernel *k)
{
    struct xenbus *bus = k->xenbus;
    struct xsd_sockmsg header = bus->header;
    struct xenbus_request *req;

    bus->have = 0;
    bus->body[header.len] = '\0';
    if (header.type == XS_WATCH_EVENT) {
        fire(k, bus->body, header.len);
        return;
    }
    DL_FOREACH(bus->waiting, req)
        if (header_of(req)->req_id == header.req_id)
            break;
    if (!req)
        return;
    DL_DELETE(bus->waiting, req);
    header.req_id = req->caller.asked.req_id;
    header.tx_id = req->caller.asked.tx_id;
    finish(k, req, &header, bus->body);
}

/* A piece of the message. False: nothing is there. */
static bool take_piece(struct kernel *k)
{
    struct xenstore_domain_interface *ring = xenbus_ring(k);
    struct xenbus *bus = k->xenbus;
    bool in_header = bus->have < HEADER;
    size_t wants = in_header ? HEADER - bus->have : HEADER + bus->header.len - bus->have, n;
    uint32_t used, at;

    if (!ring)
        return false;
    if (!look(k, &ring->rsp_prod, &ring->rsp_cons, &used)) {
        bus->have = 0;
        return false;
    }
    at = get_index(&ring->rsp_cons);
    n = piece(wants, used, at);
    if (!n)
        return false;
    memcpy(in_header ? (char *)&bus->header + bus->have : bus->body + (bus->have - HEADER),
           ring->rsp + MASK_XENSTORE_IDX(at), n);
    set_index(&ring->rsp_cons, at + (uint32_t)n);
    bus->have += n;
    if (bus->have < HEADER)
        return true;
    if (bus->header.len > XENSTORE_PAYLOAD_MAX) {
        kernel_log(k, "xenstore: a message of %u bytes is too long", bus->header.len);
        bus->have = 0;
    } else if (bus->have == HEADER + bus->header.len) {
        deliver(k);
    }
    return true;
}

static void on_event(struct event_handler *handler)
{
    struct xenbus *bus = container_of(handler, struct xenbus, handler);
    struct kernel *k = bus->kernel;
    bool some = false;

    bus->heard = true;
    while (take_piece(k))
        some = true;
    if (some)
        event_notify(k, handler->port);
    write_out(k);
    event_eoi(k, handler->port);
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Watches that the last store knew. */
static void watch_again(struct kernel *k)
{
    struct xsd_sockmsg header = { .type = XS_WATCH };
    char body[XENSTORE_PAYLOAD_MAX];
    struct xenbus_watch *watch, *next;

    HASH_ITER(hh, k->xenbus->watches, watch, next) {
        if (!watch->answered)
            continue;
        header.len = (uint32_t)xenbus_watch_body(watch, body);
        xenbus_send(k, &header, body, NULL);
    }
}

int xenbus_move(struct kernel *k, evtchn_port_t port)
{
    struct xenbus *bus = k->xenbus;
    int rc;

    if (bus->bound)
        event_unbind(k, &bus->handler);
    bus->handler = (struct event_handler){ .fn = on_event };
    rc = event_bind(k, &bus->handler, port, false);
    bus->bound = !rc;
    return rc;
}

int kernel_connect_store(struct kernel *k, uint64_t gfn, evtchn_port_t port)
{
    struct xenbus *bus = k->xenbus;
    uint64_t mfn;
    int rc = k->dead ? -ENODEV : hv_gfn_to_mfn(k->hv, k->domid, gfn, &mfn);

    if (rc)
        return rc;
    if (!bus) {
        bus = k->xenbus = calloc(1, sizeof *bus);
        if (!bus)
            return -ENOMEM;
        bus->kernel = k;
    } else if (bus->ring) {
        return -EISCONN;
    }
    if (!bus->bound || bus->handler.port != port)
        rc = xenbus_move(k, port);
    if (rc)
        return rc;
    bus->gfn = gfn;
    bus->mfn = mfn;
    bus->ring = hv_frame(k->hv, mfn);
    kernel_enter(k);
    if (bus->generation)
        watch_again(k);
    write_out(k);
    kernel_leave(k);
    return 0;
}

/* A transaction did not survive: its end says so. Whatever else was asked is asked again. */
static void start_over(struct kernel *k)
{
    struct xenbus *bus = k->xenbus;
    struct xenbus_request *req, *next;

    bus->heard = false;
    bus->generation++;
    bus->have = 0;
    DL_CONCAT(bus->waiting, bus->unsent);
    bus->unsent = bus->waiting;
    bus->waiting = NULL;
    DL_FOREACH_SAFE(bus->unsent, req, next) {
        bool commits = req->size > HEADER && req->bytes[HEADER] == 'T';

        req->sent = 0;
        if (header_of(req)->type != XS_TRANSACTION_END)
            continue;
        DL_DELETE(bus->unsent, req);
        finish_with(k, req, commits ? XS_ERROR : XS_TRANSACTION_END, commits ? "EAGAIN" : "OK");
    }
}

void xenbus_migrated(struct kernel *k)
{
    if (!k->xenbus)
        return;
    k->xenbus->ring = NULL;
    k->xenbus->bound = false;
    start_over(k);
}

void kernel_lose_store(struct kernel *k)
{
    struct xenstore_domain_interface *ring = xenbus_ring(k);

    if (!ring)
        return;
    kernel_enter(k);
    start_over(k);
    if (k->privileged) {
        /* The page is this kernel's own, and the next daemon resets none of it. */
        memset(ring, 0, sizeof *ring);
        watch_again(k);
        write_out(k);
    } else {
        k->xenbus->ring = NULL;
    }
    kernel_leave(k);
}

void xenbus_destroy(struct kernel *k)
{
    struct xenbus *bus = k->xenbus;
    struct xenbus_request *req;

    if (!bus)
        return;
    DL_CONCAT(bus->waiting, bus->unsent);
    while ((req = bus->waiting)) {
        DL_DELETE(bus->waiting, req);
        free(req);
    }
    HASH_CLEAR(hh, bus->watches);
    free(bus);
    k->xenbus = NULL;
}
