/* SPDX-License-Identifier: MIT */
/*
 * Measures what the store model costs in process: a request, and a write among many watches that
 * it does not concern. Each figure is the median over rounds that measure both sides in turn.
 *
 * store-bench [--quick] [--json]     --quick: three rounds, to see that it works, not for figures
 */
#include <stdbool.h>
#include <string.h>

#include <gntsim/store.h>

#include "measure.h"

#define ROUNDS   101u
#define REQUESTS 1000u
#define NODES    10000u
#define WATCHES  1000u

/* A store with so many nodes, in directories of a hundred. */
struct side {
    struct store *store;
    struct store_conn *conn;
};

static void ask(const struct side *side, uint32_t type, const char *body, size_t len)
{
    struct xsd_sockmsg header = { .type = type, .len = (uint32_t)len };
    char message[sizeof header + 256];
    size_t size;

    MUST(len <= 256);
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, body, len);
    MUST(store_receive(side->conn, message, sizeof header + len) > 0);
    while (store_output(side->conn, &size))
        store_sent(side->conn, size);
}

static size_t path_of(char *out, size_t size, unsigned node)
{
    return (size_t)snprintf(out, size, "/bench/%u/%u", node / 100, node % 100) + 1;
}

static void write_node(const struct side *side, unsigned node)
{
    char body[64];
    size_t len = path_of(body, sizeof body - 8, node);

    memcpy(body + len, "value", 5);
    ask(side, XS_WRITE, body, len + 5);
}

static void read_node(const struct side *side, unsigned node)
{
    char body[64];

    ask(side, XS_READ, body, path_of(body, sizeof body, node));
}

static struct side make_side(unsigned watches)
{
    struct side side = { .store = store_create(NULL) };

    side.conn = store_connect(side.store);
    for (unsigned i = 0; i < NODES; i++)
        write_node(&side, i);
    /* Of the first nodes; the last ones are written. */
    for (unsigned i = 0; i < watches; i++) {
        char body[64];
        size_t len = path_of(body, sizeof body - 8, i);

        memcpy(body + len, "token", 6);
        ask(&side, XS_WATCH, body, len + 6);
    }
    return side;
}

/* Nanoseconds of a request. */
static double time_of(const struct side *side, void (*request)(const struct side *, unsigned))
{
    double begin = now_ns();

    for (unsigned i = 0; i < REQUESTS; i++)
        request(side, NODES - REQUESTS + i);
    return (now_ns() - begin) / REQUESTS;
}

static void print_row(bool json, const char *what, const char *measured, const char *against,
                      const char *reference, double result, const char *unit, double target)
{
    static unsigned nr;

    if (json)
        printf("%s{\"what\": \"%s\", \"measured\": \"%s\", \"against\": \"%s\", "
               "\"reference\": \"%s\", \"result\": %.4f, \"unit\": \"%s\", \"target\": %g, "
               "\"at_most\": true}",
               nr++ ? ",\n " : "[", what, measured, against, reference, result, unit, target);
    else
        printf("%-46s %9s   %-34s %9s   %8.2f %-4s  at most %g: %s\n", what, measured, against,
               reference, result, unit, target, result <= target ? "met" : "MISSED");
}

int main(int argc, char **argv)
{
    double reads[ROUNDS], writes[ROUNDS], ratios[ROUNDS], watched[ROUNDS], alone[ROUNDS];
    bool json = false;
    unsigned rounds = ROUNDS;
    struct side none, many;
    char a[32], b[32];

    for (int i = 1; i < argc; i++) {
        json |= !strcmp(argv[i], "--json");
        rounds = strcmp(argv[i], "--quick") ? rounds : 3;
    }
    none = make_side(0);
    many = make_side(WATCHES);
    for (unsigned r = 0; r < rounds; r++) {
        reads[r] = time_of(&none, read_node);
        writes[r] = alone[r] = time_of(&none, write_node);
        watched[r] = time_of(&many, write_node);
        ratios[r] = watched[r] / alone[r];
    }
    print_row(json, "store: READ in process", "", "", "", median(reads, rounds) / 1000, "us", 2);
    print_row(json, "store: WRITE in process", "", "", "", median(writes, rounds) / 1000, "us", 2);
    snprintf(a, sizeof a, "%.0f ns", median(watched, rounds));
    snprintf(b, sizeof b, "%.0f ns", median(alone, rounds));
    print_row(json, "store: WRITE, 10000 nodes, 1000 watches", a, "10000 nodes, no watch", b,
              median(ratios, rounds), "x", 2);
    printf(json ? "]\n" : "");
    store_destroy(none.store);
    store_destroy(many.store);
    return 0;
}
