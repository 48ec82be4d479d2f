/* SPDX-License-Identifier: MIT */
/*
 * Shows running programs the frames that their domain's pages become (follow.h), and stops them
 * when they write to a shared one. space_i.h has what a space's own loop does for it.
 */
#ifndef GNTSIM_FUSE_DEV_COW_H
#define GNTSIM_FUSE_DEV_COW_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct mapping;

/* For machine_part.can_follow and follow. */
bool cow_can_follow(struct machine *m, const struct mapping *mapping, uint64_t page);
void cow_follow(struct machine *m);

#endif
