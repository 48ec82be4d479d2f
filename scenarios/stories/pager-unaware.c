/* SPDX-License-Identifier: MIT */
/* The bug: it has nothing to do with a page that it only nominated, it believes. */
#include "pager.h"

void serve(struct pager *pager)
{
    vm_event_request_t request;

    while (next_request(pager, &request)) {
        vm_event_response_t response = response_to(&request);

        if (is_out(pager, request.u.mem_paging.gfn))
            bring_back(pager, request.u.mem_paging.gfn);
        respond(pager, &response);
    }
}
