/* SPDX-License-Identifier: MIT */
/* Wrong: an event of the directory is a front end that is ready. */
#include "storeback.h"

void front_changed(struct front *front, const char *state)
{
    if (!state)
        front->gone = true;
    else if (!strcmp(state, "6"))
        storeback_close(front);
    else
        storeback_connect(front, storeback_ring(front));
}

bool front_lost(struct front *front)
{
    xs_close(front->xs);
    return storeback_open(front) && storeback_watch(front);
}
