/* SPDX-License-Identifier: MIT */
/* The bug: ENOSPC is taken for a state of the machine that needs a restart. */
#include "client.h"

bool wait_for_space(void)
{
    fprintf(stderr, "the grant table is full, please restart\n");
    return false;
}
