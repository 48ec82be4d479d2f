/* SPDX-License-Identifier: MIT */
/* Wrong: takes its watch to outlive the daemon. */
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
    return storeback_open(front);
}
