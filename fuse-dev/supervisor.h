/* SPDX-License-Identifier: MIT */
/*
 * Answers the calls that the filter of a domain's programs reports. Each program started in a
 * domain has one listener and one loop, which its descendants share. The kernel model decides an
 * mmap, and on success the thread maps the machine's memory (inject.h).
 */
#ifndef GNTSIM_FUSE_DEV_SUPERVISOR_H
#define GNTSIM_FUSE_DEV_SUPERVISOR_H

#include <sys/types.h>

struct machine;
struct supervisor;

/* Takes the listener of process pid (0: not known) and of all that it starts. Ends by itself when
 * the last of them is gone. Negative errno: listener is closed. */
int supervisor_start(struct machine *m, int listener, pid_t pid);
/*
 * Has all end (loops_join waits for it). Programs that still run get ENOSYS from then on. Without
 * the machine's lock.
 */
void supervisors_stop(struct machine *m);

#endif
