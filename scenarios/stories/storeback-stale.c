/* SPDX-License-Identifier: MIT */
/* Wrong: connects again to the ring that it knows. */
#include "storeback.h"

void front_changed(struct front *front, const char *state)
{
    if (!state)
        front->gone = true;
    else if (!strcmp(state, "3"))
        storeback_connect(front, front->ring < 0 ? storeback_ring(front) : front->ring);
    else if (!strcmp(state, "6"))
        storeback_close(front);
}

bool front_lost(struct front *front)
{
    xs_close(front->xs);
    return storeback_open(front) && storeback_watch(front);
}
