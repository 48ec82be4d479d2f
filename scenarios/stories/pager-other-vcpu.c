/* SPDX-License-Identifier: MIT */
/* The bug: its responses name a vCPU that the domain does not have, and are ignored. */
#include "pager-responds.h"

void alter(vm_event_response_t *response)
{
    response->vcpu_id = 4096;
}
