/* SPDX-License-Identifier: MIT */
/* Killing processes that can only be found by looking at all that there are. */
#ifndef GNTSIM_MACHINE_KILL_H
#define GNTSIM_MACHINE_KILL_H

#include <stdbool.h>
#include <sys/types.h>

/* SIGKILL to every process but this one of which is_one says so; with wait until none is left (for some seconds at most). */
void kill_processes(bool (*is_one)(const void *ctx, pid_t pid), const void *ctx, bool wait);

#endif
