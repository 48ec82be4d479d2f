/* SPDX-License-Identifier: MIT */
/* once DOMID REF PORT: maps a page, says so in its byte 0 (1) and rings, reads, and is done.
 * -> read TEXT, done */
#ifndef ONCE_H
#define ONCE_H

#include "sample.h"

/* Byte 0 must be 0 again when this process has let go of the page, whatever becomes of it. */
char *map_page(xengnttab_handle *gnttab, uint32_t domid, uint32_t ref, evtchn_port_t port);

#endif
