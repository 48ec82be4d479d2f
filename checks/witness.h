/* SPDX-License-Identifier: MIT */
/*
 * Call stacks: captured while their thread waits for an answer, kept once each, and turned into
 * names and lines when somebody reads them, also when their process is gone.
 */
#ifndef GNTSIM_CHECKS_WITNESS_H
#define GNTSIM_CHECKS_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A call stack. It stays until the depot is gone, and two equal ones are the same. */
struct witness;
struct depot;

int depot_create(struct depot **out);
void depot_destroy(struct depot *depot);
/*
 * What thread tid is doing, which waits in a system call. addresses: where the calls return to that
 * it is in, the innermost first; NULL: they are read from its stack. NULL: nothing is known. Reads
 * the memory of the process, which may take for ever.
 */
const struct witness *depot_see(struct depot *depot, pid_t tid, const uint64_t *addresses,
                                size_t nr);
/* The same of a thread that had these registers, and is in a signal handler now. */
struct machine_registers;
const struct witness *depot_see_at(struct depot *depot, pid_t tid,
                                   const struct machine_registers *registers);
/* The process became another program. */
void depot_forget(struct depot *depot, pid_t tid);

/* A frame, as people read it. Its strings stay until the depot is gone; NULL: not known. */
struct frame_text {
    const char *function, *file, *module;
    unsigned line;   /* 0: not known */
    uint64_t offset; /* in the module's file */
};
/* Calls tell for each frame, the innermost first; inlined ones have frames of their own. */
void witness_read(struct depot *depot, const struct witness *witness,
                  void (*tell)(void *ctx, const struct frame_text *frame), void *ctx);
/* Whether some return addresses are only likely. */
bool witness_is_approximate(const struct witness *witness);

#endif
