/* SPDX-License-Identifier: MIT */
/* The bug: it was built for another version of the interface, and its responses are ignored. */
#include "pager-responds.h"

void alter(vm_event_response_t *response)
{
    response->version--;
}
