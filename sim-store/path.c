/* SPDX-License-Identifier: MIT */
/* Paths: checks them, and makes relative ones absolute. */
#include "store_i.h"

#define DOMAINS "/local/domain/"
#define DOMID_DIGITS 5

static bool is_path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-/_@", c));
}

bool store_path_is_special(const char *path)
{
    return *path == '@';
}

/* What of an absolute path counts: not the part that leads to a domain's own. */
static size_t counted_length(const char *path)
{
    size_t length = strlen(path), digits;
    const char *rest;

    if (length < strlen(DOMAINS) || strncmp(path, DOMAINS, strlen(DOMAINS)))
        return length;
    rest = path + strlen(DOMAINS);
    digits = strspn(rest, "0123456789");
    if (digits < 1 || digits > DOMID_DIGITS || rest[digits] != '/')
        return length;
    return strlen(rest + digits + 1);
}

bool store_path_is_valid(const struct store *store, const char *path)
{
    size_t len = strlen(path);

    if (*path != '/' || counted_length(path) > store->quotas[STORE_QUOTA_PATH])
        return false;
    if (len > 1 && path[len - 1] == '/')
        return false;
    for (const char *p = path; *p; p++)
        if (!is_path_char(*p) || (p[0] == '/' && p[1] == '/'))
            return false;
    return true;
}

char *store_path_absolute(const struct store_conn *conn, const char *given)
{
    char *path;

    if (*given == '/' || store_path_is_special(given))
        return store_copy_string(given);
    path = store_alloc(strlen(given) + 32);
    sprintf(path, DOMAINS "%u/%s", conn->domain->domid, given);
    return path;
}

char *store_path_of(const struct store_conn *conn, const char *given, bool allow_special)
{
    char *path = store_path_absolute(conn, given);
    bool valid = store_path_is_special(path)
        ? allow_special && strlen(path) <= XENSTORE_REL_PATH_MAX
        : store_path_is_valid(conn->store, path);

    if (!valid) {
        free(path);
        return NULL;
    }
    return path;
}

const char *store_path_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

char *store_path_parent(const char *path)
{
    size_t len = (size_t)(store_path_name(path) - 1 - path);
    char *parent = store_alloc(len + 2);

    memcpy(parent, len ? path : "/", len ? len : 1);
    return parent;
}

char *store_path_child(const char *path, const char *name)
{
    size_t len = strcmp(path, "/") ? strlen(path) : 0;
    char *child = store_alloc(len + strlen(name) + 2);

    memcpy(child, path, len);
    child[len] = '/';
    memcpy(child + len + 1, name, strlen(name));
    return child;
}
