/* SPDX-License-Identifier: MIT */
/* What every ring does, right or wrong; ring.h says how it is used. */
#include "ring.h"

void tell_producer(struct reader *reader)
{
    if (xenevtchn_notify(reader->evtchn, reader->port))
        die("xenevtchn_notify");
}

uint32_t length_at(struct ring *ring, uint32_t at)
{
    uint32_t length = 0;

    for (unsigned i = 0; i < 4; i++)
        length |= (uint32_t)ring->data[(at + i) % RING_SIZE] << 8 * i;
    return length;
}

void copy_message(struct ring *ring, uint32_t at, uint32_t length, char *message)
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
    reader.ring = xengnttab_map_grant_ref(gnttab, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]),
                                          PROT_READ | PROT_WRITE);
    port = xenevtchn_bind_interdomain(reader.evtchn, (uint32_t)atoi(argv[1]),
                                      (evtchn_port_t)atoi(argv[3]));
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
