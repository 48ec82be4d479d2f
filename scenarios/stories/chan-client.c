/* SPDX-License-Identifier: MIT */
/* Right: after each event it looks at the server's byte. And since a domain that is destroyed as a
 * whole tells nobody, it asks now and then whether the page can still be copied from, which nobody
 * can from a domain that is gone. */
#include <poll.h>

#include "chan-client.h"

#define ASK_EVERY_MS 20

static bool is_there(struct client *c)
{
    char byte;
    xengnttab_grant_copy_segment_t piece = {
        .source.foreign = { .ref = c->ref, .offset = SERVER_BYTE, .domid = (uint16_t)c->domid },
        .dest.virt = &byte, .len = 1, .flags = GNTCOPY_source_gref,
    };

    return !xengnttab_grant_copy(c->gnttab, 1, &piece) && piece.status == GNTST_okay;
}

bool wait_for_server(struct client *c)
{
    struct pollfd fd = { xenevtchn_fd(c->evtchn), POLLIN, 0 };
    int rc = poll(&fd, 1, ASK_EVERY_MS);

    if (rc < 0)
        die("poll");
    if (!rc)
        return is_there(c);
    take_event(c);
    return c->chan->server;
}
