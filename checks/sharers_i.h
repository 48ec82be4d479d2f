/* SPDX-License-Identifier: MIT */
/* Finds out which open devices of a process others have, too. */
#ifndef GNTSIM_CHECKS_SHARERS_I_H
#define GNTSIM_CHECKS_SHARERS_I_H

#include <stddef.h>
#include <sys/types.h>

/* What stands for an open device in a process. */
struct held {
    dev_t dev;
    ino_t ino;
    pid_t heir; /* a process that has it, too, and may go on with it; 0: none */
};

/* Those of the thread's process, which the caller frees. *nr: how many. NULL: none. */
struct held *find_held(pid_t tid, size_t *nr);

#endif
