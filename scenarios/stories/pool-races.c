/* SPDX-License-Identifier: MIT */
/* The bug: it looks whether the backend has let go, and only then does something about it. In
 * between the backend may map. */
#include "pool.h"

char *take_page(struct pool *pool)
{
    bool refused = *(volatile char *)pool->page;

    ring_the_bell(pool);       /* "this page is not yours any more" */
    say(refused ? "refused" : "taken");
    return refused ? malloc(PAGE) : pool->page;
}
