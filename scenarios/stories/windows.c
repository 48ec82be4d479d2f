/* SPDX-License-Identifier: MIT */
/* Right: the viewer lets go first. */
#include "windows.h"

void close_windows(struct windows *w)
{
    say("waiting for the viewer");
    for (unsigned i = 0; i < w->nr; i++) {
        while (*(volatile char *)w->window[i]) {
            int port = xenevtchn_pending(w->evtchn);     /* waits for the bell */

            if (port < 0 || xenevtchn_unmask(w->evtchn, (evtchn_port_t)port))
                die("event channel");
        }
    }
    unshare_all(w);
}
