/* SPDX-License-Identifier: MIT */
/* Watches, by connection and by path. */
#ifndef GNTSIM_STORE_WATCH_I_H
#define GNTSIM_STORE_WATCH_I_H

#include <uthash.h>

#include "node_i.h"

struct watch {
    struct store_conn *conn;
    struct watched *at;
    char *token;
    size_t skip;                    /* of an event's path: the watch was set by a relative one */
    uint64_t number;                /* in the order in which all watches were set */
    struct watch *prev, *next;      /* of its connection */
    struct watch *at_prev, *at_next;
};

/* A path with watches on it. */
struct watched {
    char *path;
    struct watch *watches;
    UT_hash_handle hh;
};

/* watch.c */
/* What a watch looks at to find out if its connection may see an event. Permissions may be NULL. */
struct seen {
    const struct perms *now, *before, *parent;
    uint64_t now_generation, before_generation, parent_generation;
};
void store_watch_fire(struct store *store, const char *path, bool exact, const struct seen *seen);
void store_watch_fire_special(struct store *store, const char *name);
void store_watches_drop(struct store_conn *conn);

#endif
