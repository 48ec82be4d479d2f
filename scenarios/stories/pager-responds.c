/* SPDX-License-Identifier: MIT */
/* Right: a page that was only nominated comes back by the response alone, to who asked. */
#include "pager-responds.h"

void alter(vm_event_response_t *response)
{
    (void)response;
}
