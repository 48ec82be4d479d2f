/* SPDX-License-Identifier: MIT */
/*
 * The domains that the store knows: introduced ones, owners, those that a permission names; and
 * the end of one.
 */
#include "store_i.h"

#define DOMID_SELF_AS_ASKED 0x7ff0u

struct store_domain *store_domain(const struct store *store, unsigned domid)
{
    struct store_domain *d;

    HASH_FIND(hh, store->domains, &domid, sizeof domid, d);
    return d;
}

struct store_domain *store_domain_add(struct store *store, unsigned domid)
{
    struct store_domain *d = store_alloc(sizeof *d);

    d->domid = domid;
    d->generation = store->generation;
    HASH_ADD(hh, store->domains, domid, sizeof d->domid, d);
    return d;
}

void store_domain_free(struct store *store, struct store_domain *d)
{
    assert(!d->nodes && !d->memory && !d->conn);
    HASH_DEL(store->domains, d);
    free(d);
}

static enum store_domain_state state_of(const struct store *store, unsigned domid)
{
    if (!domid)
        return STORE_DOMAIN_RUNS;
    if (store->hooks.domain_state)
        return store->hooks.domain_state(store->hook_ctx, domid);
    return domid < DOMID_SELF_AS_ASKED ? STORE_DOMAIN_RUNS : STORE_DOMAIN_GONE;
}

struct store_domain *store_domain_existing(struct store *store, unsigned domid)
{
    struct store_domain *d = store_domain(store, domid);

    if (!d && state_of(store, domid) != STORE_DOMAIN_GONE)
        d = store_domain_add(store, domid);
    return d;
}

/* ---- The end of a domain --------------------------------------------------------------------- */

static void give_to_domain_0(struct request *r, struct node *node)
{
    store_view_begin(r, node);
    node->perms.entries[0].domid = 0;
    store_view_end(r, node);
}

/* Its nodes, each with all below it; the root only gets another owner. */
static void remove_owned(struct request *r, struct node *node, unsigned domid)
{
    char *names = store_copy(node->children, node->children_len), *end = names + node->children_len;
    bool owned = node->perms.entries[0].domid == domid;
    bool stays = !owned || r->store->keep_orphans || !node->path[1];

    if (!stays)
        store_view_remove_tree(r, node);
    else if (owned)
        give_to_domain_0(r, node);
    for (char *name = names; stays && name < end; name += strlen(name) + 1) {
        char *path = store_path_child(node->path, name);

        remove_owned(r, store_live(r->store, path), domid);
        free(path);
    }
    free(names);
}

static void forget(struct store *store, struct store_domain *d)
{
    struct request r = { .store = store, .conn = store_domain_conn(store, 0) };

    if (d->nodes)
        remove_owned(&r, store_live(store, "/"), d->domid);
    store_domain_free(store, d);
}

static void destroy(struct store *store, struct store_domain *d);

/* ---- Targets --------------------------------------------------------------------------------- */

static struct target_hold *newest_hold(const struct store *store, const struct store_domain *target)
{
    struct target_hold *hold, *newest = NULL;

    DL_FOREACH(store->holds, hold)
        if (hold->target == target)
            newest = hold;
    return newest;
}

static void drop_hold(struct store *store, struct target_hold *hold)
{
    DL_DELETE(store->holds, hold);
    free(hold);
}

static void hold_target(struct store *store, struct store_domain *stub, struct store_domain *target)
{
    struct target_hold *hold = store_alloc(sizeof *hold);

    *hold = (struct target_hold){ .stub = stub, .target = target };
    DL_APPEND(store->holds, hold);
    stub->conn->target = target;
}

/* A domain goes that others had the rights of, or that held others, which may go now. */
static void drop_holds(struct store *store, struct store_domain *d)
{
    struct target_hold *hold, *next;

    for (struct store_conn *other = store->conns; other; other = other->next)
        if (other->target == d)
            other->target = NULL;
    DL_FOREACH_SAFE(store->holds, hold, next)
        if (hold->target == d)
            drop_hold(store, hold);
    for (hold = store->holds; hold; hold = next) {
        struct store_domain *target = hold->target;

        next = hold->next;
        if (hold->stub != d)
            continue;
        drop_hold(store, hold);
        if (target->conn->dead && !newest_hold(store, target)) {
            destroy(store, target);
            next = store->holds;
        }
    }
}

void store_targets_forget(struct store *store)
{
    while (store->holds)
        drop_hold(store, store->holds);
}

/* ---- The end of an introduced domain --------------------------------------------------------- */

/* Whoever embeds the store still knows the other connections of a domain that goes. */
static void orphan_others(struct store *store, struct store_domain *d)
{
    for (struct store_conn *other = store->conns; other; other = other->next) {
        if (other->domain != d || other == d->conn)
            continue;
        store_conn_deafen(other, XENSTORE_ERROR_COMM);
        other->domain = store_domain(store, 0);
    }
}

static void destroy(struct store *store, struct store_domain *d)
{
    struct store_conn *conn = d->conn;

    drop_holds(store, d);
    orphan_others(store, d);
    if (store->hooks.released)
        store->hooks.released(store->hook_ctx, d->domid);
    store_conn_free(conn);
    forget(store, d);
    store_watch_fire_special(store, "@releaseDomain");
}

