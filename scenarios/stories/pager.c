/* SPDX-License-Identifier: MIT */
/* Right: each page comes back with its own content, and each request gets one response. */
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
