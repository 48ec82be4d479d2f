/* SPDX-License-Identifier: MIT */
/* What every storedown does, right or wrong. */
#include <stdio.h>

#include "storedown.h"

int main(void)
{
    struct xs_handle *xs = xs_open(0);
    bool go = false;
    unsigned nr;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!xs || !xs_watch(xs, "control/shutdown", "shutdown"))
        return 1;
    printf("waiting\n");
    while (!go) {
        char **event = xs_read_watch(xs, &nr);

        if (!event)
            return 1;
        free(event);
        go = asked_to_go(xs);
    }
    printf("going down\n");
    xs_close(xs);
    return 0;
}
