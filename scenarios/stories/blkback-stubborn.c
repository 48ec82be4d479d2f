/* SPDX-License-Identifier: MIT */
/* The bug: a signal to end it is taken note of, and looked at after the request. A request may
 * never end. */
#include <signal.h>

#include "blkback.h"

static volatile sig_atomic_t to_end;

static void on_term(int sig)
{
    to_end = sig;
}

void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs)
{
    void *pages;

    signal(SIGTERM, on_term);
    pages = xengnttab_map_domain_grant_refs(gnttab, nr, granter, refs, PROT_READ | PROT_WRITE);
    if (to_end)
        exit(0);
    return pages;
}

int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr)
{
    return xengnttab_unmap(gnttab, pages, nr);
}
