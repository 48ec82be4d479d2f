/* SPDX-License-Identifier: MIT */
/* Finds out whether another process has the devices of one that exits. */
#ifndef GNTSIM_CHECKS_SHARERS_I_H
#define GNTSIM_CHECKS_SHARERS_I_H

#include <stdbool.h>
#include <sys/types.h>

/* A living process that has a socket or a device in common with the process of thread tid; 0: there
 * is none. *holds: that process itself has one. Reads /proc. */
pid_t find_sharer(pid_t tid, bool *holds);

#endif
