/* SPDX-License-Identifier: MIT */
/*
 * Times a vchan between two domains, and plain descriptors beside it, for bench/run.
 *
 * vchan reader|writer PEER RING CHUNK BYTES ROUNDS
 *
 * Each end has descriptor 3, a socket to the other one. In each round the writer sends BYTES in
 * pieces of CHUNK over a vchan with rings of RING bytes. Then it sends the same over descriptor 3,
 * where a chunk is answered, since the smallest ring has room for one; or, if RING is larger, over
 * a pipe with as much room (descriptor 4). The reader prints "VCHAN-NS PLAIN-NS" per round.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libxenvchan.h>

#include "measure.h"

#define PATH "/local/domain/1/data/bench"
#define SMALLEST 1024u

enum { OTHER = 3, PIPE = 4 };

struct transfer {
    struct libxenvchan *chan;
    char *chunk;
    size_t size, bytes;
    bool answered;               /* over plain descriptors: each chunk */
};

static void send_whole(int fd, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, bytes + done, size - done);

        MUST(n > 0);
        done += (size_t)n;
    }
}

static void take_whole(int fd, char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, bytes + done, size - done);

        MUST(n > 0);
        done += (size_t)n;
    }
}

static void write_vchan(const struct transfer *t)
{
    for (size_t done = 0; done < t->bytes; done += t->size)
        for (size_t part = 0; part < t->size;) {
            int n = libxenvchan_write(t->chan, t->chunk + part, t->size - part);

            MUST(n > 0);
            part += (size_t)n;
        }
}

static void read_vchan(const struct transfer *t)
{
    for (size_t done = 0; done < t->bytes;) {
        int n = libxenvchan_read(t->chan, t->chunk, t->size);

        MUST(n > 0);
        done += (size_t)n;
    }
}

static void write_plain(const struct transfer *t)
{
    for (size_t done = 0; done < t->bytes; done += t->size) {
        send_whole(t->answered ? OTHER : PIPE, t->chunk, t->size);
        if (t->answered)
            take_whole(OTHER, t->chunk, 1);
    }
}

static void read_plain(const struct transfer *t)
{
    for (size_t done = 0; done < t->bytes; done += t->size) {
        take_whole(t->answered ? OTHER : PIPE, t->chunk, t->size);
        if (t->answered)
            send_whole(OTHER, t->chunk, 1);
    }
}

static struct libxenvchan *open_vchan(bool reads, int peer, size_t ring)
{
    struct libxenvchan *chan;
    char byte = 'x';

    if (reads) {
        chan = libxenvchan_server_init(NULL, peer, PATH, ring, ring);
        send_whole(OTHER, &byte, 1);
    } else {
        take_whole(OTHER, &byte, 1);
        chan = libxenvchan_client_init(NULL, peer, PATH);
    }
    MUST(chan);
    chan->blocking = 1;
    while (libxenvchan_is_open(chan) == 2)
        MUST(!libxenvchan_wait(chan));
    return chan;
}

/* Both ends begin together. */
static double timed(void (*move)(const struct transfer *), const struct transfer *t)
{
    char byte = 'x';
    double start;

    send_whole(OTHER, &byte, 1);
    take_whole(OTHER, &byte, 1);
    start = now_ns();
    move(t);
    return now_ns() - start;
}

int main(int argc, char **argv)
{
    struct transfer t;
    unsigned rounds;
    size_t ring;
    bool reads;

    MUST(argc == 7);
    reads = !strcmp(argv[1], "reader");
    ring = (size_t)atol(argv[3]);
    t = (struct transfer){ .size = (size_t)atol(argv[4]), .bytes = (size_t)atol(argv[5]),
                           .answered = ring <= SMALLEST };
    t.bytes -= t.bytes % t.size;
    rounds = (unsigned)atoi(argv[6]);
    t.chunk = calloc(1, t.size);
    MUST(t.chunk);
    t.chan = open_vchan(reads, atoi(argv[2]), ring);
    if (!t.answered)
        MUST(fcntl(PIPE, F_SETPIPE_SZ, ring) >= (int)ring);
    for (unsigned i = 0; i <= rounds; i++) {
        double vchan = timed(reads ? read_vchan : write_vchan, &t),
               plain = timed(reads ? read_plain : write_plain, &t);

        if (reads && i)      /* the first is for the caches */
            printf("%.0f %.0f\n", vchan, plain);
    }
    libxenvchan_close(t.chan);
    return 0;
}
