/* SPDX-License-Identifier: MIT */
/* Right: an event says to look, and what is there says what to do. */
#include "storedown.h"

bool asked_to_go(struct xs_handle *xs)
{
    unsigned len;
    char *what = xs_read(xs, XBT_NULL, "control/shutdown", &len);
    bool go = what && *what;

    free(what);
    return go;
}
