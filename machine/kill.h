/* SPDX-License-Identifier: MIT */
/* Kills processes that only a search through all of /proc finds. */
#ifndef GNTSIM_MACHINE_KILL_H
#define GNTSIM_MACHINE_KILL_H

#include <stdbool.h>
#include <sys/types.h>

enum kill_verdict {
    KILL_NOT,
    KILL_IT,
    KILL_ASK_AGAIN,      /* it cannot be told at this moment */
};

/*
 * SIGKILL to every process but this one of which verdict says so; with wait until none is left (for
 * some seconds at most).
 */
void kill_processes(enum kill_verdict (*verdict)(const void *ctx, pid_t pid), const void *ctx,
                    bool wait);

#endif
