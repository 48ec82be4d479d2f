/* SPDX-License-Identifier: MIT */
/*
 * A process beside the server, forked while that has one thread and no file that holds others up. It outlives a server that is killed and clears
 * up behind it, and it does for the server what could make it wait for itself: a server of FUSE that waits in a request to its own file system
 * when SIGKILL comes never ends.
 */
#ifndef GNTSIM_MACHINE_ATTENDANT_H
#define GNTSIM_MACHINE_ATTENDANT_H

#include <stdint.h>

struct machine;

/* Called in the attendant. 0 and two descriptors, which are sent to the server, or negative errno. */
typedef int attendant_work(uint64_t arg, int fds[2]);

/* With the ways prepared, whose functions it will call. 0 or negative errno. */
int attendant_start(struct machine *m);
/* Has the attendant do something and waits for it. Without the machine's lock. Negative errno: fds are -1. */
int attendant_ask(struct machine *m, attendant_work *work, uint64_t arg, int fds[2]);
/* The machine has ended in good order. */
void attendant_dismiss(struct machine *m);

#endif
