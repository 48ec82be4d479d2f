/* SPDX-License-Identifier: MIT */
/* A request in progress: its arguments, its reply, and the nodes as it sees and changes them. */
#ifndef GNTSIM_STORE_REQUEST_I_H
#define GNTSIM_STORE_REQUEST_I_H

#include "node_i.h"

struct transaction;

/* A request in progress. */
struct request {
    struct store *store;
    struct store_conn *conn;
    struct transaction *tx;         /* NULL: none */
    const char *body;               /* with a NUL of ours behind it */
    size_t len;
    bool quiet;                     /* nothing is answered: somebody else does that */
};

/* view.c: nodes as a request sees them, in a transaction or not. Errors are errno numbers, > 0. */
int store_view(struct request *r, const char *path, struct node **out);
/*
 * The node that a request names, if it gives the right. *path is to be freed, also after an error;
 * NULL: not a path.
 */
int store_view_named(struct request *r, const char *given, unsigned need, char **path,
                     struct node **out);
/* A change of value, children or permissions; those were made with the node between both. */
void store_view_begin(struct request *r, struct node *node);
void store_view_end(struct request *r, struct node *node);
void store_view_add(struct request *r, struct node *node);
void store_view_remove(struct request *r, struct node *node);
/* Whether the quotas let a node have that size; a transaction to which they do not is doomed. */
int store_view_may_grow(struct request *r, const struct node *node, size_t nr_perms,
                        size_t value_len, size_t children_len);
int store_view_doom(struct request *r, int error);
/*
 * After a change: at once, or when the transaction commits. old: the permissions before, NULL: the
 * same.
 */
void store_view_fires(struct request *r, const struct node *node, const struct held *old,
                      bool exact);
/* Removes node and all below it, with events, and its name from its parent. */
int store_view_remove_tree(struct request *r, struct node *node);

/* request.c: the message that came in whole. False: the connection went with it. */
bool store_request(struct store_conn *conn);
/* The one string that a body is; NULL: it is not. */
const char *store_request_string(const struct request *r);
/* How many NULs the body has, and the first so many strings. */
size_t store_request_strings(const struct request *r, const char **out, size_t max);

/* The functions of requests. They reply, or return an errno. */
int store_do_directory(struct request *r);
int store_do_directory_part(struct request *r);
int store_do_read(struct request *r);
int store_do_get_perms(struct request *r);
int store_do_set_perms(struct request *r);
int store_do_write(struct request *r);
int store_do_mkdir(struct request *r);
int store_do_rm(struct request *r);
int store_do_watch(struct request *r);
int store_do_unwatch(struct request *r);
int store_do_reset_watches(struct request *r);
int store_do_transaction_start(struct request *r);
int store_do_transaction_end(struct request *r);
int store_do_introduce(struct request *r);
int store_do_release(struct request *r);
int store_do_is_domain_introduced(struct request *r);
int store_do_get_domain_path(struct request *r);
int store_do_resume(struct request *r);
int store_do_set_target(struct request *r);
int store_do_control(struct request *r);

#endif
