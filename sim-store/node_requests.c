/* SPDX-License-Identifier: MIT */
/* The requests that read, list, write, make and remove nodes. */
#include "store_i.h"

/* The node that the only string of a request names, with a right. */
static int named(struct request *r, unsigned need, struct node **out)
{
    const char *given = store_request_string(r);
    char *path;
    int error;

    if (!given)
        return EINVAL;
    error = store_view_named(r, given, need, &path, out);
    free(path);
    return error;
}

static int reply_if_it_fits(struct request *r, const void *body, size_t len)
{
    if (len > XENSTORE_PAYLOAD_MAX)
        return E2BIG;
    store_reply(r, body, len);
    return 0;
}

/* ---- Looking --------------------------------------------------------------------------------- */

int store_do_read(struct request *r)
{
    struct node *node;
    int error = named(r, MAY_READ, &node);

    return error ? error : reply_if_it_fits(r, node->value, node->value_len);
}

int store_do_directory(struct request *r)
{
    struct node *node;
    int error = named(r, MAY_READ, &node);

    return error ? error : reply_if_it_fits(r, node->children, node->children_len);
}

/*
 * The names from an offset on that fit; behind the last of all comes an empty one. Returns the
 * length.
 */
static size_t part_of_names(const struct node *node, size_t offset, char *out, size_t room)
{
    const char *from = node->children + offset, *end = node->children + node->children_len,
               *p = from;
    size_t len;

    if (offset >= node->children_len) {
        *out = '\0';
        return 1;
    }
    while (p < end && (size_t)(p - from) + strlen(p) + 1 <= room)
        p += strlen(p) + 1;
    len = (size_t)(p - from);
    memcpy(out, from, len);
    if (p == end && len < room)
        out[len++] = '\0';
    return len;
}

int store_do_directory_part(struct request *r)
{
    const char *strings[2];
    char reply[XENSTORE_PAYLOAD_MAX], *path;
    struct node *node;
    size_t len;
    int error;

    if (store_request_strings(r, strings, 2) != 2)
        return EINVAL;
    error = store_view_named(r, strings[0], MAY_READ, &path, &node);
    free(path);
    if (error)
        return error;
    len = (size_t)sprintf(reply, "%llu", (unsigned long long)node->generation) + 1;
    len += part_of_names(node, (unsigned)atoi(strings[1]), reply + len, sizeof reply - len);
    store_reply(r, reply, len);
    return 0;
}

int store_do_get_perms(struct request *r)
{
    struct node *node;
    size_t len = 0;
    char *text;
    int error = named(r, MAY_READ, &node);

    if (error)
        return error;
    text = store_alloc(node->perms.nr * 16);
    for (size_t i = 0; i < node->perms.nr; i++)
        len += store_perm_text(&node->perms.entries[i], text + len);
    error = reply_if_it_fits(r, text, len);
    free(text);
    return error;
}

/* ---- Making ---------------------------------------------------------------------------------- */

/*
 * Calls once for the path and for each missing node above it, from below, and at last with the
 * nearest that is there.
 */
static int upwards(struct request *r, const char *path,
                   int (*step)(struct request *r, const char *path, struct node *node,
                               const char *child, void *ctx),
                   void *ctx)
{
    char *at = store_copy_string(path), *child = NULL, *parent;
    struct node *node = NULL;
    int error;

    do {
        error = store_view(r, at, &node);
        if (!error)
            error = step(r, at, node, child ? store_path_name(child) : NULL, ctx);
        parent = store_path_parent(at);
        free(child);
        child = at;
        at = parent;
    } while (!error && !node);
    free(child);
    free(at);
    return error;
}

/* What is to be made: a node with a value, and what it needs above. */
struct making {
    const void *value;
    size_t len;
    struct perms perms;             /* of each new node, when they are known */
    uint64_t nr;                    /* of new nodes */
};

