/* SPDX-License-Identifier: MIT */
/*
 * A store with clients: sockets of domain 0 and guests with ring pages. There are two of them that
 * get the same: our model, and a real daemon.
 */
#ifndef GNTSIM_TESTS_STORE_SIDE_H
#define GNTSIM_TESTS_STORE_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

#include "world.h"

#define NR_SOCKETS 2u
#define NR_CONNS (NR_SOCKETS + WORLD_DOMAINS - 1)   /* then the rings of the domains 1 to 4 */
#define MESSAGE_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/* What came on a connection: messages behind each other. */
struct heard {
    uint8_t *bytes;
    size_t len, room;
    bool closed;                    /* by the store; the next request opens another */
};

void heard_add(struct heard *heard, const void *bytes, size_t len);
void heard_clear(struct heard *heard);

/* Each call returns when the store has nothing more to say; what it said was added to heard. */
struct side {
    const char *name;
    void *ctx;
    bool alone;                     /* there is no domain but domain 0, whose sockets it has */
    void (*begin)(void *ctx);       /* with an empty store */
    void (*end)(void *ctx);
    void (*send)(void *ctx, unsigned conn, const void *bytes, size_t len, struct heard *heard);
    void (*reopen)(void *ctx, unsigned conn, struct heard *heard);    /* a socket */
    void (*set_state)(void *ctx, unsigned domid, enum world_state state, struct heard *heard);
    /* Why it ended by itself, which a store should not; NULL: it did not, or never does. */
    const char *(*why_ended)(const void *ctx);
};

/* ctx of either is made by its function and lives as long as the program. */
struct side model_side(void);
struct side daemon_side(const char *program, const char *preload, const char *directory);
/* One that runs already, and loses all that it knows. */
struct side live_side(const char *directory);

/* guest.c: the guest's end of a ring page. False: there is no room for all of it now. */
bool guest_put(struct xenstore_domain_interface *ring, const void *bytes, size_t len);
/* Takes what is there. True: there was something. */
bool guest_take(struct xenstore_domain_interface *ring, struct heard *heard);

#endif
