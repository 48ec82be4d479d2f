/* SPDX-License-Identifier: MIT */
/* Repeats what clients of the store did, without the clients. */
#include <string.h>

#include "replay_i.h"
#include "store_way.h"

static struct store_conn *conn_of(const struct replay_step *in)
{
    const struct store *store = store_way_store(&in->r->machine);

    return store_conn_find(store, (uint64_t)replay_number(in->args, "conn"));
}

static bool input_connect(const struct replay_step *in)
{
    struct store *store = store_way_store(&in->r->machine);

    return in->id ? store_connect_domain(store, in->id) : store_connect(store);
}

static bool input_disconnect(const struct replay_step *in)
{
    struct store_conn *conn = conn_of(in);

    if (!conn || !store_conn_is_socket(conn))
        return false;
    store_disconnect(conn);
    return true;
}

static bool input_request(const struct replay_step *in)
{
    uint8_t body[XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = { .type = (uint32_t)replay_number(in->args, "type"),
                                  .tx_id = (uint32_t)replay_number(in->args, "tx") };
    struct store_conn *conn = conn_of(in);

    if (!conn)
        return false;
    header.len = (uint32_t)replay_bytes(body, sizeof body, replay_text(in->args, "hex"));
    store_way_request(&in->r->machine, conn, (unsigned)in->r->machine.caller, &header, body);
    return true;
}

static bool input_taken(const struct replay_step *in)
{
    struct store_conn *conn = conn_of(in);
    size_t size = (size_t)replay_number(in->args, "size"), there;

    if (!conn || !store_output(conn, &there) || there < size)
        return false;
    store_sent(conn, size);
    return true;
}

const struct replay_handler replay_store_inputs[] = {
    { "store_connect", input_connect },
    { "store_disconnect", input_disconnect },
    { "store_request", input_request },
    { "store_taken", input_taken },
    { NULL, NULL },
};
