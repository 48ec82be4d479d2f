/* SPDX-License-Identifier: MIT */
/* A pager that finishes what it only nominated by its response, as xenpaging does. */
#ifndef PAGER_RESPONDS_H
#define PAGER_RESPONDS_H

#include "pager.h"

/* What becomes of a response before it is sent. */
void alter(vm_event_response_t *response);

void serve(struct pager *pager)
{
    vm_event_request_t request;

    while (next_request(pager, &request)) {
        vm_event_response_t response = response_to(&request);

        if (is_out(pager, request.u.mem_paging.gfn))
            bring_back(pager, request.u.mem_paging.gfn);
        alter(&response);
        respond(pager, &response);
    }
}

#endif
