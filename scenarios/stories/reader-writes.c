/* SPDX-License-Identifier: MIT */
/* The bug: it marks as seen what it may only read. */
#include "reader.h"

void look(char *page)
{
    say("read %.32s", page);
    page[PAGE - 1] = 1;
}
