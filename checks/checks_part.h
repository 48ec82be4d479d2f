/* SPDX-License-Identifier: MIT */
/*
 * Checks programs: a part of the machine that keeps a ledger of what each process made of its
 * devices, and reports what a right program does not do. A machine without the part keeps nothing.
 */
#ifndef GNTSIM_CHECKS_CHECKS_PART_H
#define GNTSIM_CHECKS_CHECKS_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "parts.h"

extern const struct machine_part checks_part;

/* The exit status of a command that ended well and has findings, unless another one is chosen. */
#define CHECKS_STATUS 99

struct check_kind {
    const char *name; /* NULL: the end of the list */
    bool is_leak;
    const char *says, *repair; /* sentences without a full stop */
};
extern const struct check_kind check_kinds[];
/* NULL: there is none of that name. */
const struct check_kind *check_kind_find(const char *name);

/* How many findings there are, without suppressed ones. Without the lock. */
unsigned checks_count(struct machine *m);
/* Calls tell with the text of each, the oldest first. The lock does not matter. */
void checks_texts(struct machine *m, void (*tell)(void *ctx, const char *text), void *ctx);

#endif
