/* SPDX-License-Identifier: MIT */
/*
 * The keeper: a process beside the server that starts the store's daemon in domain 0, says how it
 * ended, and ends it if the server does.
 */
#ifndef GNTSIM_CLI_KEEPER_H
#define GNTSIM_CLI_KEEPER_H

#include <sys/types.h>

#include "store_way.h"

struct control;

struct keeper {
    struct store_keeper base;
    struct control *control;     /* the daemon's first steps are requests there */
    pid_t pid;                   /* 0: there is none */
};

/* Needs a process with one thread. path: of the daemon. 0, or an exit status after a message. */
int keeper_start(struct keeper *keeper, const char *path);
/* Ends the daemon and waits for the keeper. Does nothing if there is none. */
void keeper_end(struct keeper *keeper);

#endif
