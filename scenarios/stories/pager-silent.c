/* SPDX-License-Identifier: MIT */
/* The bug: nobody waits for its response, so it sends none, and the ring stays full. */
#include "pager.h"

void serve(struct pager *pager)
{
    vm_event_request_t request;

    while (next_request(pager, &request))
        bring_back(pager, request.u.mem_paging.gfn);
}
