/* SPDX-License-Identifier: MIT */
/* The bug: it takes the ring of one that died, and forgets the pages that are out. */
#include "pager.h"

void serve(struct pager *pager)
{
    vm_event_request_t request;

    while (next_request(pager, &request)) {
        vm_event_response_t response = response_to(&request);

        bring_back(pager, request.u.mem_paging.gfn);
        respond(pager, &response);
    }
}

void take_over(struct pager *pager)
{
    if (xc_mem_paging_disable(pager->xc, pager->domid))
        die("cannot disable the ring of a pager that died");
}
