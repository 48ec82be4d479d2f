/* SPDX-License-Identifier: MIT */
/* A sequence of steps for both stores: made from a seed, played, compared, and cut down. */
#ifndef GNTSIM_TESTS_STORE_SEQUENCE_H
#define GNTSIM_TESTS_STORE_SEQUENCE_H

#include <stdio.h>

#include "side.h"

enum step_kind { STEP_REQUEST, STEP_REOPEN, STEP_STATE };

/* The transaction of a request: none, the nth of its connection's open ones, or one unknown. */
#define TX_NONE    0u
#define TX_UNKNOWN 99u

struct step {
    enum step_kind kind;
    unsigned conn;                  /* STEP_STATE: the domain */
    uint32_t type;                  /* STEP_STATE: the state */
    unsigned tx;
    size_t len;
    uint8_t *body;
};

struct sequence {
    struct step *steps;
    size_t nr;
};

/* generate.c: the same seed gives the same. The steps' bodies belong to it. */
struct sequence sequence_generate(uint64_t seed, size_t nr);
void sequence_free(struct sequence *sequence);

/* differ.c: what came of playing one. */
struct outcome {
    bool differs;
    const char *ended;              /* the daemon did at this step, and why; NULL: it did not */
    size_t at;                      /* the step whose answers differ; nr: the trees at the end */
    uint64_t requests;
};
/* Plays it on both. report: what differs goes there; NULL: nowhere. */
struct outcome sequence_compare(const struct sequence *sequence, const struct side sides[2],
                                FILE *report);

/* show.c */
void step_show(FILE *out, const struct step *step);
void heard_show(FILE *out, const struct heard *heard);

#endif
