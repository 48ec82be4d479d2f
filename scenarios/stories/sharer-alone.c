/* SPDX-License-Identifier: MIT */
/* The bug: nobody serves the ring, so a domain without memory for a copy is crashed. */
#include "sharer.h"

const struct manners manners = { .is_alone = true };
