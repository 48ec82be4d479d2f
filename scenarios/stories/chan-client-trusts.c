/* SPDX-License-Identifier: MIT */
/* The bug: it relies on being told. A domain that is destroyed tells nobody. */
#include "chan-client.h"

bool wait_for_server(struct client *c)
{
    take_event(c);
    return c->chan->server;
}
