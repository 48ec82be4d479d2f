/* SPDX-License-Identifier: MIT */
/* SET_PERMS: its checks in their order. */
#include "store_i.h"

/* The entries that the strings behind the first say, as they will be kept. */
static int parse(struct request *r, const char **strings, size_t nr, struct perms *out)
{
    out->entries = store_alloc(nr * sizeof *out->entries);
    out->nr = nr;
    for (size_t i = 0; i < nr; i++)
        if (!store_perm_parse(strings[i], &out->entries[i]))
            return EINVAL;
    for (size_t i = 0; i < nr; i++)
        out->entries[i].ignored = !store_domain_existing(r->store, out->entries[i].domid);
    if (out->entries[0].ignored)
        return ENOENT;
    return 0;
}

static int set_special(struct request *r, const char *name, struct perms *perms)
{
    struct held *special = store_special(r->store, name);

    if (!special)
        return EINVAL;
    if (!(store_perms_for(r->conn, &special->perms, special->generation) & MAY_OWN))
        return EACCES;
    store_perms_free(&special->perms);
    special->perms = *perms;
    special->generation = ++r->store->generation;
    *perms = (struct perms){ 0 };
    return 0;
}

static int set(struct request *r, const char *given, struct perms *perms)
{
    struct node *node;
    struct held old;
    char *path;
    int error = store_view_named(r, given, MAY_WRITE | MAY_OWN, &path, &node);

    free(path);
    if (!error && !store_conn_is_privileged(r->conn) &&
        perms->entries[0].domid != node->perms.entries[0].domid)
        error = EPERM;
    if (!error)
        error = store_view_may_grow(r, node, perms->nr, node->value_len, node->children_len);
    if (error)
        return error;
    store_view_begin(r, node);
    old = (struct held){ .perms = node->perms, .generation = node->generation };
    node->perms = *perms;
    *perms = (struct perms){ 0 };
    store_view_end(r, node);
    if (r->tx)
        store_transaction_access(r->tx, node->path)->counts = true;
    store_view_fires(r, node, &old, false);
    store_perms_free(&old.perms);
    return 0;
}

int store_do_set_perms(struct request *r)
{
    size_t nr = store_request_strings(r, NULL, 0);
    struct perms perms = { 0 };
    const char **strings;
    int error;

    if (nr < 2)
        return EINVAL;
    if (!store_conn_is_privileged(r->conn) && nr - 1 > r->store->quotas[STORE_QUOTA_PERMISSIONS])
        return ENOSPC;
    strings = store_alloc(nr * sizeof *strings);
    store_request_strings(r, strings, nr);
    error = parse(r, strings + 1, nr - 1, &perms);
    if (!error)
        error = store_path_is_special(strings[0]) ? set_special(r, strings[0], &perms)
                                                  : set(r, strings[0], &perms);
    store_perms_free(&perms);
    free(strings);
    return store_reply_done(r, error);
}
