/* SPDX-License-Identifier: MIT */
/*
 * The store model: a xenstore with its nodes, permissions, transactions, watches, quotas and
 * connections.
 *
 * The model has no clock, thread, randomness or I/O of its own: the sequence of calls is its whole
 * input, and the same calls give the same bytes. It is not thread-safe: whoever embeds it makes one
 * call at a time per store. A guest may write its ring page at any instant.
 *
 * What an unprivileged domain can make the store keep is bounded by its quotas. If the process has
 * no memory left all the same, it ends (abort).
 */
#ifndef GNTSIM_STORE_H
#define GNTSIM_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sys/types.h>

#include <xen/io/xs_wire.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store;
struct store_conn;

/* ---- Profiles -------------------------------------------------------------------------------- */

/* Of a domain, unless it says otherwise. Privileged connections have only STORE_QUOTA_PATH. */
enum store_quota {
    STORE_QUOTA_NODES,              /* nodes that it owns */
    STORE_QUOTA_WATCHES,
    STORE_QUOTA_TRANSACTIONS,       /* open at once */
    STORE_QUOTA_NODE_SIZE,          /* bytes of a node */
    STORE_QUOTA_PERMISSIONS,        /* entries of a node */
    STORE_QUOTA_PATH,               /* characters of a path */
    STORE_QUOTA_OUTSTANDING,        /* requests whose reply or events nobody has read */
    STORE_QUOTA_TRANSACTION_NODES,  /* nodes that one transaction looked at */
    STORE_QUOTA_MEMORY,             /* bytes of its nodes and watches and of what it has not read */
    STORE_NR_QUOTAS,
};
/* As CONTROL's command quota calls it. */
const char *store_quota_name(enum store_quota quota);

/* What differs between daemons, as data. */
struct store_profile {
    const char *name;               /* "xenstored-4.17", "xenstored-4.18" */
    unsigned quotas[STORE_NR_QUOTAS];
    int too_many_watches;           /* errno */
};
extern const struct store_profile store_profile_xenstored_4_17;    /* the default */
extern const struct store_profile store_profile_xenstored_4_18;
/* NULL: there is none of that name. */
const struct store_profile *store_profile_find(const char *name);

/* ---- A store --------------------------------------------------------------------------------- */

enum store_domain_state {
    STORE_DOMAIN_GONE,              /* no such domain, or it is dying */
    STORE_DOMAIN_RUNS,
    STORE_DOMAIN_SHUT,              /* shut down or crashed, and still there */
};

/* A request before it is carried out, or an event before it is queued. */
struct store_point {
    const struct store_conn *conn;  /* whose request; to whom the event goes */
    uint32_t type, tx_id;           /* XS_*; XS_WATCH_EVENT: an event */
    const char *path;               /* first string of the body, "" if there is none */
    const char *token;              /* of an event, else NULL */
    const void *body;
    size_t len;
};

enum store_verdict {
    STORE_GO_ON,
    STORE_ERROR, /* the request is answered with the error *value; nothing is done */
    STORE_LOSE,  /* the event is not sent */
    STORE_TWICE, /* the event is sent twice */
    STORE_LATE,  /* the event is sent after *value more requests, of whomever */
};

/* Calls out of the model. Every pointer may be NULL. They must not call back into the model. */
struct store_hooks {
    /* NULL: every domain below DOMID_FIRST_RESERVED runs. */
    enum store_domain_state (*domain_state)(void *ctx, unsigned domid);
    /*
     * INTRODUCE: map grant reference 1 of the domain and bind to its port. again: it is introduced
     * already, only the port is bound anew. *ring is its page (NULL: none; the embedder carries
     * bytes itself). Negative errno: the request fails with it, unless again.
     */
    int (*introduce)(void *ctx, unsigned domid, uint32_t port, bool again,
                     struct xenstore_domain_interface **ring);
    /* The connection of an introduced domain is gone: unmap and unbind. */
    void (*released)(void *ctx, unsigned domid);
    /* Notify the domain: something of its ring page changed. */
    void (*notify)(void *ctx, unsigned domid);
    /* Something is queued for a connection for which nothing was. */
    void (*output)(void *ctx, struct store_conn *conn);
    /* Record: of connections other than a domain's own, one is there or goes. */
    void (*connected)(void *ctx, const struct store_conn *conn, bool there);
    /* Record: so many bytes of what was queued were taken. */
    void (*taken)(void *ctx, const struct store_conn *conn, size_t size);
    /* Record: a request came in; nothing has been looked at. */
    void (*asked)(void *ctx, const struct store_point *point);
    /* Faults: asked before every request and every event. */
    enum store_verdict (*inject)(void *ctx, const struct store_point *point, int *value);
    /* Trace: told after every request, with its errno, and of every event. */
    void (*trace)(void *ctx, const struct store_point *point, int error);
};

