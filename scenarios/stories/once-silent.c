/* SPDX-License-Identifier: MIT */
/* The bug: it relies on coming to its own end. */
#include "once.h"

char *map_page(xengnttab_handle *gnttab, uint32_t domid, uint32_t ref, evtchn_port_t port)
{
    (void)port;
    return xengnttab_map_grant_ref(gnttab, domid, ref, PROT_READ | PROT_WRITE);
}
