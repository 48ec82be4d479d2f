/* SPDX-License-Identifier: MIT */
/* The bug: a frontend can make the whole backend end, since an error of one request "cannot
 * happen". */
#include "blkback.h"

void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs)
{
    void *pages = xengnttab_map_domain_grant_refs(gnttab, nr, granter, refs,
                                                  PROT_READ | PROT_WRITE);

    if (!pages)
        abort();
    return pages;
}

int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr)
{
    return xengnttab_unmap(gnttab, pages, nr);
}
