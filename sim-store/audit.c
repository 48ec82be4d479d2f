/* SPDX-License-Identifier: MIT */
/* Counts everything in the store again and compares it with the books. */
#include <inttypes.h>
#include <stdarg.h>

#include "store_i.h"

struct audit {
    const struct store *store;
    FILE *out;
    unsigned found;
};

__attribute__((format(printf, 2, 3)))
static void wrong(struct audit *audit, const char *format, ...)
{
    va_list args;

    audit->found++;
    if (!audit->out)
        return;
    va_start(args, format);
    fputs("store: ", audit->out);
    vfprintf(audit->out, format, args);
    fputc('\n', audit->out);
    va_end(args);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static void audit_children(struct audit *audit, const struct node *node)
{
    const char *end = node->children + node->children_len;

    for (const char *name = node->children; name < end; name += strlen(name) + 1) {
        char *path = store_path_child(node->path, name);

        if (!store_live(audit->store, path))
            wrong(audit, "%s names a child %s that is not there", node->path, name);
        for (const char *later = name + strlen(name) + 1; later < end; later += strlen(later) + 1)
            if (!strcmp(later, name))
                wrong(audit, "%s names its child %s twice", node->path, name);
        free(path);
    }
}

static void audit_node(struct audit *audit, const struct node *node)
{
    if (node->path[1]) {
        char *path = store_path_parent(node->path);
        const struct node *parent = store_live(audit->store, path);

        if (!parent)
            wrong(audit, "%s has no parent", node->path);
        else if (!store_node_has_child(parent, store_path_name(node->path)))
            wrong(audit, "%s is no child of its parent", node->path);
        free(path);
    }
    if (*node->path != '/')
        wrong(audit, "%s is no path", node->path);
    if (!node->perms.nr)
        wrong(audit, "%s has no permissions", node->path);
    else if (!store_domain(audit->store, node->perms.entries[0].domid))
        wrong(audit, "%s belongs to nobody", node->path);
    if (!node->generation || node->generation > audit->store->generation)
        wrong(audit, "%s is of generation %" PRIu64, node->path, node->generation);
    audit_children(audit, node);
}

/* ---- Domains and connections ----------------------------------------------------------------- */

static void audit_domain(struct audit *audit, const struct store_domain *d)
{
    unsigned nodes = 0;
    size_t memory = 0;

    for (const struct node *node = audit->store->nodes; node; node = node->hh.next) {
        if (!node->perms.nr || node->perms.entries[0].domid != d->domid)
            continue;
        nodes++;
        memory += store_node_memory(node);
    }
    if (nodes != d->nodes)
        wrong(audit, "domain %u owns %u nodes, counted are %u", d->domid, nodes, d->nodes);
    if (memory != d->memory)
        wrong(audit, "domain %u's nodes have %zu bytes, counted are %zu", d->domid, memory,
              d->memory);
    if (d->conn && (d->conn->domain != d || d->conn->socket))
        wrong(audit, "domain %u's connection is another's", d->domid);
}

static void audit_watches(struct audit *audit, const struct store_conn *conn)
{
    unsigned nr = 0;

    for (const struct watch *watch = conn->watches; watch; watch = watch->next, nr++) {
        const struct watch *there = watch->at->watches;

        while (there && there != watch)
            there = there->at_next;
        if (!there || watch->conn != conn)
            wrong(audit, "a watch of domain %u on %s is not among those of the path",
                  conn->domain->domid, watch->at->path);
    }
    if (nr != conn->nr_watches)
        wrong(audit, "domain %u has %u watches, counted are %u", conn->domain->domid, nr,
              conn->nr_watches);
}

static void audit_queue(struct audit *audit, const struct store_conn *conn)
{
    unsigned outstanding = 0;
    size_t queued = 0;

    for (const struct message *msg = conn->queue; msg; msg = msg->next)
        queued += msg->size;
    for (const struct unread *cause = conn->unread; cause; cause = cause->next, outstanding++)
        if (cause->conn != conn || !cause->messages)
            wrong(audit, "domain %u has an outstanding request of which nothing is unread",
                  conn->domain->domid);
    if (queued != conn->queued)
        wrong(audit, "domain %u has %zu bytes queued, counted are %zu", conn->domain->domid, queued,
              conn->queued);
    if (outstanding != conn->outstanding)
        wrong(audit, "domain %u has %u outstanding requests, counted are %u", conn->domain->domid,
              outstanding, conn->outstanding);
}

static void audit_conn(struct audit *audit, const struct store_conn *conn)
{
    const struct transaction *tx;
    unsigned nr = 0;

    DL_COUNT(conn->transactions, tx, nr);
    if (nr != conn->nr_transactions)
        wrong(audit, "domain %u has %u transactions, counted are %u", conn->domain->domid, nr,
              conn->nr_transactions);
    if (conn->deaf && (conn->watches || conn->transactions || conn->queue))
        wrong(audit, "domain %u's deaf connection is not empty", conn->domain->domid);
    audit_watches(audit, conn);
    audit_queue(audit, conn);
}

unsigned store_audit(const struct store *store, FILE *out)
{
    struct audit audit = { .store = store, .out = out };
    const struct store_conn *conn;
    const struct target_hold *hold;

    if (!store_live(store, "/"))
        wrong(&audit, "there is no root");
    for (const struct node *node = store->nodes; node; node = node->hh.next)
        audit_node(&audit, node);
    for (const struct store_domain *d = store->domains; d; d = d->hh.next)
        audit_domain(&audit, d);
    DL_FOREACH(store->conns, conn)
        audit_conn(&audit, conn);
    DL_FOREACH(store->holds, hold)
        if (!hold->stub->conn || !hold->target->conn)
            wrong(&audit, "domain %u or its target %u is not introduced", hold->stub->domid,
                  hold->target->domid);
    for (const struct watched *at = store->watched; at; at = at->hh.next)
        if (!at->watches)
            wrong(&audit, "nobody watches %s", at->path);
    return audit.found;
}
