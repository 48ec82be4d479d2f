/* SPDX-License-Identifier: MIT */
/* What `gntsim top` shows of a machine. */
#ifndef GNTSIM_CLI_TOP_VIEW_H
#define GNTSIM_CLI_TOP_VIEW_H

#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

/* A machine at one time. */
enum top_answer { TOP_CLOCK,
                  TOP_STATS,
                  TOP_DOMAINS,
                  TOP_ENTRIES,
                  TOP_MAPTRACK,
                  NR_TOP_ANSWERS };
struct top_sample {
    json_object *answers[NR_TOP_ANSWERS]; /* NULL: not yet there */
    uint64_t ns;                          /* of the host's clock, when all were there */
};

/* The request for an answer, a line of JSON. */
const char *top_request(enum top_answer answer);
/* Whether the machine's answer has the form that is expected. */
int top_is_good(enum top_answer answer, json_object *result);
void top_free(struct top_sample *sample);

/* The sample for people, with what happened in a second since the one before (answers NULL: there
 * is none). */
void top_print(FILE *out, const char *dir, const struct top_sample *now,
               const struct top_sample *before);
/* The sample as an object, which the caller puts. */
json_object *top_json(const struct top_sample *sample);

#endif
