/* SPDX-License-Identifier: MIT */
/*
 * chan-client DOMID REF PORT: listens to a channel.      -> connected, heard TEXT for each, the server is gone
 */
#ifndef CHAN_CLIENT_H
#define CHAN_CLIENT_H

#include "chan.h"

struct client {
    xengnttab_handle *gnttab;
    xenevtchn_handle *evtchn;
    uint32_t domid, ref;
    evtchn_port_t port;
    struct chan *chan;
};

/* Waits for something to happen: false if the server is gone. */
bool wait_for_server(struct client *c);
/* Waits for an event and takes it. */
void take_event(struct client *c);

#endif
