/* SPDX-License-Identifier: MIT */
/*
 * The attendant, a process beside the server. The server forks it before it starts threads or opens
 * files that could hold others up. The attendant outlives a killed server and clears up. It also
 * does what could make the server wait for itself: a FUSE server that waits for its own file system
 * when SIGKILL comes never ends.
 */
#ifndef GNTSIM_MACHINE_ATTENDANT_H
#define GNTSIM_MACHINE_ATTENDANT_H

#include <stdint.h>

struct machine;

struct attendant_answer {
    int rc;                      /* 0 or negative errno */
    uint64_t values[2];
    int fds[2];                  /* sent to the server with a 0, if the first is none of -1 */
};
/* Called in the attendant. fds[0] is what was sent along, or -1; what it leaves there is sent
 * back. */
typedef void attendant_work(const uint64_t args[2], struct attendant_answer *answer);

/* With the ways prepared, whose functions it will call. 0 or negative errno. */
int attendant_start(struct machine *m);
/*
 * Has the attendant do something and waits for it. Without the machine's lock. On an error the
 * descriptors are -1.
 */
void attendant_ask(struct machine *m, attendant_work *work, const uint64_t args[2],
                   struct attendant_answer *answer);
/* The same; fd (which stays the caller's) is sent along. */
void attendant_give(struct machine *m, attendant_work *work, const uint64_t args[2], int fd,
                    struct attendant_answer *answer);
/* The machine has ended in good order. */
void attendant_dismiss(struct machine *m);

#endif
