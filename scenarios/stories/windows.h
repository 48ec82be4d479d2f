/* SPDX-License-Identifier: MIT */
/*
 * windows DOMID WINDOWS PAGES FILE: a GUI program that shares the pixels of its windows with a
 * viewer in domain DOMID. Writes the references into FILE, a window per line. Byte 0 of a window is
 * the viewer's: 1 while it shows the window.
 *
 *   close             closes all windows -> closed
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "sample.h"

struct windows {
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    int port;                  /* the viewer rings it when it has let go */
    unsigned nr, pages;
    char **window;
};

void close_windows(struct windows *w);
void unshare_all(struct windows *w);

#endif
