/* SPDX-License-Identifier: MIT */
/*
 * The kernel's event channels: ports with handlers. A port stays masked from an event until its
 * late EOI.
 */
#ifndef GNTSIM_KERNEL_EVENTS_I_H
#define GNTSIM_KERNEL_EVENTS_I_H

#include <gntsim/kernel.h>

/* Somebody who is told about a port's events. The owner embeds it. */
struct event_handler {
    evtchn_port_t port;
    void (*fn)(struct event_handler *handler);
    struct event_handler *next;
};

struct event_port {
    struct event_handler *handlers;
    int16_t refs;                    /* handlers and unmap notifications; 0: not bound */
    bool is_static;                  /* not closed by the kernel */
    bool eoi_pending;                /* masked until somebody reports the end of the event */
};

struct events {
    struct event_port *ports;
    uint32_t nr_ports;               /* grown on demand */
    evtchn_port_t highest;           /* port that was ever bound */
};

/* The 2-level ABI of a 64-bit guest. */
#define NR_EVENT_CHANNELS 4096u

/* Masks everything, as at boot. */
int events_init(struct kernel *k);
void events_destroy(struct kernel *k);
void events_migrated(struct kernel *k);
/* Handles what is pending. */
void events_upcall(struct kernel *k);
bool events_pending(const struct kernel *k);

/* How many ports a real kernel has set up: with FIFO channels, whole pages as needed. */
uint32_t events_nr_channels(const struct kernel *k);
/* Adds a handler to a port and unmasks it. -ENOMEM, -EINVAL (no such port number). */
int event_bind(struct kernel *k, struct event_handler *handler, evtchn_port_t port, bool is_static);
/* The first of a port's handlers. */
struct event_handler *event_handlers(const struct kernel *k, evtchn_port_t port);
/* Removes it; the port is closed when nobody has a reference any more. */
void event_unbind(struct kernel *k, struct event_handler *handler);
/* The event is dealt with: the next one may come (now, if there was one meanwhile). */
void event_eoi(struct kernel *k, evtchn_port_t port);
/* A further reference to a port that is bound: 0, -EINVAL. */
int event_get(struct kernel *k, evtchn_port_t port);
void event_put(struct kernel *k, evtchn_port_t port);
/* Sends; errors are nobody's business. */
void event_notify(struct kernel *k, evtchn_port_t port);
/* As a hook wants it. */
void event_notify_as(struct kernel *k, evtchn_port_t port, const struct kernel_verdict *verdict);

#endif
