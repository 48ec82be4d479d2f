/* SPDX-License-Identifier: MIT */
/* Wrong: looks at ring-ref, and reads it again to use it. */
#include "storeback.h"

#define FIRST_OF_A_GUEST 8          /* references below are the toolstack's */

void front_changed(struct front *front, const char *state)
{
    if (!state)
        front->gone = true;
    else if (!strcmp(state, "3") && storeback_ring(front) >= FIRST_OF_A_GUEST)
        storeback_connect(front, storeback_ring(front));
    else if (!strcmp(state, "6"))
        storeback_close(front);
}

bool front_lost(struct front *front)
{
    xs_close(front->xs);
    return storeback_open(front) && storeback_watch(front);
}
