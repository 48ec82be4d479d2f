/* SPDX-License-Identifier: MIT */
/* Watches: sets and removes them, and delivers their events in order. */
#include "store_i.h"

#define WATCH_BASE 64u

static size_t memory_of(const char *path, const char *token)
{
    return WATCH_BASE + strlen(path) + strlen(token);
}

/* ---- The watches of a path ------------------------------------------------------------------- */

static struct watched *find_watched(const struct store *store, const char *path)
{
    struct watched *at;

    HASH_FIND_STR(store->watched, path, at);
    return at;
}

static void put_at(struct store *store, struct watch *watch, const char *path)
{
    struct watched *at = find_watched(store, path);

    if (!at) {
        at = store_alloc(sizeof *at);
        at->path = store_copy_string(path);
        HASH_ADD_KEYPTR(hh, store->watched, at->path, strlen(at->path), at);
    }
    DL_APPEND2(at->watches, watch, at_prev, at_next);
    watch->at = at;
}

static void take_from(struct store *store, struct watch *watch)
{
    struct watched *at = watch->at;

    DL_DELETE2(at->watches, watch, at_prev, at_next);
    if (at->watches)
        return;
    HASH_DEL(store->watched, at);
    free(at->path);
    free(at);
}

static struct watch *find(const struct store_conn *conn, const char *path, const char *token)
{
    struct watched *at = find_watched(conn->store, path);

    for (struct watch *watch = at ? at->watches : NULL; watch; watch = watch->at_next)
        if (watch->conn == conn && !strcmp(watch->token, token))
            return watch;
    return NULL;
}

static void drop(struct watch *watch)
{
    struct store_conn *conn = watch->conn;

    conn->watch_memory -= memory_of(watch->at->path, watch->token);
    conn->nr_watches--;
    DL_DELETE(conn->watches, watch);
    take_from(conn->store, watch);
    free(watch->token);
    free(watch);
}

void store_watches_drop(struct store_conn *conn)
{
    while (conn->watches)
        drop(conn->watches);
}

/* ---- Requests -------------------------------------------------------------------------------- */

static int may_watch(const struct store_conn *conn, const char *path, const char *token)
{
    const struct store *store = conn->store;

    if (find(conn, path, token))
        return EEXIST;
    if (store_conn_is_privileged(conn))
        return 0;
    if (conn->nr_watches > store->quotas[STORE_QUOTA_WATCHES])
        return store->profile->too_many_watches;
    return store_conn_has_memory(conn, memory_of(path, token)) ? 0 : ENOMEM;
}

static void add(struct store_conn *conn, const char *path, size_t skip, const char *token)
{
    struct watch *watch = store_alloc(sizeof *watch);

    watch->conn = conn;
    watch->token = store_copy_string(token);
    watch->skip = skip;
    watch->number = ++conn->store->last_watch;
    DL_APPEND(conn->watches, watch);
    put_at(conn->store, watch, path);
    conn->nr_watches++;
    conn->watch_memory += memory_of(path, token);
}

int store_do_watch(struct request *r)
{
    const char *strings[2];
    char *path;
    int error;

    if (store_request_strings(r, strings, 2) != 2)
        return EINVAL;
    path = store_path_of(r->conn, strings[0], true);
    if (!path)
        return EINVAL;
    error = may_watch(r->conn, path, strings[1]);
    if (!error) {
        add(r->conn, path, strlen(path) - strlen(strings[0]), strings[1]);
        store_reply_done(r, 0);
        store_send_event(r->conn, strings[0], strings[1]);
    }
    free(path);
    return error;
}

int store_do_unwatch(struct request *r)
{
    const char *strings[2];
    struct watch *watch;
    char *path;

    if (store_request_strings(r, strings, 2) != 2)
        return EINVAL;
    path = store_path_absolute(r->conn, strings[0]);
    watch = find(r->conn, path, strings[1]);
    free(path);
    if (!watch)
        return ENOENT;
    drop(watch);
    return store_reply_done(r, 0);
}

int store_do_reset_watches(struct request *r)
{
    store_watches_drop(r->conn);
    store_transactions_drop(r->conn);
    r->tx = NULL;
    return store_reply_done(r, 0);
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* The watches that get an event, before they are put in order. */
struct firing {
    struct watch **watches;
    size_t nr, room;
};

static bool may_read(const struct store_conn *conn, const struct perms *perms, uint64_t generation)
{
    return perms && store_perms_for(conn, perms, generation) & MAY_READ;
}

static bool may_see(const struct store_conn *conn, const struct seen *seen)
{
    return may_read(conn, seen->now, seen->now_generation) ||
           may_read(conn, seen->before, seen->before_generation) ||
           may_read(conn, seen->parent, seen->parent_generation);
}

static void collect(struct firing *firing, const struct store *store, const char *path,
                    const struct seen *seen)
{
    struct watched *at = find_watched(store, path);

    for (struct watch *watch = at ? at->watches : NULL; watch; watch = watch->at_next) {
        if (!may_see(watch->conn, seen))
            continue;
        if (firing->nr == firing->room) {
            firing->room = firing->room ? 2 * firing->room : 16;
            firing->watches = store_grow(firing->watches, firing->room * sizeof(struct watch *));
        }
        firing->watches[firing->nr++] = watch;
    }
}

static int by_age(const void *a, const void *b)
{
    const struct watch *x = *(struct watch *const *)a, *y = *(struct watch *const *)b;

    if (x->conn != y->conn)
        return x->conn->number < y->conn->number ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void send(struct firing *firing, const char *path)
{
    size_t len = strlen(path);

    if (firing->nr > 1)
        qsort(firing->watches, firing->nr, sizeof *firing->watches, by_age);
    for (size_t i = 0; i < firing->nr; i++) {
        const struct watch *watch = firing->watches[i];

        store_send_event(watch->conn, path + (watch->skip < len ? watch->skip : len), watch->token);
    }
    free(firing->watches);
}

void store_watch_fire(struct store *store, const char *path, bool exact, const struct seen *seen)
{
    struct firing firing = { 0 };

    if (!store->watched)
        return;
    collect(&firing, store, path, seen);
    if (!exact && path[1]) {
        char *up = store_copy_string(path);

        for (size_t at = strlen(up); at-- > 1;) {
            if (up[at] != '/')
                continue;
            up[at] = '\0';
            collect(&firing, store, up, seen);
        }
        collect(&firing, store, "/", seen);
        free(up);
    }
    send(&firing, path);
}

void store_watch_fire_special(struct store *store, const char *name)
{
    struct firing firing = { 0 };
    const struct held *special = store_special(store, name);
    struct seen seen = { .now = &special->perms, .now_generation = special->generation };

    collect(&firing, store, name, &seen);
    send(&firing, name);
}
