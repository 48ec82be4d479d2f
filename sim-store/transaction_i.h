/* SPDX-License-Identifier: MIT */
/* Transactions, and the nodes as they see them. */
#ifndef GNTSIM_STORE_TRANSACTION_I_H
#define GNTSIM_STORE_TRANSACTION_I_H

#include <uthash.h>

#include "node_i.h"

/* A node that a transaction looked at, as it was then and as the transaction made it. */
struct access {
    char *path;
    uint64_t generation;            /* when it was first looked at; 0: there was none */
    unsigned owner;                 /* then, if there was one */
    struct node *node;              /* the transaction's own; NULL: none */
    struct node *old;               /* during the commit: what it replaces */
    bool changed, fires, exact;     /* exact: only watches on the node itself see it */
    bool counts;                    /* it was made, removed or given: its owners are looked at */
    UT_hash_handle hh;              /* in the order of first access */
};

struct transaction {
    uint32_t id;
    bool doomed;
    struct access *accessed;
    struct transaction *prev, *next;
};

/* transaction.c */
struct transaction *store_transaction_find(const struct store_conn *conn, uint32_t id);
void store_transactions_drop(struct store_conn *conn);
struct access *store_transaction_access(const struct transaction *tx, const char *path);

#endif
