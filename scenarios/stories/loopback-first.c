/* SPDX-License-Identifier: MIT */
/* The bug: the granter's end goes first, so the kernel cannot end the grant yet. */
#include "loopback.h"

void tear_down(struct loop *loop)
{
    if (xengntshr_unshare(loop->gntshr, loop->shared, 1) ||
        xengnttab_unmap(loop->gnttab, loop->mapped, 1))
        die("cannot tear down");
}
