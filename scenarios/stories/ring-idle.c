/* SPDX-License-Identifier: MIT */
/* The bug: indices that make no sense look like an empty ring, so the reader waits for ever. */
#include "ring.h"

int take_message(struct reader *reader, char *message)
{
    struct ring *ring = reader->ring;
    uint32_t cons = ring->cons, length;

    if (ring->prod - cons > RING_SIZE || ring->prod - cons < 4)
        return 0;
    length = length_at(ring, cons);
    if (length > MAX_MESSAGE)
        return 0;
    tell_producer(reader);
    copy_message(ring, cons + 4, length, message);
    ring->cons = cons + 4 + length;
    return 1;
}
