/* SPDX-License-Identifier: MIT */
/* Connections with their queues, and the domains that they belong to. */
#ifndef GNTSIM_STORE_CONN_I_H
#define GNTSIM_STORE_CONN_I_H

#include <sys/types.h>

#include <uthash.h>

#include <gntsim/store.h>

struct request;
struct transaction;
struct watch;

/* A request of an unprivileged domain of which something is still unread, by whomever. */
struct unread {
    struct store_conn *conn;        /* NULL: gone */
    unsigned messages;
    struct unread *prev, *next;     /* of its connection */
};

struct message {
    struct unread *cause;           /* NULL: nobody is held up by it */
    uint64_t queued_at;
    bool event;
    bool found; /* among its connection's events, for others that say the same */
    size_t done, size;
    struct message *prev, *next;
    UT_hash_handle hh;
    uint8_t bytes[];                /* header and body */
};

struct store_domain {
    unsigned domid;
    struct store_conn *conn;        /* NULL: not introduced; known as an owner or in a permission */
    uint64_t generation;            /* the last change when it became known */
    unsigned nodes;
    long counted;                   /* by a commit, of the nodes that it would add; else 0 */
    size_t memory;
    bool shut_down;
    UT_hash_handle hh;              /* in the order in which they became known */
};

/* A SET_TARGET: a target stays until its stub goes. RELEASE takes one of them away. */
struct target_hold {
    struct store_domain *stub, *target;
    struct target_hold *prev, *next;    /* of the store, as they were made */
};

struct late {
    struct store_conn *conn;
    char *path, *token;
    unsigned left;                  /* requests, this one included */
    struct late *prev, *next;
};

struct store_conn {
    struct store *store;
    struct store_domain *domain;
    unsigned domid;                 /* its number, also when it is gone */
    uint64_t number;                /* in the order in which all connected */
    bool socket, deaf;
    bool gone;                      /* by its own request, at the end of which it is freed */
    struct store_domain *target;          /* SET_TARGET: whose rights it has, too */
    bool dead;                      /* its domain is gone, but it is held as a target */
    struct transaction *transactions;
    unsigned nr_transactions;
    uint32_t last_transaction;
    struct watch *watches;
    unsigned nr_watches;
    size_t watch_memory;
    struct unread *unread;
    unsigned outstanding;
    struct message *queue;
    struct message *events;         /* those of them that can be found by what they say */
    size_t queued;
    struct xsd_sockmsg header;      /* of the message that is coming in */
    size_t have;                    /* bytes of header and body */
    uint8_t body[XENSTORE_PAYLOAD_MAX + 1];
    struct xenstore_domain_interface *ring;
    void *user;
    struct store_conn *prev, *next;
};

/* domain.c */
struct store_domain *store_domain(const struct store *store, unsigned domid);
/* The known one; else, if the machine has one, it becomes known. NULL: there is none. */
struct store_domain *store_domain_existing(struct store *store, unsigned domid);
struct store_domain *store_domain_add(struct store *store, unsigned domid);
void store_domain_free(struct store *store, struct store_domain *d);
void store_targets_forget(struct store *store);

/* conn.c */
struct store_conn *store_conn_add(struct store *store, struct store_domain *d, bool socket);
void store_conn_free(struct store_conn *conn);
/* Watches, transactions and what is queued. */
void store_conn_reset(struct store_conn *conn);
void store_conn_deafen(struct store_conn *conn, uint32_t error);
bool store_conn_is_privileged(const struct store_conn *conn);
/* False: it has too much that it has not read. */
bool store_conn_is_ready(const struct store_conn *conn);
/* How many bytes are missing of the header, or of the body. */
size_t store_conn_wants(const struct store_conn *conn);
void store_reply(struct request *r, const void *body, size_t len);
/* Replies OK, unless there is an error, which it returns. */
int store_reply_done(struct request *r, int error);
void store_send_event(struct store_conn *conn, const char *path, const char *token);
/* The same, but no fault comes in between. */
void store_queue_event(struct store_conn *conn, const char *path, const char *token);
/* Events that nobody began to read for so long. */
void store_conn_drop_events(struct store_conn *conn, uint64_t ms);
/* Whether the connection's domain may have so many bytes more. */
bool store_conn_has_memory(const struct store_conn *conn, size_t more);

/* late.c */
void store_late_add(struct store_conn *conn, const char *path, const char *token,
                    unsigned requests);
void store_late_drop(struct store_conn *conn);
/* A request was carried out. */
void store_late_step(struct store *store);

/* ring.c: the page as it is after INTRODUCE. */
void store_ring_reset(struct store_conn *conn);

#endif
