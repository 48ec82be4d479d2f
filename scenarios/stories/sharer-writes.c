/* SPDX-License-Identifier: MIT */
/* The bug: it maps a page to write, only reads it, and so ends the sharing. */
#include "sharer.h"

const struct manners manners = { .writes = true };
