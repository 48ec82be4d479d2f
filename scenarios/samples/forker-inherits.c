/* SPDX-License-Identifier: MIT */
/* The bug: the helper goes on with what it inherited: on a PV kernel nothing (it faults), on others a page that stays in use. */
#include <signal.h>

#include "forker.h"

void helper(xengnttab_handle *gnttab, const volatile char *page)
{
    (void)gnttab;
    say("helper reads %.32s", (const char *)page);
    pause();
}
