/* SPDX-License-Identifier: MIT */
/* What the files of the machine's store share. Everything here needs the machine's lock. */
#ifndef GNTSIM_STORE_DEV_STORE_WAY_I_H
#define GNTSIM_STORE_DEV_STORE_WAY_I_H

#include "listeners.h"
#include "store_way.h"

/* A program's connection. As a listener, only the main loop frees it. */
struct store_peer {
    struct watch watch;
    struct store_server *server;
    struct store_conn *conn;
    unsigned domid;
    unsigned process;               /* the client, as the machine numbers them; 0: not known */
    bool closing;
    bool dirty;                     /* among the server's dirty ones */
    size_t used;                    /* bytes of in that the store has not taken yet */
    uint8_t in[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct store_peer *prev, *next;
    struct store_peer *next_dirty;
};

/*
 * The part's state in a domain: what the store knows it by, which changes when it is suspended and
 * resumed, and its ring page.
 */
struct store_domain {
    unsigned id;
    evtchn_port_t port;
    uint64_t mfn;
    struct xenstore_domain_interface *ring;    /* NULL: none */
    uint32_t error;                 /* of the page, as it was last told */
    bool reset, raise;              /* to be told: all indices became 0; an event is due */
    bool dirty;                     /* among the server's dirty ones */
    bool stuck;                     /* requests wait in it */
    int refused;                    /* with this, by a daemon; 0: it has not answered yet */
    bool introduced;                /* a daemon knows the domain */
    struct attached *devices;       /* for when the domain goes on under another id */
    struct store_domain *prev_dirty, *next_dirty;
};

struct daemon_conn;

/*
 * The part's state in a machine. Where a daemon is the store (daemon.c) it only stands for that,
 * one for each who asks: with the thread's own connection, or for whoever has the machine's lock.
 */
struct store_server {
    struct machine *machine;
    struct daemon_conn *conn;       /* NULL: there is none */
    struct store *store;
    struct store_conn *toolstack;
    struct store_listeners listeners;
    struct store_peer *peers, *dirty;
    unsigned process;               /* whose requests are carried out; 0: nobody knows */
    uint64_t rule, event_rule;      /* the fault rule that decided what is being done; 0: none */
    bool is_building;               /* the toolstack is at work for a domain */
    uint32_t tx;                    /* the toolstack's transaction, 0: none */
    bool must_restart;
    struct peer_act *acts;          /* points.c */
    struct store_domain *dirty_rings;
    int nr_stuck;
    struct watch again;             /* when there was more to do than at a time */
};

/* NULL: the machine has no store of its own. */
static inline struct store_server *store_server_of(const struct machine *m)
{
    return part_of_machine(m, &store_part);
}

/* peers.c */
/* Of store_listeners. */
void store_peers_accept(struct store_listener *listener, int fd);
/* Sends what is queued to whoever takes it, and goes on with requests that waited for that. */
void store_peers_flush(struct store_server *server);
/* The store has something for a connection. */
void store_peers_output(struct store_server *server, struct store_conn *conn);
void store_peers_hang_up(struct store_server *server, unsigned domid);
/* All programs lose their connections. */
void store_peers_drop(struct store_server *server);
void store_peers_free(struct store_server *server);

/* points.c */
void store_points_hooks(struct store_hooks *hooks);
/* After bytes were given to the store: does what a fault rule said that may not be done within. */
void store_points_settle(struct store_server *server);

/* rings.c. The store's hooks, with the server. */
int store_rings_introduce(void *ctx, unsigned domid, uint32_t port, bool again,
                          struct xenstore_domain_interface **ring);
void store_rings_notify(void *ctx, unsigned domid);
void store_rings_output(struct store_server *server, const struct store_conn *conn);
void store_rings_released(struct store_server *server, unsigned domid);
/* The domain has no ring page any more. */
void store_rings_gone(struct store_server *server, struct store_domain *sd);
/* Something was read by its reader: requests that waited for that go on. */
void store_rings_again(struct store_server *server);
/* The part's functions of these names. */
void store_rings_attend(struct store_server *server);
void store_rings_unheard(struct machine *m, domid_t id, evtchn_port_t port);
int store_rings_start(struct store_server *server);
void store_rings_stop(struct store_server *server);

/* part.c */
/*
 * Around a toolstack's work, of which no point is told: a replay repeats what it follows from. What
 * the first answers is for the second, which sends what is queued when the outermost work is done.
 */
bool store_work_begin(struct store_server *server);
void store_work_end(struct store_server *server, bool before);
/* As store_way_ask, of the machine's own store, in the server's transaction. */
int store_ask_own(struct store_server *server, uint32_t type, const void *body, size_t len,
                  void *reply, size_t *reply_len);

#endif
