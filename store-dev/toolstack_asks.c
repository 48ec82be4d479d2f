/* SPDX-License-Identifier: MIT */
/* The requests of which a toolstack's work is made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon_i.h"
#include "toolstack_i.h"

/* A body: strings with their NULs. */
struct body {
    char bytes[XENSTORE_PAYLOAD_MAX];
    size_t len;
};

/* What does not fit is left out: the store refuses the request then. */
static void add(struct body *body, const char *string)
{
    size_t len = strlen(string) + 1;

    if (len > sizeof body->bytes - body->len)
        return;
    memcpy(body->bytes + body->len, string, len);
    body->len += len;
}

static int ask(struct store_server *server, uint32_t type, const struct body *body, char *reply,
               size_t *len)
{
    const void *bytes = body->bytes;

    if (server->conn)
        return daemon_ask(server->conn, type, server->tx, bytes, body->len, reply, len);
    if (store_daemon_of(server->machine))
        return store_daemon_ask(server->machine, type, server->tx, bytes, body->len, reply, len);
    return store_ask_own(server, type, bytes, body->len, reply, len);
}

int store_tool_write(struct store_server *server, const char *path, const char *value)
{
    struct body body = { .len = 0 };

    add(&body, path);
    add(&body, value);
    body.len--;                     /* a value has no NUL */
    return ask(server, XS_WRITE, &body, NULL, NULL);
}

int store_tool_perms(struct store_server *server, const char *path, const char *const perms[2])
{
    struct body body = { .len = 0 };

    add(&body, path);
    for (unsigned i = 0; i < 2 && perms[i]; i++)
        add(&body, perms[i]);
    return ask(server, XS_SET_PERMS, &body, NULL, NULL);
}

int store_tool_introduce(struct store_server *server, const char *const words[3])
{
    struct body body = { .len = 0 };

    for (unsigned i = 0; i < 3; i++)
        add(&body, words[i]);
    return ask(server, XS_INTRODUCE, &body, NULL, NULL);
}

static int ask_path(struct store_server *server, uint32_t type, const char *path, char *reply,
                    size_t *len)
{
    struct body body = { .len = 0 };

    add(&body, path);
    return ask(server, type, &body, reply, len);
}

int store_tool_release(struct store_server *server, const char *domain)
{
    return ask_path(server, XS_RELEASE, domain, NULL, NULL);
}

int store_tool_remove(struct store_server *server, const char *path)
{
    return ask_path(server, XS_RM, path, NULL, NULL);
}

bool store_tool_read(struct store_server *server, const char *path, char *value, size_t size)
{
    char reply[XENSTORE_PAYLOAD_MAX];
    size_t len = 0;

    *value = '\0';
    if (ask_path(server, XS_READ, path, reply, &len) || len >= size)
        return false;
    memcpy(value, reply, len);
    value[len] = '\0';
    return true;
}

size_t store_tool_names(struct store_server *server, const char *path,
                        char names[XENSTORE_PAYLOAD_MAX])
{
    size_t len = 0;

    return ask_path(server, XS_DIRECTORY, path, names, &len) ? 0 : len;
}

void store_tool_prune(struct store_server *server, const char *path, const char *keep)
{
    char names[XENSTORE_PAYLOAD_MAX], above[STORE_TOOL_PATH], *slash;
    size_t len;

    store_tool_remove(server, path);
    snprintf(above, sizeof above, "%s", path);
    while ((slash = strrchr(above, '/')) && slash != above) {
        *slash = '\0';
        if (strlen(above) <= strlen(keep))
            return;
        if (ask_path(server, XS_DIRECTORY, above, names, &len) || len)
            return;
        store_tool_remove(server, above);
    }
}

void store_tool_begin(struct store_server *server)
{
    static const struct body nothing = { .bytes = "", .len = 1 };
    char reply[XENSTORE_PAYLOAD_MAX];
    size_t len;

    if (!ask(server, XS_TRANSACTION_START, &nothing, reply, &len))
        server->tx = (uint32_t)strtoul(reply, NULL, 10);
}

int store_tool_end(struct store_server *server, bool commit)
{
    struct body body = { .bytes = "", .len = 2 };

    int rc;

    body.bytes[0] = commit ? 'T' : 'F';
    rc = ask(server, XS_TRANSACTION_END, &body, NULL, NULL);
    server->tx = 0;
    return rc;
}
