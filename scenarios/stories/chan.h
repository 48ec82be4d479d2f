/* SPDX-License-Identifier: MIT */
/* A channel in one page: each side's byte says that it lives, and its kernel clears it when the
 * side ends. */
#ifndef CHAN_H
#define CHAN_H

#include "sample.h"

struct chan {
    volatile uint8_t server, client;       /* alive */
    volatile uint8_t unused[62];
    volatile char text[256];               /* what the server says */
};

#define SERVER_BYTE 0
#define CLIENT_BYTE 1

#endif
