/* SPDX-License-Identifier: MIT */
/* What making the nodes of a device (device_nodes.c) and looking for them (devices.c) share. */
#ifndef GNTSIM_STORE_DEV_DEVICE_NODES_I_H
#define GNTSIM_STORE_DEV_DEVICE_NODES_I_H

#include "devices.h"
#include "toolstack_i.h"

struct device_path {
    char text[DEVICE_PATH];
};

/* The directory of libxl's copy; kind: the name of the front end's directory. */
struct device_path device_libxl_path(domid_t domain, const char *kind, unsigned id);
/* directory/key */
struct device_path device_key_path(const char *directory, const char *key);
/* All nodes, in one transaction. 0 or the negative errno that the store answered. */
int device_nodes_make(struct store_server *server, const struct device_wish *wish, unsigned id);

#endif
