/* SPDX-License-Identifier: MIT */
/* The inputs that a program repeats: files, and all files of directories. */
#ifndef GNTSIM_TESTS_FUZZ_INPUTS_H
#define GNTSIM_TESTS_FUZZ_INPUTS_H

#include <stddef.h>
#include <stdint.h>

typedef void inputs_run(void *ctx, const char *path, const uint8_t *data, size_t size);

/* Runs what is at path. Returns how many inputs that were; a path that cannot be read ends the
 * program. */
unsigned inputs_each(const char *path, inputs_run *run, void *ctx);

#endif
