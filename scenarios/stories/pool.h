/* SPDX-License-Identifier: MIT */
/*
 * A frontend with a pool of pages that it lends to one backend after the other. Byte 0 of a page is
 * the backend's: 1 while it has the page mapped, 0 when it has let go (its kernel sees to that when
 * it dies). From byte 64 on there is the data.
 *
 *   lend DOMID        lends a page                                             -> lent REF PORT
 *   take              wants it back, for somebody else: rings the bell and     -> taken or
 *                     then takes a page for the secret                         -> refused
 *   store             writes the secret into the page that it took             -> stored
 */
#ifndef POOL_H
#define POOL_H

#include "sample.h"

#define DATA 64

struct pool {
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    char *page;                /* lent */
    int port;
    char *mine;                /* taken for the secret */
};

/* A page that the former backend cannot read. Says whether the old one could be had. */
char *take_page(struct pool *pool);
void ring_the_bell(struct pool *pool);

#endif
