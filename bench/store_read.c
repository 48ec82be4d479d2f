/* SPDX-License-Identifier: MIT */
/*
 * Measures a READ of the store as a program makes it, and a round trip over pipes after each: a
 * line of nanoseconds for each round of both.
 *
 * bench-store-read ROUNDS READS     the store is where XENSTORED_PATH says
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenstore.h>

#include "measure.h"

#define MESSAGE 24

static void echo(int from, int to)
{
    char bytes[MESSAGE];

    while (read(from, bytes, sizeof bytes) == sizeof bytes)
        if (write(to, bytes, sizeof bytes) != sizeof bytes)
            return;
}

static void round_trip(int to, int from)
{
    char bytes[MESSAGE] = { 0 };

    if (write(to, bytes, sizeof bytes) != sizeof bytes ||
        read(from, bytes, sizeof bytes) != sizeof bytes)
        abort();
}

static void read_node(struct xs_handle *xs)
{
    unsigned len;
    char *value = xs_read(xs, XBT_NULL, "domid", &len);

    if (!value)
        abort();
    free(value);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
    unsigned reads = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
    struct xs_handle *xs = xs_open(0);
    int there[2], back[2];

    if (!reads || !xs || pipe(there) || pipe(back)) {
        fprintf(stderr, "usage: bench-store-read ROUNDS READS, where there is a store\n");
        return 2;
    }
    if (!fork()) {
        close(there[1]);
        echo(there[0], back[1]);
        _exit(0);
    }
    close(there[0]);
    for (unsigned r = 0; r < rounds; r++) {
        double asked = 0, piped = 0;

        for (unsigned i = 0; i < reads; i++) {
            double begin = now_ns(), middle;

            read_node(xs);
            middle = now_ns();
            round_trip(there[1], back[0]);
            asked += middle - begin;
            piped += now_ns() - middle;
        }
        printf("%.0f %.0f\n", asked / reads, piped / reads);
    }
    close(there[1]);
    wait(NULL);
    xs_close(xs);
    return 0;
}
