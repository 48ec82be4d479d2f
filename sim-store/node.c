/* SPDX-License-Identifier: MIT */
/* Nodes: their contents, the live tree, and their count for each owner. */
#include "store_i.h"

/* What a node weighs without permissions, value and children, and what a permission does. */
#define NODE_BASE 24u
#define NODE_PERM 8u

struct node *store_node_new(const char *path, const void *value, size_t len,
                            const struct perms *perms)
{
    struct node *node = store_alloc(sizeof *node);

    node->path = store_copy_string(path);
    node->children = store_alloc(0);     /* there is an address to count from, also without any */
    node->perms = store_perms_copy(perms);
    store_node_set_value(node, value, len);
    return node;
}

struct node *store_node_copy(const struct node *node)
{
    struct node *copy = store_node_new(node->path, node->value, node->value_len, &node->perms);

    copy->generation = node->generation;
    free(copy->children);
    copy->children = store_copy(node->children, node->children_len);
    copy->children_len = node->children_len;
    return copy;
}

void store_node_free(struct node *node)
{
    if (!node)
        return;
    store_perms_free(&node->perms);
    free(node->path);
    free(node->value);
    free(node->children);
    free(node);
}

void store_node_set_value(struct node *node, const void *value, size_t len)
{
    uint8_t *copy = store_copy(value, len);

    free(node->value);
    node->value = copy;
    node->value_len = len;
}

/* ---- Children -------------------------------------------------------------------------------- */

static char *child_at(const struct node *node, const char *name)
{
    for (char *p = node->children; p < node->children + node->children_len; p += strlen(p) + 1)
        if (!strcmp(p, name))
            return p;
    return NULL;
}

bool store_node_has_child(const struct node *node, const char *name)
{
    return child_at(node, name);
}

void store_node_add_child(struct node *node, const char *name)
{
    size_t len = strlen(name) + 1;

    node->children = store_grow(node->children, node->children_len + len);
    memcpy(node->children + node->children_len, name, len);
    node->children_len += len;
}

void store_node_remove_child(struct node *node, const char *name)
{
    size_t len = strlen(name) + 1;
    char *at = child_at(node, name), *end = node->children + node->children_len;

    /* A transaction's view of a parent may be older than that of its child. */
    if (!at)
        return;
    memmove(at, at + len, (size_t)(end - (at + len)));
    node->children_len -= len;
}

/* ---- The live store -------------------------------------------------------------------------- */

size_t store_node_size(size_t nr_perms, size_t value_len, size_t children_len)
{
    return NODE_BASE + NODE_PERM * nr_perms + value_len + children_len;
}

size_t store_node_memory(const struct node *node)
{
    return strlen(node->path) +
           store_node_size(node->perms.nr, node->value_len, node->children_len);
}

struct node *store_live(const struct store *store, const char *path)
{
    struct node *node;

    HASH_FIND_STR(store->nodes, path, node);
    return node;
}

void store_live_leave(struct store *store, const struct node *node)
{
    struct store_domain *owner = store_domain(store, node->perms.entries[0].domid);

    assert(owner && owner->nodes && owner->memory >= store_node_memory(node));
    owner->nodes--;
    owner->memory -= store_node_memory(node);
}

void store_live_enter(struct store *store, const struct node *node)
{
    struct store_domain *owner = store_domain(store, node->perms.entries[0].domid);

    assert(owner);
    owner->nodes++;
    owner->memory += store_node_memory(node);
}

void store_live_add(struct store *store, struct node *node)
{
    HASH_ADD_KEYPTR(hh, store->nodes, node->path, strlen(node->path), node);
    store_live_enter(store, node);
}

void store_live_remove(struct store *store, struct node *node)
{
    store_live_leave(store, node);
    HASH_DEL(store->nodes, node);
}
