/* SPDX-License-Identifier: MIT */
/* Right: reads ring-ref in state 3, each time anew, and watches again after the daemon hung up. */
#include "storeback.h"

void front_changed(struct front *front, const char *state)
{
    if (!state)
        front->gone = true;
    else if (!strcmp(state, "3"))
        storeback_connect(front, storeback_ring(front));
    else if (!strcmp(state, "6"))
        storeback_close(front);
}

bool front_lost(struct front *front)
{
    xs_close(front->xs);
    return storeback_open(front) && storeback_watch(front);
}
