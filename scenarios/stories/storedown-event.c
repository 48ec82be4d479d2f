/* SPDX-License-Identifier: MIT */
/* Wrong: only the first event comes without a change, so every other is one. */
#include "storedown.h"

bool asked_to_go(struct xs_handle *xs)
{
    static bool had_first;
    bool go = had_first;

    (void)xs;
    had_first = true;
    return go;
}
