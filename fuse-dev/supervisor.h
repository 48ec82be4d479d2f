/* SPDX-License-Identifier: MIT */
/*
 * Answers the calls that the filter of a domain's programs reports: one loop per listener, that is, per program started
 * in a domain with all that it starts. The kernel model decides about an mmap; a success is completed by having the
 * thread map the machine's memory (inject.h).
 */
#ifndef GNTSIM_FUSE_DEV_SUPERVISOR_H
#define GNTSIM_FUSE_DEV_SUPERVISOR_H

struct machine;
struct supervisor;

/* Takes the listener. Ends by itself when the last program behind it is gone. Negative errno: listener is closed. */
int supervisor_start(struct machine *m, int listener);
/* Has all end (loops_join waits for it). Programs that still run get ENOSYS from then on. Without the machine's lock. */
void supervisors_stop(struct machine *m);

#endif
