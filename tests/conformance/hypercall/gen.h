/* SPDX-License-Identifier: MIT */
/* Generates lists of random steps from a seed. */
#ifndef GNTSIM_CONFORMANCE_GEN_H
#define GNTSIM_CONFORMANCE_GEN_H

#include <stdint.h>

/* A sequence of random steps, the same for the same seed everywhere: valid ones, nearly valid ones,
 * and hostile ones. */
void generate(uint64_t seed, unsigned steps, void (*line)(void *ctx, const char *text), void *ctx);

#endif
