/* SPDX-License-Identifier: MIT */
/* The bug: it asks for the page and does not look whether it has got it. */
#include "pool.h"

char *take_page(struct pool *pool)
{
    ring_the_bell(pool);
    say("taken");
    return pool->page;
}
