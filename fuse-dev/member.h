/* SPDX-License-Identifier: MIT */
/* Finds the domain of a process by its mounts. */
#ifndef GNTSIM_FUSE_DEV_MEMBER_H
#define GNTSIM_FUSE_DEV_MEMBER_H

#include <sys/types.h>

struct machine;

/*
 * The domain that a process is in, -1 if in none. Takes no lock, and asks nothing of the file
 * system itself.
 */
int fuse_domain_of(struct machine *m, pid_t pid);

#endif
