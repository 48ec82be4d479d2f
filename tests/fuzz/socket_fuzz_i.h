/* SPDX-License-Identifier: MIT */
/* The fuzzer of the socket protocol, as its two programs use it. */
#ifndef GNTSIM_TESTS_FUZZ_SOCKET_FUZZ_I_H
#define GNTSIM_TESTS_FUZZ_SOCKET_FUZZ_I_H

#include <stddef.h>
#include <stdint.h>

struct fuzz;

struct fuzz *fuzz_start(void);
/* Aborts on a finding. */
void fuzz_run(struct fuzz *fuzz, const uint8_t *data, size_t size);
void fuzz_stop(struct fuzz *fuzz);

#endif
