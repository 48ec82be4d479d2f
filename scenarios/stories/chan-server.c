/* SPDX-License-Identifier: MIT */
/*
 * chan-server DOMID: serves a channel to domain DOMID.             -> channel REF PORT
 *
 *   say TEXT          puts the word into the channel and rings     -> said
 *   watch             waits until the client has gone              -> the client is gone
 *
 * Whatever way it ends, its kernel clears its byte and rings for it.
 */
#include "chan.h"

static void watch(xenevtchn_handle *evtchn, struct chan *chan)
{
    while (chan->client) {
        int port = xenevtchn_pending(evtchn);

        if (port < 0 || xenevtchn_unmask(evtchn, (evtchn_port_t)port))
            die("event channel");
    }
    say("the client is gone");
}

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    struct chan *chan;
    char line[300];
    uint32_t ref;
    int port;

    if (argc != 2 || !gntshr || !evtchn)
        die("chan-server DOMID");
    port = xenevtchn_bind_unbound_port(evtchn, (uint32_t)atoi(argv[1]));
    chan = port < 0 ? NULL : xengntshr_share_page_notify(gntshr, (uint32_t)atoi(argv[1]), &ref, 1,
                                                         SERVER_BYTE, (evtchn_port_t)port);
    if (!chan)
        die("cannot make a channel");
    chan->server = 1;
    say("channel %u %d", ref, port);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "say ", 4)) {
            for (unsigned i = 0; i <= strlen(line + 4) && i < sizeof chan->text; i++)
                chan->text[i] = line[4 + i];
            if (xenevtchn_notify(evtchn, (evtchn_port_t)port))
                die("xenevtchn_notify");
            say("said");
        } else if (!strcmp(line, "watch")) {
            watch(evtchn, chan);
        }
    }
    xengntshr_unshare(gntshr, chan, 1);
    return 0;
}
