/* SPDX-License-Identifier: MIT */
/*
 * The socket way: programs reach a domain's devices through a Unix socket (gntsim/socket.h). They
 * use gntsim's own libxengnttab and libxenevtchn instead of device files. The host needs only
 * sockets, a directory and inotify.
 *
 * Each mapping gives a program a descriptor of the machine's memory. So this way trusts a machine's
 * programs with each other's pages, as a test harness does.
 */
#ifndef GNTSIM_SOCK_DEV_SOCK_WAY_H
#define GNTSIM_SOCK_DEV_SOCK_WAY_H

#include "machine.h"

extern const struct machine_part sock_way;

/* With the machine's lock: the path of the domain's socket, which is made when first asked for. It
 * stays until the domain is destroyed. inside: the one that only programs in the domain's
 * namespaces see. NULL and a negative errno in *rc. */
const char *sock_way_path(struct domain *d, bool inside, int *rc);

/* With the machine's lock: the directory for its sockets, which it removes at its end; inside: the
 * one that only programs in its namespaces see. NULL and a negative errno in *rc. */
const char *sock_way_dir(struct machine *m, bool inside, int *rc);

/*
 * Serves a connected socket of type SOCK_SEQPACKET (taken) as a connection to domain id. 0 or
 * negative errno. For tests.
 */
int sock_way_adopt(struct machine *m, int fd, domid_t id);

/* With the lock: requests served over sockets, for people. */
uint64_t sock_way_requests(const struct machine *m);

/* What keeps this way from working on this host, or NULL: tried in a directory of its own. */
const char *sock_way_problem(void);

#endif
