/* SPDX-License-Identifier: MIT */
/*
 * A backend and what its frontend publishes for it, as in xenstore:
 *
 *   ring-ref N        the frontend has one ring page, reference N (written by frontends of today)
 *   ring-ref0 N       the same, as written by frontends that can have several
 *   connect DOMID     the frontend is there (again)          -> ring says TEXT | no ring
 */
#ifndef RECONNECT_H
#define RECONNECT_H

#include "sample.h"

struct keys {
    long ring_ref, ring_ref0;          /* -1: not written */
};

/* The reference to map, and what of the keys is kept for the next time. */
long ring_reference(struct keys *keys);

#endif
