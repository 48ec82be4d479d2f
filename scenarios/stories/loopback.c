/* SPDX-License-Identifier: MIT */
/* Right: the mapping goes first, even if both ends are one's own. */
#include "loopback.h"

void tear_down(struct loop *loop)
{
    if (xengnttab_unmap(loop->gnttab, loop->mapped, 1) ||
        xengntshr_unshare(loop->gntshr, loop->shared, 1))
        die("cannot tear down");
}
