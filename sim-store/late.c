/* SPDX-License-Identifier: MIT */
/* Events that a fault keeps back until so many more requests were carried out. */
#include "store_i.h"

void store_late_add(struct store_conn *conn, const char *path, const char *token, unsigned requests)
{
    struct late *late = store_alloc(sizeof *late);

    late->conn = conn;
    late->path = store_copy_string(path);
    late->token = store_copy_string(token);
    late->left = requests;
    DL_APPEND(conn->store->late, late);
}

static void forget(struct store *store, struct late *late)
{
    DL_DELETE(store->late, late);
    free(late->path);
    free(late->token);
    free(late);
}

void store_late_drop(struct store_conn *conn)
{
    struct late *late, *next;

    DL_FOREACH_SAFE(conn->store->late, late, next)
        if (late->conn == conn)
            forget(conn->store, late);
}

void store_late_step(struct store *store)
{
    struct late *late, *next;

    DL_FOREACH_SAFE(store->late, late, next) {
        if (late->left--)
            continue;
        store_queue_event(late->conn, late->path, late->token);
        forget(store, late);
    }
}
