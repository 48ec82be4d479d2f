/* SPDX-License-Identifier: MIT */
/* Nodes, their permissions and their paths. */
#ifndef GNTSIM_STORE_NODE_I_H
#define GNTSIM_STORE_NODE_I_H

#include <uthash.h>

#include <gntsim/store.h>

struct store_conn;

#define MAY_READ  1u
#define MAY_WRITE 2u
#define MAY_OWN   4u

struct perm {
    unsigned domid;
    uint8_t may;                    /* MAY_READ, MAY_WRITE */
    bool ignored; /* its domain was gone: it matches nobody, whoever has the number later */
};

struct perms {
    struct perm *entries; /* the first is the owner's, with the rights of everybody else */
    size_t nr;
};

/* Permissions, and since when they hold: for domains that are younger they say nothing. */
struct held {
    struct perms perms;
    uint64_t generation;
};

struct node {
    char *path;
    uint64_t generation;            /* of its last change */
    uint8_t *value;
    size_t value_len;
    char *children;                 /* names, each with its NUL, as they were created */
    size_t children_len;
    struct perms perms;
    UT_hash_handle hh;
};

/* path.c */
/*
 * The absolute path that was meant, or NULL: not a path. allow_special: names that begin with @,
 * too. To be freed.
 */
char *store_path_of(const struct store_conn *conn, const char *given, bool allow_special);
/* The same without a look at whether it is one. */
char *store_path_absolute(const struct store_conn *conn, const char *given);
bool store_path_is_special(const char *path);
bool store_path_is_valid(const struct store *store, const char *path);
/* To be freed; not of "/". */
char *store_path_parent(const char *path);
char *store_path_child(const char *path, const char *name);
const char *store_path_name(const char *path);

/* perms.c */
/* The text form; letters and numbers. False: not one. */
bool store_perm_parse(const char *text, struct perm *out);
/* Writes it with its NUL; returns the length, that included. Needs 16 bytes. */
size_t store_perm_text(const struct perm *perm, char *out);
struct perms store_perms_copy(const struct perms *perms);
void store_perms_free(struct perms *perms);
/* MAY_*: what a connection may do with a node that has these permissions since generation. */
unsigned store_perms_for(const struct store_conn *conn, const struct perms *perms,
                         uint64_t generation);
/* Entries for domains that are younger than generation match nobody from now on. */
void store_perms_settle(const struct store *store, struct perms *perms, uint64_t generation);
/* NULL: another name. */
struct held *store_special(struct store *store, const char *path);

/* node.c: nodes as such, and those of the live store with the books of their owners. */
struct node *store_node_new(const char *path, const void *value, size_t len,
                            const struct perms *perms);
struct node *store_node_copy(const struct node *node);
void store_node_free(struct node *node);
void store_node_set_value(struct node *node, const void *value, size_t len);
void store_node_add_child(struct node *node, const char *name);
void store_node_remove_child(struct node *node, const char *name);
bool store_node_has_child(const struct node *node, const char *name);
/* What counts against the quota of a node's size, with so much of each. */
size_t store_node_size(size_t nr_perms, size_t value_len, size_t children_len);
size_t store_node_memory(const struct node *node);
struct node *store_live(const struct store *store, const char *path);
void store_live_add(struct store *store, struct node *node);
/* It is the caller's then. */
void store_live_remove(struct store *store, struct node *node);
/* Around every change of a live node. */
void store_live_leave(struct store *store, const struct node *node);
void store_live_enter(struct store *store, const struct node *node);

#endif
