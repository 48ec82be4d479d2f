/* SPDX-License-Identifier: MIT */
/*
 * The sockets at which programs of domains connect to the store. All needs the machine's lock.
 */
#ifndef GNTSIM_STORE_DEV_LISTENERS_H
#define GNTSIM_STORE_DEV_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include <gntsim/hv.h>

#include "main_loop.h"
#include "private_dir.h"

/*
 * A domain's socket. Only the main loop frees it, since it may be about to look at it: who else
 * wants one gone shuts its descriptor down, and the loop sees that.
 */
struct store_listener {
    struct watch watch;
    struct store_listeners *all;
    unsigned domid;
    bool inside, closing;
    char path[PRIVATE_DIR_MAX + 32];
    struct store_listener *prev, *next;
};

struct store_listeners {
    struct machine *machine;
    int spare_fd;                /* to turn somebody away when there are no descriptors left */
    struct store_listener *list;
    uint64_t nr;                 /* ever: makes their names differ */
    void (*accept)(struct store_listener *listener, int fd);
};

/* accept: a program connected; takes fd, which is O_NONBLOCK. */
void store_listeners_begin(struct store_listeners *all, struct machine *m,
                           void (*accept)(struct store_listener *listener, int fd));
/*
 * The path of the domain's socket, which is made when first asked for. inside: in the directory
 * that only programs in the domain's namespaces see. NULL and a negative errno in *rc.
 */
const char *store_listeners_path(struct store_listeners *all, domid_t id, bool inside, int *rc);
/* Nobody connects at the domain's sockets any more. */
void store_listeners_close(struct store_listeners *all, unsigned domid);
void store_listeners_free(struct store_listeners *all);

#endif
