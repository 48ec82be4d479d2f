/* SPDX-License-Identifier: MIT */
/* The bug: it keeps the handle of a page that may have been written since. */
#include "sharer.h"

const struct manners manners = { .keeps_handle = true };
