/* SPDX-License-Identifier: MIT */
/* Writes the nodes of a device: both ends, and libxl's copy. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device_nodes_i.h"

/* ---- Paths ----------------------------------------------------------------------------------- */

static struct device_path front_of(const struct device_wish *wish, unsigned id)
{
    struct device_path path;

    if (wish->kind->back)
        snprintf(path.text, sizeof path.text, "/local/domain/%u/device/%s/%u", wish->domain,
                 wish->kind->front, id);
    else
        snprintf(path.text, sizeof path.text, "/local/domain/%u/data/%s/%u/%u", wish->domain,
                 wish->kind->front, wish->backend, id);
    return path;
}

static struct device_path back_of(const struct device_wish *wish, unsigned id)
{
    struct device_path path = { .text = "" };

    if (wish->kind->back)
        snprintf(path.text, sizeof path.text, "/local/domain/%u/backend/%s/%u/%u", wish->backend,
                 wish->kind->back, wish->domain, id);
    return path;
}

struct device_path device_libxl_path(domid_t domain, const char *kind, unsigned id)
{
    struct device_path path;

    snprintf(path.text, sizeof path.text, "/libxl/%u/device/%s/%u", domain, kind, id);
    return path;
}

struct device_path device_key_path(const char *directory, const char *key)
{
    struct device_path path;

    snprintf(path.text, sizeof path.text, "%.*s/%s", (int)sizeof path.text - 64, directory, key);
    return path;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* What the '$' of device_kinds.h stand for. */
struct names {
    const struct device_wish *wish;
    unsigned id;
    const char *front, *back;
};

static void disk_name(unsigned id, char *out, size_t size)
{
    bool extended = id >> 28 == 1;
    unsigned disk = extended ? id >> 8 & 0xfffff : id >> 4 & 15;
    unsigned partition = id & (extended ? 255 : 15);
    char first[2] = { disk < 26 ? '\0' : (char)('a' + disk / 26 - 1), '\0' };
    int n;

    if ((!extended && id >> 8 != 202) || disk >= 26 * 27) {
        snprintf(out, size, "%u", id);
        return;
    }
    n = snprintf(out, size, "xvd%s%c", first, 'a' + disk % 26);
    if (partition && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, "%u", partition);
}

static void expand(const struct names *names, const char *value, char *out, size_t size)
{
    unsigned domain = names->wish->domain;

    switch (*value == '$' ? value[1] : '\0') {
    case 'N':
        snprintf(out, size, "%u", domain);
        break;
    case 'B':
        snprintf(out, size, "%u", names->wish->backend);
        break;
    case 'I':
        snprintf(out, size, "%u", names->id);
        break;
    case 'D':
        disk_name(names->id, out, size);
        break;
    case 'M':
        snprintf(out, size, "00:16:3e:%02x:%02x:%02x", domain >> 8, domain & 255, names->id & 255);
        break;
    case 'F':
        snprintf(out, size, "%s", names->front);
        break;
    case 'P':
        snprintf(out, size, "%s", names->back);
        break;
    default:
        snprintf(out, size, "%s", value);
    }
}

static const char *given(const struct device_wish *wish, const struct device_key *key)
{
    for (size_t i = 0; i < wish->nr_values; i++)
        if (!(key->flags & KEY_FIXED) && !strcmp(wish->values[i].key, key->key))
            return wish->values[i].value;
    return NULL;
}

/* ---- Attach ---------------------------------------------------------------------------------- */

/* Owned by one domain, and read by the other. */
static int set_perms(struct store_server *server, const char *path, domid_t owner, domid_t reader)
{
    char owns[8], reads[8];

    snprintf(owns, sizeof owns, "n%u", owner);
    snprintf(reads, sizeof reads, "r%u", reader);
    return store_tool_perms(server, path, (const char *const[]){ owns, reads });
}

static int make_directory(struct store_server *server, const char *path, domid_t owner,
                          domid_t reader)
{
    int rc;

    store_tool_remove(server, path);
    rc = store_tool_write(server, path, "");
    return rc ? rc : set_perms(server, path, owner, reader);
}

static int write_key(struct store_server *server, const struct names *names,
                     const struct device_key *key, const char *libxl)
{
    const struct device_wish *wish = names->wish;
    const struct domain *d = machine_domain(server->machine, wish->domain);
    bool pv = d && !d->profile->auto_translated;
    char text[XENSTORE_PAYLOAD_MAX];
    const char *value = given(wish, key);
    struct device_path path;
    int rc = 0;

    if (!value && (!key->value || (key->flags & KEY_PV && !pv)))
        return 0;
    if (value)
        snprintf(text, sizeof text, "%s", value);
    else
        expand(names, key->value, text, sizeof text);
    if (key->flags & KEY_FRONT) {
        path = device_key_path(names->front, key->key);
        rc = store_tool_write(server, path.text, text);
        if (!rc && key->flags & KEY_READONLY)
            rc = set_perms(server, path.text, wish->backend, wish->domain);
    }
    if (!rc && key->flags & KEY_BACK) {
        path = device_key_path(names->back, key->key);
        rc = store_tool_write(server, path.text, text);
        path = device_key_path(libxl, key->key);
        rc = rc ? rc : store_tool_write(server, path.text, text);
    }
    return rc;
}

static int write_nodes(struct store_server *server, const struct names *names, const char *libxl)
{
    const struct device_wish *wish = names->wish;
    int rc;

    store_tool_remove(server, libxl);
    rc = store_tool_write(server, libxl, "");
    rc = rc ? rc : store_tool_write(server, device_key_path(libxl, "frontend").text, names->front);
    if (!rc && *names->back)
        rc = store_tool_write(server, device_key_path(libxl, "backend").text, names->back);
    rc = rc ? rc : make_directory(server, names->front, wish->domain, wish->backend);
    if (!rc && *names->back)
        rc = make_directory(server, names->back, wish->backend, wish->domain);
    for (const struct device_key *key = wish->kind->keys; key->key && !rc; key++)
        rc = write_key(server, names, key, libxl);
    return rc;
}

int device_nodes_make(struct store_server *server, const struct device_wish *wish, unsigned id)
{
    struct device_path front = front_of(wish, id), back = back_of(wish, id);
    struct device_path libxl = device_libxl_path(wish->domain, wish->kind->front, id);
    struct names names = { wish, id, front.text, back.text };
    int rc;

    do {
        store_tool_begin(server);
        rc = write_nodes(server, &names, libxl.text);
        rc = store_tool_end(server, !rc) ?: rc;
    } while (rc == -EAGAIN);
    return rc;
}