struct store_config {
    const struct store_profile *profile;    /* NULL: store_profile_xenstored_4_17 */
    struct store_hooks hooks;
    void *hook_ctx;
    int privileged_domid;           /* beside domain 0 (--priv-domid); 0 or less: none */
    bool keep_orphans;              /* nodes of a dead domain go to domain 0 */
};

/* config may be NULL. Domain 0 is introduced, without a ring page. */
struct store *store_create(const struct store_config *config);
/* NULL is fine. */
void store_destroy(struct store *store);
const struct store_profile *store_profile(const struct store *store);
unsigned store_quota(const struct store *store, enum store_quota quota);
void store_set_quota(struct store *store, enum store_quota quota, unsigned value);

/*
 * Somebody shut down, crashed, died: looks at every domain that the store knows, as a daemon does
 * at VIRQ_DOM_EXC.
 */
void store_check_domains(struct store *store);
/*
 * It is now so many milliseconds after some beginning: drops events that an unprivileged domain
 * has not begun to read in time.
 */
void store_time(struct store *store, uint64_t now_ms);

/* ---- Connections ----------------------------------------------------------------------------- */

/* A connection over the socket: privileged, and domain 0's. */
struct store_conn *store_connect(struct store *store);
/*
 * A connection of an introduced domain beside its own, as a guest's kernel makes one of each open
 * /dev/xen/xenbus: with watches and transactions of its own. NULL: it is not introduced. When the
 * domain goes it becomes deaf (store_receive: -EPROTO), and only store_disconnect is left.
 */
struct store_conn *store_connect_domain(struct store *store, unsigned domid);
/* Ends a connection of one of these. */
void store_disconnect(struct store_conn *conn);
/*
 * What a daemon forgets that is started anew with its nodes: every watch, transaction and queue.
 */
void store_forget_clients(struct store *store);
/* The connection of an introduced domain; NULL: it is not. */
struct store_conn *store_domain_conn(const struct store *store, unsigned domid);
/* What the embedder likes to find there; and the domain that a connection belongs to. */
void store_conn_set_user(struct store_conn *conn, void *user);
void *store_conn_user(const struct store_conn *conn);
unsigned store_conn_domid(const struct store_conn *conn);
/* Numbers of connections count up from 1 in the order in which they are made. NULL: it is gone. */
uint64_t store_conn_number(const struct store_conn *conn);
struct store_conn *store_conn_find(const struct store *store, uint64_t number);
bool store_conn_is_socket(const struct store_conn *conn);

/*
 * Bytes that came on the connection, in pieces of any size. Whole messages are carried out. Returns
 * how many were taken: fewer than given while the connection has too much that it has not read.
 * -EPROTO: a header says more than XENSTORE_PAYLOAD_MAX; a socket must be closed then, and a
 * domain's connection is deaf from now on.
 */
ssize_t store_receive(struct store_conn *conn, const void *bytes, size_t size);
/*
 * What is to be sent next, in the order in which it was queued; NULL: nothing. *size is never more
 * than one message's.
 */
const void *store_output(const struct store_conn *conn, size_t *size);
/* So many bytes of store_output's were read by the other side. */
void store_sent(struct store_conn *conn, size_t size);
/*
 * Takes requests from the ring page of a domain and puts into it what is queued, so far as there is
 * room. True: there is more to be done, it was only enough at a time. False: not before the domain
 * notifies or something is queued.
 */
bool store_ring_work(struct store_conn *conn);
/*
 * Gives a domain that is introduced without one a ring page (domain 0's kernel), or takes it away
 * (NULL).
 */
void store_set_ring(struct store_conn *conn, struct xenstore_domain_interface *ring);

/* ---- Looking inside -------------------------------------------------------------------------- */

struct store_domain_info {
    unsigned domid;
    bool introduced, shut_down, deaf;
    unsigned nodes, watches, transactions, outstanding;
    size_t memory, queued;          /* bytes */
};
/* The known domain with the lowest id >= from: 0, -ENOENT. */
int store_domain_next(const struct store *store, unsigned from, struct store_domain_info *out);
uint64_t store_nr_requests(const struct store *store);
uint64_t store_nr_nodes(const struct store *store);

/*
 * Counts everything once more and compares. A line per violation to out (NULL: only counts).
 * Returns how many.
 */
unsigned store_audit(const struct store *store, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
