/* SPDX-License-Identifier: MIT */
/* A store's life, and its profiles, quotas and time. */
#include "store_i.h"

/* An unprivileged domain's event that it has not begun to read for so long is dropped. */
#define EVENT_MS 20000u

#define QUOTAS {                                \
    [STORE_QUOTA_NODES] = 1000,                 \
    [STORE_QUOTA_WATCHES] = 128,                \
    [STORE_QUOTA_TRANSACTIONS] = 10,            \
    [STORE_QUOTA_NODE_SIZE] = 2048,             \
    [STORE_QUOTA_PERMISSIONS] = 5,              \
    [STORE_QUOTA_PATH] = XENSTORE_REL_PATH_MAX, \
    [STORE_QUOTA_OUTSTANDING] = 20,             \
    [STORE_QUOTA_TRANSACTION_NODES] = 1024,     \
    [STORE_QUOTA_MEMORY] = 2621440,             \
}

const struct store_profile store_profile_xenstored_4_17 = {
    .name = "xenstored-4.17", .quotas = QUOTAS, .too_many_watches = E2BIG };
const struct store_profile store_profile_xenstored_4_18 = {
    .name = "xenstored-4.18", .quotas = QUOTAS, .too_many_watches = ENOSPC };

const struct store_profile *store_profile_find(const char *name)
{
    static const struct store_profile *const all[] = { &store_profile_xenstored_4_17,
                                                       &store_profile_xenstored_4_18 };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}

const char *store_quota_name(enum store_quota quota)
{
    static const char *const names[STORE_NR_QUOTAS] = {
        [STORE_QUOTA_NODES] = "nodes",
        [STORE_QUOTA_WATCHES] = "watches",
        [STORE_QUOTA_TRANSACTIONS] = "transactions",
        [STORE_QUOTA_NODE_SIZE] = "node-size",
        [STORE_QUOTA_PERMISSIONS] = "permissions",
        [STORE_QUOTA_PATH] = "path-max",
        [STORE_QUOTA_OUTSTANDING] = "outstanding",
        [STORE_QUOTA_TRANSACTION_NODES] = "transaction-nodes",
        [STORE_QUOTA_MEMORY] = "memory",
    };

    return names[quota];
}

/* ---- Memory ---------------------------------------------------------------------------------- */

void *store_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);

    if (!p)
        abort();
    return p;
}

void *store_grow(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);

    if (!p)
        abort();
    return p;
}

void *store_copy(const void *bytes, size_t size)
{
    void *copy = store_alloc(size);

    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

char *store_copy_string(const char *string)
{
    return store_copy(string, strlen(string) + 1);
}

/* ---- The store ------------------------------------------------------------------------------- */

static void add_first_nodes(struct store *store)
{
    static const struct {
        const char *path, *child;
    } nodes[] = { { "/", "tool" }, { "/tool", "xenstored" }, { "/tool/xenstored", NULL } };
    const struct perms perms = { .entries = &(struct perm){ .domid = 0 }, .nr = 1 };

    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        struct node *node = store_node_new(nodes[i].path, NULL, 0, &perms);

        if (nodes[i].child)
            store_node_add_child(node, nodes[i].child);
        node->generation = ++store->generation;
        store_live_add(store, node);
    }
    for (size_t i = 0; i < sizeof store->special / sizeof *store->special; i++)
        store->special[i].perms = store_perms_copy(&perms);
}

struct store *store_create(const struct store_config *config)
{
    static const struct store_config defaults;
    struct store *store = store_alloc(sizeof *store);

    if (!config)
        config = &defaults;
    store->profile = config->profile ? config->profile : &store_profile_xenstored_4_17;
    memcpy(store->quotas, store->profile->quotas, sizeof store->quotas);
    store->hooks = config->hooks;
    store->hook_ctx = config->hook_ctx;
    store->privileged_domid = config->privileged_domid > 0 ? (unsigned)config->privileged_domid : 0;
    store->keep_orphans = config->keep_orphans;
    store_conn_add(store, store_domain_add(store, 0), false);
    add_first_nodes(store);
    return store;
}

void store_destroy(struct store *store)
{
    struct node *node, *next;

    if (!store)
        return;
    store_targets_forget(store);
    while (store->conns)
        store_conn_free(store->conns);
    HASH_ITER(hh, store->nodes, node, next) {
        store_live_remove(store, node);
        store_node_free(node);
    }
    while (store->domains)
        store_domain_free(store, store->domains);
    for (size_t i = 0; i < sizeof store->special / sizeof *store->special; i++)
        store_perms_free(&store->special[i].perms);
    free(store);
}

const struct store_profile *store_profile(const struct store *store)
{
    return store->profile;
}

unsigned store_quota(const struct store *store, enum store_quota quota)
{
    return store->quotas[quota];
}

void store_set_quota(struct store *store, enum store_quota quota, unsigned value)
{
    store->quotas[quota] = value;
}

uint64_t store_nr_requests(const struct store *store)
{
    return store->nr_requests;
}

uint64_t store_nr_nodes(const struct store *store)
{
    return HASH_COUNT(store->nodes);
}

void store_time(struct store *store, uint64_t now_ms)
{
    store->now = now_ms;
    for (struct store_conn *conn = store->conns; conn; conn = conn->next)
        if (!store_conn_is_privileged(conn))
            store_conn_drop_events(conn, EVENT_MS);
}
