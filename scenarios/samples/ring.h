/* SPDX-License-Identifier: MIT */
/*
 * ring DOMID REF PORT: takes messages out of a ring in a page that domain DOMID shares. The producer writes a message, moves
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

/* Takes one message if there is one: 1, 0 (none), -1 (the ring is corrupt). A message is a length of 32 bits and as many bytes;
 * message has room for MAX_MESSAGE + 1. */
int take_message(struct reader *reader, char *message);

/* "I am at it." */
static inline void tell_producer(struct reader *reader)
{
    if (xenevtchn_notify(reader->evtchn, reader->port))
        die("xenevtchn_notify");
}

static inline uint32_t length_at(struct ring *ring, uint32_t at)
{
    uint32_t length = 0;

    for (unsigned i = 0; i < 4; i++)
        length |= (uint32_t)ring->data[(at + i) % RING_SIZE] << 8 * i;
    return length;
}

static inline void copy_message(struct ring *ring, uint32_t at, uint32_t length, char *message)
{
    for (uint32_t i = 0; i < length; i++)
        message[i] = (char)ring->data[(at + i) % RING_SIZE];
    message[length] = 0;
}

int main(int argc, char **argv)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    struct reader reader = { .evtchn = xenevtchn_open(NULL, 0) };
    char message[MAX_MESSAGE + 1];
    int port, rc;

    if (argc != 4 || !gnttab || !reader.evtchn)
        die("ring DOMID REF PORT");
    reader.ring = xengnttab_map_grant_ref(gnttab, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]), PROT_READ | PROT_WRITE);
    port = xenevtchn_bind_interdomain(reader.evtchn, (uint32_t)atoi(argv[1]), (evtchn_port_t)atoi(argv[3]));
    if (!reader.ring || port < 0)
        die("cannot connect");
    reader.port = (evtchn_port_t)port;
    say("connected");
    for (;;) {
        while ((rc = take_message(&reader, message)) > 0)
            say("message %s", message);
        if (rc < 0) {
            say("ring corrupt");
            return 3;
        }
        port = xenevtchn_pending(reader.evtchn);
        if (port < 0 || xenevtchn_unmask(reader.evtchn, (evtchn_port_t)port))
            die("event channel");
    }
}

#endif
