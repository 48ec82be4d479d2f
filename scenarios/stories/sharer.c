/* SPDX-License-Identifier: MIT */
/* Right: it asks for handles when it shares, maps to read what it reads, and makes room. */
#include "sharer.h"

const struct manners manners = { .writes = false };
