/* SPDX-License-Identifier: MIT */
/* Right: a page that was lent is given back to the kernel, which keeps it from everybody until the
 * backend has let go. */
#include "pool.h"

char *take_page(struct pool *pool)
{
    bool refused;

    ring_the_bell(pool);
    refused = *(volatile char *)pool->page;
    if (xengntshr_unshare(pool->gntshr, pool->page, 1))
        die("xengntshr_unshare");
    pool->page = NULL;
    say(refused ? "refused" : "taken");
    return malloc(PAGE);
}
