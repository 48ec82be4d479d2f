/* SPDX-License-Identifier: MIT */
/* Transactions: start and end, conflicts, and the commit. */
#include "store_i.h"

struct transaction *store_transaction_find(const struct store_conn *conn, uint32_t id)
{
    struct transaction *tx;

    DL_SEARCH_SCALAR(conn->transactions, tx, id, id);
    return tx;
}

struct access *store_transaction_access(const struct transaction *tx, const char *path)
{
    struct access *a;

    HASH_FIND_STR(tx->accessed, path, a);
    return a;
}

static void drop(struct store_conn *conn, struct transaction *tx)
{
    struct access *a, *next;

    HASH_ITER(hh, tx->accessed, a, next) {
        HASH_DEL(tx->accessed, a);
        store_node_free(a->node);
        store_node_free(a->old);
        free(a->path);
        free(a);
    }
    DL_DELETE(conn->transactions, tx);
    conn->nr_transactions--;
    free(tx);
}

void store_transactions_drop(struct store_conn *conn)
{
    while (conn->transactions)
        drop(conn, conn->transactions);
}

int store_do_transaction_start(struct request *r)
{
    struct store_conn *conn = r->conn;
    struct transaction *tx;
    char text[16];

    if (r->tx)
        return EBUSY;
    if (!store_conn_is_privileged(conn) &&
        conn->nr_transactions > r->store->quotas[STORE_QUOTA_TRANSACTIONS])
        return ENOSPC;
    tx = store_alloc(sizeof *tx);
    /* A daemon counts it as a change: a domain that comes later is younger than all nodes. */
    r->store->generation++;
    do
        tx->id = ++conn->last_transaction;
    while (!tx->id || store_transaction_find(conn, tx->id));
    DL_APPEND(conn->transactions, tx);
    conn->nr_transactions++;
    store_reply(r, text, (size_t)sprintf(text, "%u", tx->id) + 1);
    return 0;
}

/* ---- Commit ---------------------------------------------------------------------------------- */

/* False: there is no such domain any more. */
static bool count(struct store *store, unsigned domid, int by)
{
    struct store_domain *d = store_domain_existing(store, domid);

    if (d)
        d->counted += by;
    return d;
}

/*
 * Every domain that would own more or fewer nodes must still be there, and own less than the quota;
 * also one that owns fewer, if its quota was lowered meanwhile. by: counts for it, or takes back.
 */
static int count_nodes(struct store *store, const struct transaction *tx, int by)
{
    int error = 0;

    for (const struct access *a = tx->accessed; a; a = a->hh.next) {
        if (!a->counts)
            continue;
        if (a->generation && !count(store, a->owner, -by))
            error = ENOMEM;
        if (a->node && !count(store, a->node->perms.entries[0].domid, by))
            error = ENOMEM;
    }
    for (const struct store_domain *d = store->domains; d && !error; d = d->hh.next) {
        if (d->counted && d->domid && d->domid != store->privileged_domid &&
            (long)d->nodes + d->counted >= (long)store->quotas[STORE_QUOTA_NODES])
            error = ENOSPC;
    }
    return error;
}

/* An unprivileged connection makes nodes of its own only. */
static bool has_memory(const struct request *r, const struct transaction *tx)
{
    unsigned own = r->conn->domain->domid;
    size_t bytes = 0, freed = 0;

    for (const struct access *a = tx->accessed; a; a = a->hh.next) {
        const struct node *live = a->changed ? store_live(r->store, a->path) : NULL;

        if (a->changed && a->node && a->node->perms.entries[0].domid == own)
            bytes += store_node_memory(a->node);
        if (live && live->perms.entries[0].domid == own)
            freed += store_node_memory(live);
    }
    return bytes <= freed || store_conn_has_memory(r->conn, bytes - freed);
}

static int has_room(const struct request *r, const struct transaction *tx)
{
    int error = count_nodes(r->store, tx, 1);

    count_nodes(r->store, tx, -1);
    if (store_conn_is_privileged(r->conn))
        return error == ENOSPC ? 0 : error;
    return error ? error : has_memory(r, tx) ? 0 : ENOMEM;
}

static int find_conflict(const struct request *r, const struct transaction *tx)
{
    for (const struct access *a = tx->accessed; a; a = a->hh.next) {
        const struct node *live = store_live(r->store, a->path);

        if ((live ? live->generation : 0) != a->generation)
            return EAGAIN;
    }
    return 0;
}

static void apply(struct store *store, struct transaction *tx)
{
    for (struct access *a = tx->accessed; a; a = a->hh.next) {
        a->old = a->changed ? store_live(store, a->path) : NULL;
        if (a->old)
            store_live_remove(store, a->old);
    }
    for (struct access *a = tx->accessed; a; a = a->hh.next) {
        if (!a->changed || !a->node)
            continue;
        store_perms_settle(store, &a->node->perms, a->node->generation);
        a->node->generation = ++store->generation;
        store_live_add(store, a->node);
        a->node = NULL;
    }
}

static const struct node *parent_of(const struct store *store, const char *path)
{
    char *parent = store_path_parent(path);
    const struct node *node = store_live(store, parent);

    free(parent);
    return node;
}

static void fire(struct store *store, const struct transaction *tx)
{
    for (const struct access *a = tx->accessed; a; a = a->hh.next) {
        const struct node *now = store_live(store, a->path), *up;
        struct seen seen = { 0 };

        if (!a->fires || (!now && !a->old))
            continue;
        /* Of a node that went, only its own permissions count. */
        if (now) {
            up = parent_of(store, a->path);
            seen.now = &now->perms;
            seen.now_generation = now->generation;
            seen.parent = &up->perms;
            seen.parent_generation = up->generation;
        }
        if (a->old) {
            seen.before = &a->old->perms;
            seen.before_generation = a->old->generation;
        }
        store_watch_fire(store, a->path, a->exact, &seen);
    }
}

static int commit(const struct request *r, struct transaction *tx)
{
    int error = tx->doomed ? ENOMEM : has_room(r, tx);

    if (!error)
        error = find_conflict(r, tx);
    if (!error) {
        apply(r->store, tx);
        fire(r->store, tx);
    }
    return error;
}

int store_do_transaction_end(struct request *r)
{
    const char *what = store_request_string(r);
    struct transaction *tx = r->tx;
    int error = 0;

    if (!what || (strcmp(what, "T") && strcmp(what, "F")))
        return EINVAL;
    if (!tx)
        return ENOENT;
    if (*what == 'T')
        error = commit(r, tx);
    r->tx = NULL;
    drop(r->conn, tx);
    return store_reply_done(r, error);
}
