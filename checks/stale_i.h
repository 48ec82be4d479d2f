/* SPDX-License-Identifier: MIT */
/* References that were told of and became others. All calls need the machine's lock. */
#ifndef GNTSIM_CHECKS_STALE_I_H
#define GNTSIM_CHECKS_STALE_I_H

#include "calls_i.h"

struct trace_store;

/* struct machine_part's. */
void stale_store_over(struct machine *m, const struct trace_store *store, int error);
/* A map call has succeeded: reports references that are not what the domain was told. */
void stale_look(struct checks *checks, const struct call *call);
void stale_free(struct checks *checks);

#endif
