/* SPDX-License-Identifier: MIT */
/*
 * A small block backend. Each request names pages of the frontend that belong together:
 *
 *   request GRANTER REF...     maps them, keeps them mapped     -> request N: ok TEXT|TEXT... (what is in the pages)
 *                                                               -> request N: error
 *   done N                     ends a request                   -> done N
 *
 * How a request is mapped, and what an error leads to, is the business of each variant.
 */
#ifndef BLKBACK_H
#define BLKBACK_H

#include "sample.h"

/* The pages in one run, or NULL. */
void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs);
int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr);

#endif
