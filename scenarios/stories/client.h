/* SPDX-License-Identifier: MIT */
/*
 * client DOMID PAGES: shares PAGES pages with domain DOMID.         -> shared REF... | no space
 * When there is no space it is told "again" when it may be better.  -> (as above)
 * Ends at the end of its input.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "sample.h"

/* There is no space: true to try again. */
bool wait_for_space(void);

#endif