/* Looks at the domains until one is gone, which may end others, too. */
static bool find_gone(struct store *store, bool *shut)
{
    for (struct store_domain *d = store->domains; d; d = d->hh.next) {
        enum store_domain_state state = state_of(store, d->domid);

        if (state == STORE_DOMAIN_GONE && d->conn && newest_hold(store, d)) {
            d->conn->dead = true;
        } else if (state == STORE_DOMAIN_GONE) {
            if (d->conn)
                destroy(store, d);
            else
                forget(store, d);
            return true;
        }
        if (state == STORE_DOMAIN_SHUT && d->conn && !d->shut_down)
            *shut = d->shut_down = true;
    }
    return false;
}

void store_check_domains(struct store *store)
{
    bool shut = false;

    while (find_gone(store, &shut))
        ;
    if (shut)
        store_watch_fire_special(store, "@releaseDomain");
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* An introduced domain, whose connection is not only there for a stub. */
static int connected(const struct store *store, unsigned domid, struct store_domain **out)
{
    *out = store_domain(store, domid);
    if (!*out || !(*out)->conn)
        return ENOENT;
    return (*out)->conn->dead ? EINVAL : 0;
}

/* The introduced domain that the only string names, as RELEASE and RESUME need one. */
static int named(const struct request *r, struct store_domain **out)
{
    const char *string = store_request_string(r);

    if (!string || !atoi(string))
        return EINVAL;
    return connected(r->store, (unsigned)atoi(string), out);
}

static int introduce(struct store *store, unsigned domid, uint32_t port, bool again,
                     struct xenstore_domain_interface **ring)
{
    if (!store->hooks.introduce)
        return 0;
    return -store->hooks.introduce(store->hook_ctx, domid, port, again, ring);
}

static int introduce_new(struct store *store, unsigned domid, uint32_t port)
{
    struct xenstore_domain_interface *ring = NULL;
    struct store_domain *d = store_domain(store, domid);
    int error = introduce(store, domid, port, false, &ring);

    if (error)
        return error;
    if (!d)
        d = store_domain_add(store, domid);
    d->shut_down = false;
    store_conn_add(store, d, false)->ring = ring;
    store_watch_fire_special(store, "@introduceDomain");
    return 0;
}

int store_do_introduce(struct request *r)
{
    const char *strings[3];
    struct store_conn *conn;
    unsigned domid;
    uint32_t port;
    int error = 0;

    if (store_request_strings(r, strings, 3) < 3)
        return EINVAL;
    domid = (unsigned)atoi(strings[0]);
    port = (uint32_t)atoi(strings[2]);
    if (!port)
        return EINVAL;
    conn = store_domain_conn(r->store, domid);
    if (conn)
        /* That the new port cannot be bound is not reported. */
        introduce(r->store, domid, port, true, &conn->ring);
    else
        error = introduce_new(r->store, domid, port);
    if (error)
        return error;
    conn = store_domain_conn(r->store, domid);
    store_conn_reset(conn);
    r->tx = NULL;
    store_ring_reset(conn);
    return store_reply_done(r, 0);
}

int store_do_release(struct request *r)
{
    struct store_domain *d;
    struct target_hold *hold;
    int error = named(r, &d);
    bool held;

    if (error)
        return error;
    /* The daemon goes from connection to connection and holds the one that it will look at next. */
    held = r->conn->next == d->conn;
    if (held)
        store_reply_done(r, 0);
    hold = newest_hold(r->store, d);
    if (hold)
        drop_hold(r->store, hold);
    else
        destroy(r->store, d);
    return held ? 0 : store_reply_done(r, 0);
}

int store_do_is_domain_introduced(struct request *r)
{
    const char *string = store_request_string(r);
    unsigned domid;

    if (!string)
        return EINVAL;
    domid = (unsigned)atoi(string);
    store_reply(r, domid == DOMID_SELF_AS_ASKED || store_domain_conn(r->store, domid) ? "T" : "F",
                2);
    return 0;
}

int store_do_get_domain_path(struct request *r)
{
    const char *string = store_request_string(r);
    char path[40];

    if (!string)
        return EINVAL;
    store_reply(r, path, (size_t)sprintf(path, "/local/domain/%u", (unsigned)atoi(string)) + 1);
    return 0;
}

int store_do_resume(struct request *r)
{
    struct store_domain *d;
    int error = named(r, &d);

    if (error)
        return error;
    d->shut_down = false;
    return store_reply_done(r, 0);
}

int store_do_set_target(struct request *r)
{
    struct store_domain *d, *target;
    const char *strings[2];
    int error;

    if (store_request_strings(r, strings, 2) < 2)
        return EINVAL;
    error = connected(r->store, (unsigned)atoi(strings[0]), &d);
    if (!error)
        error = connected(r->store, (unsigned)atoi(strings[1]), &target);
    if (error)
        return error;
    /* Its own rights it has. */
    if (d != target)
        hold_target(r->store, d, target);
    return store_reply_done(r, 0);
}

/* ---- Looking inside -------------------------------------------------------------------------- */

int store_domain_next(const struct store *store, unsigned from, struct store_domain_info *out)
{
    const struct store_domain *best = NULL;

    for (const struct store_domain *d = store->domains; d; d = d->hh.next)
        if (d->domid >= from && (!best || d->domid < best->domid))
            best = d;
    if (!best)
        return -ENOENT;
    *out = (struct store_domain_info){ .domid = best->domid,
                                       .introduced = best->conn,
                                       .shut_down = best->shut_down,
                                       .nodes = best->nodes,
                                       .memory = best->memory };
    if (best->conn) {
        out->deaf = best->conn->deaf;
        out->watches = best->conn->nr_watches;
        out->transactions = best->conn->nr_transactions;
        out->outstanding = best->conn->outstanding;
        out->queued = best->conn->queued;
        out->memory += best->conn->watch_memory + best->conn->queued;
    }
    return 0;
}
