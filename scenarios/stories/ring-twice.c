/* SPDX-License-Identifier: MIT */
/* The bug: the length is checked, and then read again. In between the producer may change it. */
#include "ring.h"

/* What a careful compiler or allocator would find: this program finds it by itself. */
static void check_bounds(uint32_t length)
{
    if (length > MAX_MESSAGE) {
        fprintf(stderr, "%u bytes written into a buffer of %u\n", length, MAX_MESSAGE);
        abort();
    }
}

int take_message(struct reader *reader, char *message)
{
    struct ring *ring = reader->ring;
    uint32_t prod = ring->prod, cons = ring->cons, there = prod - cons, length;

    if (!there)
        return 0;
    if (there > RING_SIZE || there < 4 || length_at(ring, cons) > MAX_MESSAGE ||
        length_at(ring, cons) > there - 4)
        return -1;
    tell_producer(reader);
    length = length_at(ring, cons);
    check_bounds(length);
    copy_message(ring, cons + 4, length, message);
    ring->cons = cons + 4 + length;
    return 1;
}
