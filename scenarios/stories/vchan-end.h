/* SPDX-License-Identifier: MIT */
/*
 * One end of a vchan, over libxenvchan and the store:
 *
 *   vchan-end server PEER PATH   -> serving, then: heard LINE | closed (the end)
 *   vchan-end client PEER PATH   -> connected, then the same
 *
 * A line on standard input goes to the other end.
 */
#ifndef VCHAN_END_H
#define VCHAN_END_H

#include <stdbool.h>

#include <libxenvchan.h>

/* Something happened: false, if the other end is gone. */
bool goes_on(struct libxenvchan *vchan);

#endif
