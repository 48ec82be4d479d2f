/* SPDX-License-Identifier: MIT */
/* The bug: it believes that pages are asked for in the order in which they went. */
#include "pager.h"

void serve(struct pager *pager)
{
    vm_event_request_t request;

    while (next_request(pager, &request)) {
        vm_event_response_t response = response_to(&request);

        if (pager->nr_out)
            bring_back(pager, pager->out[0]);
        respond(pager, &response);
    }
}
