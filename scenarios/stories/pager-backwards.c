/* SPDX-License-Identifier: MIT */
/* Right: the order of the responses does not matter, since each names its request's page. */
#include "pager.h"

void serve(struct pager *pager)
{
    vm_event_request_t requests[RING_SLOTS];
    unsigned nr = 0;

    while (nr < RING_SLOTS && next_request(pager, &requests[nr]))
        nr++;
    while (nr--) {
        vm_event_response_t response = response_to(&requests[nr]);

        bring_back(pager, requests[nr].u.mem_paging.gfn);
        respond(pager, &response);
    }
}
