/* SPDX-License-Identifier: MIT */
/* What every once does, right or wrong; once.h says how it is used. */
#include "once.h"

int main(int argc, char **argv)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    char *page;
    int port;

    if (argc != 4 || !gnttab || !evtchn)
        die("once DOMID REF PORT");
    port = xenevtchn_bind_interdomain(evtchn, (uint32_t)atoi(argv[1]),
                                      (evtchn_port_t)atoi(argv[3]));
    page = port < 0 ? NULL : map_page(gnttab, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]),
                                      (evtchn_port_t)port);
    if (!page)
        die("cannot map");
    page[0] = 1;
    if (xenevtchn_notify(evtchn, (evtchn_port_t)port))
        die("xenevtchn_notify");
    say("read %.32s", page + 1);
    page[0] = 0;
    if (xengnttab_unmap(gnttab, page, 1))
        die("xengnttab_unmap");
    xengnttab_close(gnttab);
    xenevtchn_close(evtchn);
    say("done");
    return 0;
}
