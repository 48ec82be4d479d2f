/* SPDX-License-Identifier: MIT */
/*
 * A frontend with a pool of pages that it lends to one backend after the other. Byte 0 of a page is the backend's: 1 while it
 * has the page mapped, 0 when it has let go (its kernel sees to that when it dies). From byte 64 on there is the data.
 *
 *   lend DOMID        lends a page                                             -> lent REF PORT
 *   take              wants it back, for somebody else: rings the bell and     -> taken or
 *                     then takes a page for the secret                         -> refused
 *   store             writes the secret into the page that it took             -> stored
 */
#ifndef POOL_H
#define POOL_H

#include "sample.h"

#define DATA 64

struct pool {
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    char *page;                /* lent */
    int port;
    char *mine;                /* taken for the secret */
};

/* A page that the former backend cannot read. Says whether the old one could be had. */
char *take_page(struct pool *pool);

static inline void lend(struct pool *pool, uint32_t domid)
{
    uint32_t ref;

    pool->port = xenevtchn_bind_unbound_port(pool->evtchn, domid);
    pool->page = pool->port < 0 ? NULL : xengntshr_share_pages(pool->gntshr, domid, 1, &ref, 1);
    if (!pool->page)
        die("cannot share");
    say("lent %u %d", ref, pool->port);
}

static inline void ring_the_bell(struct pool *pool)
{
    if (xenevtchn_notify(pool->evtchn, pool->port))
        die("xenevtchn_notify");
}

int main(void)
{
    struct pool pool = { .gntshr = xengntshr_open(NULL, 0), .evtchn = xenevtchn_open(NULL, 0) };
    unsigned long args[1] = { 0 };
    char line[256], *word;
    unsigned nr;

    if (!pool.gntshr || !pool.evtchn)
        die("cannot open the devices");
    say("ready");
    while ((word = next_command(line, sizeof line, args, 1, &nr))) {
        if (!strcmp(word, "lend") && nr == 1 && !pool.page) {
            lend(&pool, (uint32_t)args[0]);
        } else if (!strcmp(word, "take") && pool.page) {
            pool.mine = take_page(&pool);
        } else if (!strcmp(word, "store") && pool.mine) {
            strcpy(pool.mine + DATA, "the secret of another");
            say("stored");
        } else {
            say("what?");
        }
    }
    return 0;
}

#endif
