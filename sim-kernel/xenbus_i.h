/* SPDX-License-Identifier: MIT */
/*
 * The kernel's connection to the store: one ring page and one event channel, which all who have a
 * request share.
 */
#ifndef GNTSIM_KERNEL_XENBUS_I_H
#define GNTSIM_KERNEL_XENBUS_I_H

#include <uthash.h>

#include <gntsim/kernel.h>
#include <xen/io/xs_wire.h>

#include "events_i.h"

extern const struct chardev xenbus_chardev;
/* xenbus_backend.c: for the store's daemon in domain 0, and for scripts. */
extern const struct chardev xenbus_backend_chardev, xsd_kva_chardev, xsd_port_chardev,
    capabilities_chardev;

struct xenbus_request;

/* Who wants the reply to a request. */
struct xenbus_caller {
    void *owner;                     /* NULL: nobody any more */
    /* The reply, an error's too; perhaps before xenbus_send returns. owner may be NULL. */
    void (*reply)(struct kernel *k, struct xenbus_request *req, const struct xsd_sockmsg *header,
                  const char *body);
    struct xsd_sockmsg asked;        /* the header as the owner has it */
};

/* A request, until it is answered. The connection frees it then. */
struct xenbus_request {
    struct xenbus_caller caller;     /* without reply: nobody ever wanted it */
    struct xenbus_request *prev, *next;
    size_t sent, size;
    char bytes[];                    /* header and body as the store gets them */
};

/* A watch; its owner embeds it and keeps the path until xenbus_unwatch. */
struct xenbus_watch {
    uint32_t id;                     /* its token, as the store knows it */
    char *path;
    void (*fired)(struct kernel *k, struct xenbus_watch *watch, const char *path);
    bool answered;                   /* the store knows it */
    UT_hash_handle hh;
};

struct xenbus {
    struct kernel *kernel;
    struct xenstore_domain_interface *ring;   /* NULL: there is none */
    uint64_t gfn, mfn;
    struct event_handler handler;
    bool bound;                      /* the handler is its port's */
    bool heard;                      /* the store sent an event over it */
    unsigned generation;             /* how often the domain got another connection */
    uint32_t last_id;
    size_t queued;                   /* bytes of all requests */
    struct xenbus_request *unsent;   /* the first may be half sent */
    struct xenbus_request *waiting;  /* sent, in that order */
    struct xenbus_watch *watches;
    size_t have;                     /* bytes of the message that is coming in */
    struct xsd_sockmsg header;
    char body[XENSTORE_PAYLOAD_MAX + 1];
};

/* The connection's page, while it is the domain's; NULL: there is none. */
struct xenstore_domain_interface *xenbus_ring(const struct kernel *k);
/*
 * Sends a request with the header's type and tx_id and len bytes of body. caller NULL: the reply is
 * of no interest. -ENOMEM: also if too much is under way.
 */
int xenbus_send(struct kernel *k, const struct xsd_sockmsg *header, const void *body,
                const struct xenbus_caller *caller);
/* Sets *watch up for path and token; the caller sends the request. */
void xenbus_add_watch(struct kernel *k, struct xenbus_watch *watch);
/* The body of WATCH and UNWATCH: path and token. Returns its length. */
size_t xenbus_watch_body(const struct xenbus_watch *watch, char body[XENSTORE_PAYLOAD_MAX]);
void xenbus_drop_watch(struct kernel *k, struct xenbus_watch *watch);
/* Nobody tells owner anything any more. */
void xenbus_forget(struct kernel *k, const void *owner);
void xenbus_destroy(struct kernel *k);
/* The store is reached over another port, which is the domain's own and unbound; the former is
 * closed. */
int xenbus_move(struct kernel *k, evtchn_port_t port);
/* The ring page and the channel are gone: what was asked is asked again, of the next store. */
void xenbus_migrated(struct kernel *k);

#endif
