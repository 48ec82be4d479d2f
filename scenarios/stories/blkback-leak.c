/* SPDX-License-Identifier: MIT */
/* The bug: to say which reference is bad it maps them one by one, and leaves mapped those that are
 * good. */
#include "blkback.h"

void *map_request(xengnttab_handle *gnttab, uint32_t granter, uint32_t nr, uint32_t *refs)
{
    void *pages = xengnttab_map_domain_grant_refs(gnttab, nr, granter, refs,
                                                  PROT_READ | PROT_WRITE);

    for (uint32_t i = 0; !pages && i < nr; i++)
        if (!xengnttab_map_grant_ref(gnttab, granter, refs[i], PROT_READ))
            fprintf(stderr, "reference %u of domain %u is bad\n", refs[i], granter);
    return pages;
}

int unmap_request(xengnttab_handle *gnttab, void *pages, uint32_t nr)
{
    return xengnttab_unmap(gnttab, pages, nr);
}
