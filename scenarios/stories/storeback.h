/* SPDX-License-Identifier: MIT */
/*
 * A back end that follows its front end's directory in xenstore:
 *
 *   storeback DIRECTORY   -> watching, then: ring N when it connects | closed | gone (the end)
 */
#ifndef STOREBACK_H
#define STOREBACK_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

struct front {
    const char *directory;
    struct xs_handle *xs;
    bool connected, gone;
    long ring;                      /* that was connected last; -1: none */
};

/* state: the text of the front end's, NULL: there is none. */
void front_changed(struct front *front, const char *state);
/* The daemon hung up. False: it cannot go on. */
bool front_lost(struct front *front);

/* The common part. */
bool storeback_open(struct front *front);
bool storeback_watch(struct front *front);
/* ring-ref as it is now; 0: none. */
long storeback_ring(struct front *front);
void storeback_connect(struct front *front, long ring);
void storeback_close(struct front *front);

#endif
