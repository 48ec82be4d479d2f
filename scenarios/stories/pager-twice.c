/* SPDX-License-Identifier: MIT */
/* The bug: each request gets two responses, and the second lies where a request waits. */
#include "pager.h"

void serve(struct pager *pager)
{
    vm_event_request_t request;

    while (next_request(pager, &request)) {
        vm_event_response_t response = response_to(&request);

        bring_back(pager, request.u.mem_paging.gfn);
        respond(pager, &response);
        respond(pager, &response);
    }
}
