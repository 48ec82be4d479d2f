/* SPDX-License-Identifier: MIT */
/*
 * Connections of programs that have no device files to a store that is a daemon. The daemon knows a
 * domain by its ring page only, so each connection is an open /dev/xen/xenbus of the domain's
 * kernel. All needs the machine's lock.
 */
#ifndef GNTSIM_STORE_DEV_BRIDGES_H
#define GNTSIM_STORE_DEV_BRIDGES_H

#include "listeners.h"

struct store_bridge;

struct store_bridges {
    struct store_listeners listeners;
    struct store_bridge *list;
};

void store_bridges_begin(struct store_bridges *all, struct machine *m);
/* The domain ends, or gets another id: its programs lose their connections. */
void store_bridges_hang_up(struct store_bridges *all, unsigned domid);
/* After the main loop has ended. */
void store_bridges_free(struct store_bridges *all);

#endif
