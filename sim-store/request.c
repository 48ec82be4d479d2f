/* SPDX-License-Identifier: MIT */
/* Handles a request: the checks that all share, the function of its type, faults and trace. */
#include "store_i.h"

static const struct type {
    int (*run)(struct request *r);
    bool privileged;
    bool no_transaction;            /* the id in its header is not looked at */
} types[XS_TYPE_COUNT] = {
    [XS_CONTROL] = { store_do_control, .privileged = true },
    [XS_DIRECTORY] = { store_do_directory },
    [XS_READ] = { store_do_read },
    [XS_GET_PERMS] = { store_do_get_perms },
    [XS_WATCH] = { store_do_watch, .no_transaction = true },
    [XS_UNWATCH] = { store_do_unwatch, .no_transaction = true },
    [XS_TRANSACTION_START] = { store_do_transaction_start },
    [XS_TRANSACTION_END] = { store_do_transaction_end },
    [XS_INTRODUCE] = { store_do_introduce, .privileged = true },
    [XS_RELEASE] = { store_do_release, .privileged = true },
    [XS_GET_DOMAIN_PATH] = { store_do_get_domain_path },
    [XS_WRITE] = { store_do_write },
    [XS_MKDIR] = { store_do_mkdir },
    [XS_RM] = { store_do_rm },
    [XS_SET_PERMS] = { store_do_set_perms },
    [XS_IS_DOMAIN_INTRODUCED] = { store_do_is_domain_introduced, .privileged = true },
    [XS_RESUME] = { store_do_resume, .privileged = true },
    [XS_SET_TARGET] = { store_do_set_target, .privileged = true },
    [XS_RESET_WATCHES] = { store_do_reset_watches },
    [XS_DIRECTORY_PART] = { store_do_directory_part },
};

/* ---- Arguments ------------------------------------------------------------------------------- */

const char *store_request_string(const struct request *r)
{
    return r->len && memchr(r->body, 0, r->len) == r->body + r->len - 1 ? r->body : NULL;
}

size_t store_request_strings(const struct request *r, const char **out, size_t max)
{
    const char *p = r->body, *end = r->body + r->len, *nul;
    size_t nr = 0;

    for (; p < end && (nul = memchr(p, 0, (size_t)(end - p))); p = nul + 1, nr++)
        if (nr < max)
            out[nr] = p;
    return nr;
}

/* ---- The request ----------------------------------------------------------------------------- */

static void reply_error(struct request *r, int error)
{
    size_t i = 0, nr = sizeof xsd_errors / sizeof *xsd_errors;

    while (i < nr && xsd_errors[i].errnum != error)
        i++;
    if (i == nr)
        i = 0;
    r->conn->header.type = XS_ERROR;
    store_reply(r, xsd_errors[i].errstring, strlen(xsd_errors[i].errstring) + 1);
}

/* A transaction's end is its end, whatever is answered. */
static int refuse(struct request *r, uint32_t type, int error)
{
    if (type == XS_TRANSACTION_END && r->tx) {
        r->body = "F";
        r->len = sizeof "F";
        r->quiet = true;
        store_do_transaction_end(r);
        r->quiet = false;
    }
    return error;
}

static int carry_out(struct request *r, const struct store_point *point)
{
    const struct store *store = r->store;
    const struct type *type = point->type < XS_TYPE_COUNT ? &types[point->type] : NULL;
    int error = 0;

    if (!type || !type->run)
        return ENOSYS;
    if (type->privileged && !store_conn_is_privileged(r->conn))
        return EACCES;
    if (point->tx_id && !type->no_transaction) {
        r->tx = store_transaction_find(r->conn, point->tx_id);
        if (!r->tx)
            return ENOENT;
    }
    if (store->hooks.inject && store->hooks.inject(store->hook_ctx, point, &error) == STORE_ERROR)
        return refuse(r, point->type, error);
    return type->run(r);
}

bool store_request(struct store_conn *conn)
{
    struct store *store = conn->store;
    struct request r = {
        .store = store, .conn = conn, .body = (const char *)conn->body, .len = conn->header.len
    };
    struct store_point point = { .conn = conn,
                                 .type = conn->header.type,
                                 .tx_id = conn->header.tx_id,
                                 .path = r.body,
                                 .body = conn->body,
                                 .len = r.len };
    bool stays;
    int error;

    conn->body[r.len] = '\0';
    store->nr_requests++;
    store->current = conn;
    if (store->hooks.asked)
        store->hooks.asked(store->hook_ctx, &point);
    error = carry_out(&r, &point);
    if (error)
        reply_error(&r, error);
    store->cause = NULL;
    store->current = NULL;
    if (store->hooks.trace)
        store->hooks.trace(store->hook_ctx, &point, error);
    store_late_step(store);
    stays = !conn->gone;
    if (!stays)
        free(conn);
    return stays;
}
