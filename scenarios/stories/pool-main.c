/* SPDX-License-Identifier: MIT */
/* What every pool does, right or wrong; pool.h says how it is used. */
#include "pool.h"

static void lend(struct pool *pool, uint32_t domid)
{
    uint32_t ref;

    pool->port = xenevtchn_bind_unbound_port(pool->evtchn, domid);
    pool->page = pool->port < 0 ? NULL : xengntshr_share_pages(pool->gntshr, domid, 1, &ref, 1);
    if (!pool->page)
        die("cannot share");
    say("lent %u %d", ref, pool->port);
}

void ring_the_bell(struct pool *pool)
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
