/* SPDX-License-Identifier: MIT */
/* The bug: the granter lets go first, and its kernel is left with pages that it cannot have
 * back. */
#include "windows.h"

void close_windows(struct windows *w)
{
    unshare_all(w);
}
