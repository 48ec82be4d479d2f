/* SPDX-License-Identifier: MIT */
/*
 * The store of a machine: keeps one (sim-store), fills it as a toolstack does, and serves it over
 * sockets. A domain's socket is for that domain's programs. Domain 0's programs are privileged;
 * others have their domain's rights.
 */
#ifndef GNTSIM_STORE_DEV_STORE_WAY_H
#define GNTSIM_STORE_DEV_STORE_WAY_H

#include <gntsim/store.h>

#include "machine.h"

/* A machine has one of these: a store of its own, or a program in domain 0 that is one. */
extern const struct machine_part store_part, store_daemon_part;

/* All of these need the machine's lock. */

/*
 * The path of the socket of domain id (XENSTORED_PATH), which is made when first asked for. inside:
 * in the directory that only programs in the domain's namespaces see. NULL and a negative errno in
 * *rc. -ENOTSUP: the machine has no store. -ESRCH: the store does not know the domain; it always
 * knows domain 0, which is the toolstack's.
 */
const char *store_way_path(struct machine *m, domid_t id, bool inside, int *rc);

/*
 * A request of the toolstack: type XS_*, with a body; room for XENSTORE_PAYLOAD_MAX bytes of reply.
 * 0 or the negative errno that was answered; -ENOTSUP.
 */
int store_way_ask(struct machine *m, uint32_t type, const void *body, size_t len, void *reply,
                  size_t *reply_len);

/*
 * The daemon starts anew: all clients lose their connections. The machine's own store keeps its
 * nodes; a program gets what the toolstack wrote for the domains that live. -ENOTSUP; of a program
 * that does not start, another negative errno.
 */
int store_way_restart(struct machine *m);

/* A replay: a whole request of a connection, as the process of that number makes it. */
void store_way_request(struct machine *m, struct store_conn *conn, unsigned process,
                       const struct xsd_sockmsg *header, const void *body);

/* ---- A daemon in domain 0 (store_daemon_part) ------------------------------------------------ */

/* Who starts and ends the daemon. */
struct store_keeper {
    int fd;                      /* readable: an int, the daemon's wait status when it ended */
    const char *path;            /* the program, for messages */
    int (*start)(void *ctx);     /* 0 or negative errno */
    void (*kill)(void *ctx);
    void *ctx;
};
/* Without the lock, once: has the daemon started. The keeper lives as long as the machine. */
int store_way_use_daemon(struct machine *m, const struct store_keeper *keeper);
/* Without the lock: a descriptor that is readable once the daemon serves, or has ended. */
int store_way_daemon_fd(const struct machine *m);
bool store_way_daemon_serves(struct machine *m);
/*
 * Waits, if there is a daemon, until all that the toolstack had to tell it has been told; a stopped
 * one keeps nobody for ever. With the lock, of which it lets go meanwhile.
 */
void store_way_settle(struct machine *m);
/*
 * Whether the store knows the domain: 0, -ENOTCONN (the daemon is not there), -ETIMEDOUT (it has
 * not answered yet), or what the daemon refused it with. A store of the machine's own knows all.
 */
int store_way_knows(struct machine *m, domid_t id);

/* The machine's store, if it is its own; NULL: it has none. */
struct store *store_way_store(const struct machine *m);

#endif