static int find_perms(struct request *r, const char *path, struct node *node, const char *child,
                      void *ctx)
{
    struct making *making = ctx;

    (void)path;
    (void)child;
    making->nr += !node;
    if (!node)
        return 0;
    making->perms = store_perms_copy(&node->perms);
    store_perms_settle(r->store, &making->perms, node->generation);
    if (!store_conn_is_privileged(r->conn))
        making->perms.entries[0].domid = r->conn->domain->domid;
    return 0;
}

static int check_room(struct request *r, const char *path, struct node *node, const char *child,
                      void *ctx)
{
    const struct making *making = ctx;
    size_t more = child ? strlen(child) + 1 : 0;

    (void)path;
    if (node)
        return store_view_may_grow(r, node, node->perms.nr, node->value_len,
                                   node->children_len + more);
    return store_view_may_grow(r, NULL, making->perms.nr, child ? 0 : making->len, more);
}

static int make(struct request *r, const char *path, struct node *node, const char *child,
                void *ctx)
{
    const struct making *making = ctx;

    if (node) {
        store_view_begin(r, node);
        /* A transaction's view of it may be older than that of the child, which it has twice then:
         * that ends in a conflict. */
        store_node_add_child(node, child);
        store_view_end(r, node);
        return 0;
    }
    node =
        store_node_new(path, child ? NULL : making->value, child ? 0 : making->len, &making->perms);
    if (child)
        store_node_add_child(node, child);
    store_view_add(r, node);
    return 0;
}

static int create(struct request *r, const char *path, const void *value, size_t len)
{
    struct making making = { .value = value, .len = len };
    struct node *node;
    int error = upwards(r, path, find_perms, &making);

    /* A transaction's own are counted at its end. */
    if (!error && !store_conn_is_privileged(r->conn) &&
        r->conn->domain->nodes + (r->tx ? 1 : making.nr) > r->store->quotas[STORE_QUOTA_NODES])
        error = ENOSPC;
    if (!error)
        error = upwards(r, path, check_room, &making);
    if (!error) {
        upwards(r, path, make, &making);
        store_view(r, path, &node);
        store_view_fires(r, node, NULL, false);
    }
    store_perms_free(&making.perms);
    return error;
}

/* ---- Writing and removing -------------------------------------------------------------------- */

static int write_value(struct request *r, struct node *node, const void *value, size_t len)
{
    int error = store_view_may_grow(r, node, node->perms.nr, len, node->children_len);

    if (error)
        return error;
    store_view_begin(r, node);
    store_node_set_value(node, value, len);
    store_view_end(r, node);
    store_view_fires(r, node, NULL, false);
    return 0;
}

int store_do_write(struct request *r)
{
    const char *given, *value;
    struct node *node;
    size_t len;
    char *path;
    int error;

    if (!store_request_strings(r, &given, 1))
        return EINVAL;
    value = given + strlen(given) + 1;
    len = (size_t)(r->body + r->len - value);
    error = store_view_named(r, given, MAY_WRITE, &path, &node);
    if (!error)
        error = write_value(r, node, value, len);
    else if (error == ENOENT)
        error = create(r, path, value, len);
    free(path);
    return store_reply_done(r, error);
}

int store_do_mkdir(struct request *r)
{
    const char *given = store_request_string(r);
    struct node *node;
    char *path;
    int error;

    if (!given)
        return EINVAL;
    error = store_view_named(r, given, MAY_WRITE, &path, &node);
    if (error == ENOENT)
        error = create(r, path, NULL, 0);
    free(path);
    return store_reply_done(r, error);
}

/* Nothing to be removed: well, if it could have been there. */
static int remove_absent(struct request *r, const char *path)
{
    char *above = store_path_parent(path);
    struct node *parent;
    int error = store_view(r, above, &parent);

    free(above);
    return error || parent ? error : ENOENT;
}

int store_do_rm(struct request *r)
{
    const char *given = store_request_string(r);
    struct node *node;
    char *path;
    int error;

    if (!given)
        return EINVAL;
    error = store_view_named(r, given, MAY_WRITE, &path, &node);
    if (error == ENOENT)
        error = remove_absent(r, path);
    else if (!error)
        error = strcmp(path, "/") ? store_view_remove_tree(r, node) : EINVAL;
    free(path);
    return store_reply_done(r, error);
}
