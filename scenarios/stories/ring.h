/* SPDX-License-Identifier: MIT */
/*
 * ring DOMID REF PORT: takes messages out of a ring in a page that domain DOMID shares. The
 * producer writes a message, moves
 * prod on and rings PORT.                                  -> message TEXT for each; "ring corrupt" and exit status 3
 */
#ifndef RING_H
#define RING_H

#include "sample.h"

#define RING_SIZE 1024u
#define MAX_MESSAGE 256u

struct ring {
    volatile uint32_t prod, cons;      /* run freely, the place is the remainder */
    volatile uint32_t unused[14];
    volatile uint8_t data[RING_SIZE];
};

struct reader {
    struct ring *ring;
    xenevtchn_handle *evtchn;
    evtchn_port_t port;
};

/* Takes one message if there is one: 1, 0 (none), -1 (the ring is corrupt). A message is a length
 * of 32 bits and as many bytes; message has room for MAX_MESSAGE + 1. */
int take_message(struct reader *reader, char *message);

/* Rings: "I am at it." */
void tell_producer(struct reader *reader);
uint32_t length_at(struct ring *ring, uint32_t at);
void copy_message(struct ring *ring, uint32_t at, uint32_t length, char *message);

#endif
