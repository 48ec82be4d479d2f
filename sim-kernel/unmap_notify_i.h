/* SPDX-License-Identifier: MIT */
/*
 * The notification that SET_UNMAP_NOTIFY of gntdev and gntalloc asks for: at an unmap the kernel
 * clears a byte and sends an event. Both are one notification for hooks, though they may be far
 * apart in time.
 */
#ifndef GNTSIM_KERNEL_UNMAP_NOTIFY_I_H
#define GNTSIM_KERNEL_UNMAP_NOTIFY_I_H

#include <gntsim/kernel.h>

struct unmap_notify {
    unsigned flags;                  /* UNMAP_NOTIFY_*, of what is still to be done */
    uint64_t at;                     /* of the byte: the device's own */
    evtchn_port_t port;
    bool holds_port;
    bool asked;                      /* hooks have been, with this verdict: */
    struct kernel_verdict verdict;
};

/* What an ioctl asks for, with a reference to the port. 0, -EINVAL. */
int unmap_notify_init(struct kernel *k, struct unmap_notify *n, unsigned action,
                      evtchn_port_t port);
/* The new one takes the old one's place. */
void unmap_notify_replace(struct kernel *k, struct unmap_notify *n, const struct unmap_notify *by);
/* Gives the port back. */
void unmap_notify_release(struct kernel *k, struct unmap_notify *n);
/* The byte goes: true if the caller has to clear it. */
bool unmap_notify_clears(struct kernel *k, struct unmap_notify *n);
/* Sends the event if there is to be one, and gives the port back. */
void unmap_notify_send(struct kernel *k, struct unmap_notify *n);

#endif
