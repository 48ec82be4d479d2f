/* SPDX-License-Identifier: MIT */
/* Attaches and detaches devices as a toolstack does: the nodes of both ends, and libxl's copy. */
#ifndef GNTSIM_STORE_DEV_DEVICES_H
#define GNTSIM_STORE_DEV_DEVICES_H

#include "device_kinds.h"
#include "machine.h"

#define DEVICE_PATH 192             /* no directory of a device has a longer path */

/* All of these need the machine's lock. */

struct device_value {
    char *key, *value;
};

struct device_wish {
    const struct device_kind *kind;
    domid_t domain, backend;
    int64_t id;                     /* -1: the next free one */
    const struct device_value *values;      /* instead of the kind's */
    size_t nr_values;
};

/* A device as the store has it. */
struct device_seen {
    char kind[32];                  /* the name of its directory */
    unsigned id;
    char front[DEVICE_PATH], back[DEVICE_PATH];     /* back "": it has none */
    unsigned front_state, back_state;       /* XenbusState; 0: missing or nonsense */
    bool connected;
};

/*
 * -ENOTSUP: the machine has no store. -ESRCH: it has no domain of wish->domain. -EREMOTE: none of
 * wish->backend. -EEXIST. Another errno that the store answered.
 */
int store_device_attach(struct machine *m, const struct device_wish *wish,
                        struct device_seen *device);
/*
 * Tells the back end to close. *gone: the nodes are gone, because it has closed, or by force. If
 * not, ask again when the back end's state changes. -ENOENT: there is no such device.
 */
int store_device_detach(struct machine *m, domid_t domain, const char *kind, unsigned id,
                        bool force, bool *gone, struct device_seen *device);
/* Calls each for every device of a domain. */
void store_devices_see(struct machine *m, domid_t domain,
                       void (*each)(void *ctx, const struct device_seen *device), void *ctx);

#endif
