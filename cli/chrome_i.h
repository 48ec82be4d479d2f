/* SPDX-License-Identifier: MIT */
/* What the conversion of events (chrome.c) and of bars (chrome_bars.c) share. */
#ifndef GNTSIM_CLI_CHROME_I_H
#define GNTSIM_CLI_CHROME_I_H

#include <stdint.h>

#include <uthash.h>

#include "chrome.h"

/* Where and when something happened, as the format has it. */
struct chrome_place {
    int64_t pid, tid;
    double ts; /* microseconds */
};

enum chrome_kind { CHROME_CALL, CHROME_GRANT, CHROME_MAPPING, CHROME_PORT, NR_CHROME_KINDS };

/* Something that has begun and not ended. */
struct chrome_span {
    struct chrome_key {
        int64_t kind, domain, number;
    } key;
    uint64_t id;
    struct chrome_place made; /* where it began */
    char name[96];
    int64_t peer, peer_port;  /* of a port; -1: none is known */
    struct chrome_place sent; /* the oldest event on its way to this port; ts < 0: there is none */
    UT_hash_handle hh;
};

struct chrome {
    FILE *out;
    bool by_number;
    bool is_begun; /* a record was written */
    double last;   /* the time of the last event */
    uint64_t ids;  /* of spans and flows so far */
    struct chrome_span *open;
    struct chrome_name *names;  /* of processes */
    struct chrome_thread *seen; /* threads that have a name in the document */
};

/* ---- chrome.c -------------------------------------------------------------------------------- */

/* A number in an object, or otherwise. */
int64_t chrome_number(json_object *object, const char *key, int64_t otherwise);
/* Begins a record; chrome_put writes and frees it. */
json_object *chrome_record(const char *phase, const char *name, const char *category,
                           const struct chrome_place *place);
void chrome_put(struct chrome *chrome, json_object *record);
struct chrome_span *chrome_find(struct chrome *chrome, enum chrome_kind kind, int64_t domain,
                                int64_t number);
/* Begins a span, and ends one of the same key before. args: the event's, or NULL. NULL: no
 * memory. */
struct chrome_span *chrome_open(struct chrome *chrome, const struct chrome_key *key,
                                const struct chrome_place *place, json_object *args,
                                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Ends a span (or NULL), and frees it. */
void chrome_close(struct chrome *chrome, struct chrome_span *span,
                  const struct chrome_place *place, json_object *args);
/* An arrow between two places. */
void chrome_flow(struct chrome *chrome, const char *name, const struct chrome_place *from,
                 const struct chrome_place *to);

/* ---- chrome_bars.c --------------------------------------------------------------------------- */

/*
 * Opens and closes the bars of which an event tells. True if an arrow may begin or end there: then
 * the event itself must be a slice, as arrows lead from slice to slice.
 */
bool chrome_bars(struct chrome *chrome, const char *op, json_object *event, json_object *args,
                 const struct chrome_place *place);

#endif
