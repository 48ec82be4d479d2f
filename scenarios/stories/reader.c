/* SPDX-License-Identifier: MIT */
/* Right: what is mapped for reading is read. */
#include "reader.h"

void look(char *page)
{
    say("read %.32s", page);
}
