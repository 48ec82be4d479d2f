/* SPDX-License-Identifier: MIT */
/* Right: a request is mapped as a whole or not at all, and an error is the frontend's problem, not
 * the backend's. */
#include "blkback.h"

void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs)
{
    return xengnttab_map_domain_grant_refs(gnttab, nr, granter, refs, PROT_READ | PROT_WRITE);
}

int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr)
{
    return xengnttab_unmap(gnttab, pages, nr);
}
