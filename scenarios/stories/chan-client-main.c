/* SPDX-License-Identifier: MIT */
/* What every chan-client does, right or wrong; chan-client.h says how it is used. */
#include "chan-client.h"

void take_event(struct client *c)
{
    int port = xenevtchn_pending(c->evtchn);

    if (port < 0 || xenevtchn_unmask(c->evtchn, (evtchn_port_t)port))
        die("event channel");
}

int main(int argc, char **argv)
{
    struct client c = { .gnttab = xengnttab_open(NULL, 0), .evtchn = xenevtchn_open(NULL, 0) };
    char heard[256] = "";
    int port;

    if (argc != 4 || !c.gnttab || !c.evtchn)
        die("chan-client DOMID REF PORT");
    c.domid = (uint32_t)atoi(argv[1]);
    c.ref = (uint32_t)atoi(argv[2]);
    port = xenevtchn_bind_interdomain(c.evtchn, c.domid, (evtchn_port_t)atoi(argv[3]));
    if (port < 0)
        die("xenevtchn_bind_interdomain");
    c.port = (evtchn_port_t)port;
    c.chan = xengnttab_map_grant_ref_notify(c.gnttab, c.domid, c.ref, PROT_READ | PROT_WRITE,
                                            CLIENT_BYTE, c.port);
    if (!c.chan)
        die("xengnttab_map_grant_ref_notify");
    c.chan->client = 1;
    say("connected");
    while (wait_for_server(&c)) {
        char text[256];

        for (unsigned i = 0; i < sizeof text; i++)
            text[i] = c.chan->text[i];
        text[sizeof text - 1] = 0;
        if (strcmp(text, heard))
            say("heard %s", strcpy(heard, text));
    }
    say("the server is gone");
    if (xengnttab_unmap(c.gnttab, c.chan, 1))
        die("xengnttab_unmap");
    return 0;
}
