/* SPDX-License-Identifier: MIT */
/* Right: the kernel clears the byte if this process cannot. */
#include "once.h"

char *map_page(xengnttab_handle *gnttab, uint32_t domid, uint32_t ref, evtchn_port_t port)
{
    return xengnttab_map_grant_ref_notify(gnttab, domid, ref, PROT_READ | PROT_WRITE, 0, port);
}
