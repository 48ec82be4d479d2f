/* SPDX-License-Identifier: MIT */
/* A guest that waits to be shut down: storedown -> waiting, then: going down (the end). */
#ifndef STOREDOWN_H
#define STOREDOWN_H

#include <stdbool.h>
#include <stdlib.h>

#include <xenstore.h>

/* There was an event of control/shutdown. */
bool asked_to_go(struct xs_handle *xs);

#endif
