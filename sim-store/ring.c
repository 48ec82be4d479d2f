/* SPDX-License-Identifier: MIT */
/*
 * The ring page of a domain. Its guest may write it at any time, so the store trusts nothing that
 * it reads there, and reads nothing twice.
 */
#include "store_i.h"

/*
 * At most so many pieces of messages at a time, so that a guest that never stops does not keep the
 * others waiting.
 */
#define MOST_PIECES 64u

static void set_index(uint32_t *index, uint32_t value)
{
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

static uint32_t get_index(const uint32_t *index)
{
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void notify(const struct store_conn *conn)
{
    if (conn->store->hooks.notify)
        conn->store->hooks.notify(conn->store->hook_ctx, conn->domain->domid);
}

void store_ring_reset(struct store_conn *conn)
{
    struct xenstore_domain_interface *ring = conn->ring;

    if (!ring)
        return;
    set_index(&ring->req_cons, 0);
    set_index(&ring->req_prod, 0);
    set_index(&ring->rsp_cons, 0);
    set_index(&ring->rsp_prod, 0);
    if (get_index(&ring->connection) == XENSTORE_RECONNECT) {
        set_index(&ring->connection, XENSTORE_CONNECTED);
        notify(conn);
    }
}

/*
 * Both indices of one direction, each read once. False: they cannot be true, and the connection is
 * deaf now.
 */
static bool look(struct store_conn *conn, const uint32_t *prod, const uint32_t *cons,
                 uint32_t *from, uint32_t *used)
{
    uint32_t p = get_index(prod), c = get_index(cons);

    *from = c;
    *used = p - c;
    if (*used <= XENSTORE_RING_SIZE)
        return true;
    store_conn_deafen(conn, XENSTORE_ERROR_RINGIDX);
    return false;
}

/* As much as is asked for, there, and not beyond the buffer's end. */
static size_t piece(size_t wanted, size_t there, uint32_t index)
{
    size_t to_end = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(index);
    size_t n = wanted < there ? wanted : there;

    return n < to_end ? n : to_end;
}

static bool take_piece(struct store_conn *conn)
{
    struct xenstore_domain_interface *ring = conn->ring;
    char bytes[XENSTORE_RING_SIZE];
    uint32_t at, used;
    size_t n;

    if (conn->deaf || !look(conn, &ring->req_prod, &ring->req_cons, &at, &used))
        return false;
    if (!conn->have && !store_conn_is_ready(conn))
        return false;
    n = piece(store_conn_wants(conn), used, at);
    if (!n)
        return false;
    memcpy(bytes, ring->req + MASK_XENSTORE_IDX(at), n);
    set_index(&ring->req_cons, at + (uint32_t)n);
    notify(conn);
    store_receive(conn, bytes, n);
    return true;
}

static bool put_piece(struct store_conn *conn)
{
    struct xenstore_domain_interface *ring = conn->ring;
    const struct message *msg = conn->queue;
    size_t n, end;
    uint32_t at, used;

    if (conn->deaf || !msg || !look(conn, &ring->rsp_prod, &ring->rsp_cons, &at, &used))
        return false;
    at += used;
    /* Header and body are pieces of their own. */
    end = msg->done < sizeof(struct xsd_sockmsg) ? sizeof(struct xsd_sockmsg) : msg->size;
    n = piece(end - msg->done, XENSTORE_RING_SIZE - used, at);
    if (!n)
        return false;
    memcpy(ring->rsp + MASK_XENSTORE_IDX(at), msg->bytes + msg->done, n);
    set_index(&ring->rsp_prod, at + (uint32_t)n);
    notify(conn);
    store_sent(conn, n);
    return true;
}

bool store_ring_work(struct store_conn *conn)
{
    struct store *store = conn->store;
    unsigned domid = conn->domain->domid, pieces = 0;

    if (!conn->ring)
        return false;
    do {
        bool took = take_piece(conn);

        /* It may have released itself. */
        if (took && store_domain_conn(store, domid) != conn)
            return false;
        if (!put_piece(conn) && !took)
            return false;
    } while (++pieces < MOST_PIECES);
    return true;
}

void store_set_ring(struct store_conn *conn, struct xenstore_domain_interface *ring)
{
    conn->ring = ring;
}
