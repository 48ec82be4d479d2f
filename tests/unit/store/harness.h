/* SPDX-License-Identifier: MIT */
/*
 * A store for tests, with a socket connection of domain 0 and the domains 1 to 3 introduced: a
 * request is one line, and so is what came of it. Audited when a test ends.
 */
#ifndef GNTSIM_TEST_STORE_HARNESS_H
#define GNTSIM_TEST_STORE_HARNESS_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/store.h>

/* A behaviour, named as a sentence. */
struct test_case {
    const char *name;
    void (*run)(void);
};
struct test_suite {
    const char *name;
    const struct test_case *cases;    /* ends with a NULL name */
};

#define EQ(actual, expected) \
    eq_((long long)(actual), (long long)(expected), #actual " == " #expected, __FILE__, __LINE__)
void eq_(long long actual, long long expected, const char *what, const char *file, unsigned line);
#define SAME(actual, expected) same_(actual, expected, #actual, __FILE__, __LINE__)
void same_(const char *actual, const char *expected, const char *what, const char *file,
           unsigned line);
#define OK(condition) CU_ASSERT(condition)

#define NR_DOMAINS 12
#define RESERVED_PORT 5u

struct world {
    struct store *store;
    struct store_conn *root;          /* a socket, privileged */
    struct store_conn *d1, *d2, *d3;
    uint32_t tx;                      /* of the next requests */
    char said[2 * XENSTORE_PAYLOAD_MAX];    /* the last reply: '|' for NUL, the name of an error */
    size_t len;                       /* its length */
    struct xsd_sockmsg header;        /* and its header */
    char before[8192];                /* events that came to the asker before it */
    /* The machine. */
    enum store_domain_state states[NR_DOMAINS];
    struct xenstore_domain_interface rings[NR_DOMAINS];
    bool with_rings;                  /* INTRODUCE gives a domain its page */
    int introduce_error;
    char calls[512];                  /* what the store asked of it */
    unsigned notified[NR_DOMAINS];
    unsigned outputs;
    /* Faults: on requests of that type, or events, for paths that begin so. */
    enum store_verdict verdict;
    uint32_t fault_type;
    const char *fault_path;
    int fault_error;
    char traced[4096];
};
extern struct world w;

/* A test begins with an empty one. */
void world_up(const struct store_config *config);
void world_down(void);
#define TEST(name)                                                              \
    static void name##_(void);                                                  \
    static void name(void) { world_up(NULL); name##_(); world_down(); }         \
    static void name##_(void)

/* A request with any body: its errno, 0 for success. The reply is in w. */
int ask(struct store_conn *conn, uint32_t type, const void *body, size_t len);
/* '|' stands for NUL. */
int tell(struct store_conn *conn, uint32_t type, const char *body);

/* READ, WRITE, ...; perms: "n0 r1". */
int rd(struct store_conn *conn, const char *path);
int wr(struct store_conn *conn, const char *path, const char *value);
int wr_size(struct store_conn *conn, const char *path, size_t len);
int mk(struct store_conn *conn, const char *path);
int rm(struct store_conn *conn, const char *path);
int ls(struct store_conn *conn, const char *path);
int get_perms(struct store_conn *conn, const char *path);
int set_perms(struct store_conn *conn, const char *path, const char *perms);
int watch(struct store_conn *conn, const char *path, const char *token);
int unwatch(struct store_conn *conn, const char *path, const char *token);
/* A new transaction; w.tx becomes it. */
uint32_t start(struct store_conn *conn);
/* Ends w.tx, which becomes 0. */
int end(struct store_conn *conn, const char *how);

/* Takes the events that wait for a connection: "path:token path:token". */
const char *events(struct store_conn *conn);
/* Watches and forgets the first event. */
void watched(struct store_conn *conn, const char *path, const char *token);

struct store_conn *introduce(unsigned domid);
/* A path of so many characters below prefix. */
const char *long_path(const char *prefix, size_t len);
/* ring.c: bytes into a guest's ring, and what it has answered, in the notation of w.said. */
void ring_put(unsigned domid, const void *bytes, size_t len);
void ring_ask(unsigned domid, uint32_t type, const char *body);
size_t ring_take(unsigned domid, void *bytes, size_t max);

extern const struct test_suite suite_wire, suite_paths, suite_nodes, suite_perms,
    suite_transactions, suite_watches, suite_quotas, suite_domains, suite_ring, suite_control,
    suite_hooks, suite_audit;

#endif
