/* SPDX-License-Identifier: MIT */
/* The nodes that a request sees and changes: the live tree's, or its transaction's own. */
#include "store_i.h"

static bool is_limited(const struct request *r)
{
    return !store_conn_is_privileged(r->conn);
}

int store_view_doom(struct request *r, int error)
{
    if (r->tx)
        r->tx->doomed = true;
    return error;
}

/* The node as it is now becomes the transaction's. */
static int first_access(struct request *r, const char *path, struct access **out)
{
    struct node *live = store_live(r->store, path);
    struct access *a;

    if (is_limited(r) &&
        HASH_COUNT(r->tx->accessed) >= r->store->quotas[STORE_QUOTA_TRANSACTION_NODES])
        return store_view_doom(r, ENOSPC);
    a = store_alloc(sizeof *a);
    a->path = store_copy_string(path);
    if (live) {
        a->generation = live->generation;
        a->owner = live->perms.entries[0].domid;
        a->node = store_node_copy(live);
    }
    HASH_ADD_KEYPTR(hh, r->tx->accessed, a->path, strlen(a->path), a);
    *out = a;
    return 0;
}

int store_view(struct request *r, const char *path, struct node **out)
{
    struct access *a;
    int error = 0;

    *out = NULL;
    if (!r->tx) {
        *out = store_live(r->store, path);
        return 0;
    }
    a = store_transaction_access(r->tx, path);
    if (!a)
        error = first_access(r, path, &a);
    if (!error)
        *out = a->node;
    return error;
}

/*
 * There is no such node: whether the caller is told depends on what it may do with the nearest
 * above.
 */
static int absent(struct request *r, const char *path, unsigned need)
{
    struct node *above = NULL;
    char *parent = store_copy_string(path);
    int error = 0;

    while (!error && !above) {
        char *up = store_path_parent(parent);

        free(parent);
        parent = up;
        error = store_view(r, parent, &above);
    }
    free(parent);
    if (error)
        return error;
    return store_perms_for(r->conn, &above->perms, above->generation) & need ? ENOENT : EACCES;
}

int store_view_named(struct request *r, const char *given, unsigned need, char **path,
                     struct node **out)
{
    unsigned may;
    int error;

    *out = NULL;
    *path = store_path_of(r->conn, given, false);
    if (!*path)
        return EINVAL;
    error = store_view(r, *path, out);
    if (error)
        return error;
    if (!*out)
        return absent(r, *path, need);
    may = store_perms_for(r->conn, &(*out)->perms, (*out)->generation);
    if ((may & need) == need)
        return 0;
    /* For a transaction the one above was looked at here, too. */
    error = absent(r, *path, need);
    return error == ENOENT ? EACCES : error;
}

/* ---- Changes --------------------------------------------------------------------------------- */

int store_view_may_grow(struct request *r, const struct node *node, size_t nr_perms,
                        size_t value_len, size_t children_len)
{
    size_t size = store_node_size(nr_perms, value_len, children_len);
    size_t was = node ? store_node_size(node->perms.nr, node->value_len, node->children_len) : 0;

    if (!is_limited(r))
        return 0;
    if (size >= r->store->quotas[STORE_QUOTA_NODE_SIZE])
        return store_view_doom(r, ENOSPC);
    if (size > was && !store_conn_has_memory(r->conn, size - was))
        return store_view_doom(r, ENOMEM);
    return 0;
}

void store_view_begin(struct request *r, struct node *node)
{
    if (!r->tx)
        store_live_leave(r->store, node);
    store_perms_settle(r->store, &node->perms, node->generation);
}

void store_view_end(struct request *r, struct node *node)
{
    node->generation = ++r->store->generation;
    if (r->tx)
        store_transaction_access(r->tx, node->path)->changed = true;
    else
        store_live_enter(r->store, node);
}

void store_view_add(struct request *r, struct node *node)
{
    struct access *a;

    node->generation = ++r->store->generation;
    if (!r->tx) {
        store_live_add(r->store, node);
        return;
    }
    a = store_transaction_access(r->tx, node->path);
    assert(a && !a->node);
    a->node = node;
    a->changed = a->counts = true;
}

void store_view_remove(struct request *r, struct node *node)
{
    if (r->tx) {
        struct access *a = store_transaction_access(r->tx, node->path);

        a->node = NULL;
        a->changed = a->counts = true;
    } else {
        store_live_remove(r->store, node);
    }
    store_node_free(node);
}

void store_view_fires(struct request *r, const struct node *node, const struct held *old,
                      bool exact)
{
    if (r->tx) {
        struct access *a = store_transaction_access(r->tx, node->path);

        a->fires = true;
        a->exact = exact;
    } else {
        char *parent = store_path_parent(node->path);
        const struct node *up = store_live(r->store, parent);
        struct seen seen = {
            .now = &node->perms, .now_generation = node->generation,
            .before = old ? &old->perms : NULL, .before_generation = old ? old->generation : 0,
            .parent = &up->perms, .parent_generation = up->generation,
        };

        free(parent);
        store_watch_fire(r->store, node->path, exact, &seen);
    }
}

/* ---- Removal --------------------------------------------------------------------------------- */

/*
 * A transaction looks at everything below, so that an outer change of it is a conflict. Its view of
 * a child may be newer than that of its parent: what was removed till then stays so.
 */
static int remove_below(struct request *r, const struct node *node)
{
    int error = 0;

    for (const char *name = node->children; !error && name < node->children + node->children_len;
         name += strlen(name) + 1) {
        char *path = store_path_child(node->path, name);
        struct node *child;

        /* Whatever the reason is: the daemon has found its tree broken. */
        error = store_view(r, path, &child) || !child ? EIO : remove_below(r, child);
        free(path);
        if (error)
            break;
        store_view_fires(r, child, NULL, true);
        store_view_remove(r, child);
    }
    return error;
}

int store_view_remove_tree(struct request *r, struct node *node)
{
    char *path = store_path_parent(node->path);
    struct node *parent;
    int error = store_view(r, path, &parent);

    free(path);
    if (!error && !parent)
        error = EINVAL;
    if (!error)
        error = remove_below(r, node);
    if (error)
        return error;
    store_view_fires(r, node, NULL, false);
    if (store_node_has_child(parent, store_path_name(node->path))) {
        store_view_begin(r, parent);
        store_node_remove_child(parent, store_path_name(node->path));
        store_view_end(r, parent);
    } else {
        error = EIO;
    }
    store_view_remove(r, node);
    return error;
}
