/* SPDX-License-Identifier: MIT */
/* Registers actors and adversaries as a part of the machine. */
#include "guests.h"

#include "actor_i.h"
#include "adversary_i.h"

const struct machine_part guests_part = {
    .machine_size = sizeof(struct adversaries),
    .domain_size = sizeof(struct actor *),
    .domain_migrated = actor_migrated,
    .domain_destroyed = actor_destroy,
    .at_hypercall = adversaries_point,
    .settle = adversaries_settle,
};
