/* SPDX-License-Identifier: MIT */
/* The bug: a reference is taken to survive. */
#include "resume.h"

void resumed(struct front *f)
{
    (void)f;
}
