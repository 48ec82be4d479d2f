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

extern const struct machine_part store_part;

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

/* The daemon starts anew with the nodes that it has: all clients lose their connections. */
int store_way_restart(struct machine *m);

/* A replay: a whole request of a connection, as the process of that number makes it. */
void store_way_request(struct machine *m, struct store_conn *conn, unsigned process,
                       const struct xsd_sockmsg *header, const void *body);

/* The machine's store; NULL: it has none. */
struct store *store_way_store(const struct machine *m);

#endif
