/* SPDX-License-Identifier: MIT */
/* Right: each word is read once, and what makes no sense is an error. */
#include "ring.h"

int take_message(struct reader *reader, char *message)
{
    struct ring *ring = reader->ring;
    uint32_t prod = ring->prod, cons = ring->cons, there = prod - cons, length;

    if (!there)
        return 0;
    if (there > RING_SIZE || there < 4)
        return -1;
    length = length_at(ring, cons);
    if (length > MAX_MESSAGE || length > there - 4)
        return -1;
    tell_producer(reader);
    copy_message(ring, cons + 4, length, message);
    ring->cons = cons + 4 + length;
    return 1;
}
