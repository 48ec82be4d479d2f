/* SPDX-License-Identifier: MIT */
/*
 * The adversaries of a machine, as the actors and the machine see them. All functions need the
 * machine's lock.
 */
#ifndef GNTSIM_GUESTS_ADVERSARY_I_H
#define GNTSIM_GUESTS_ADVERSARY_I_H

#include "adversary.h"

struct adversaries {
    struct adversary *first;     /* ascending id */
    int64_t last_id;
    bool at_work;                /* what they do themselves is no operation to attack */
};

/* Each makes a step that it is to make in the background, or owes it if it may not be made
 * within a hypercall. */
void adversaries_point(struct machine *m);
/* The actor is about to go. */
void adversaries_end(struct machine *m, const struct actor *of);

#endif
