/* SPDX-License-Identifier: MIT */
/*
 * Programs whose server was killed. Their filters report calls that nobody would answer, and the
 * kernel ends each with ENOSYS, exit_group(2) too: glibc ends by SIGSEGV then. So the attendant
 * has every listener as well. Once the server is gone, it lets each call go on as it is.
 */
#ifndef GNTSIM_FUSE_DEV_ORPHANS_H
#define GNTSIM_FUSE_DEV_ORPHANS_H

#include <stdint.h>

struct machine;
struct orphans;
/* What the server has received from one listener and not answered. NULL: nobody keeps account, and
 * these calls end with ENOSYS when the server is killed. */
struct orphan_calls;

/* Before the attendant is forked. NULL: no memory. */
struct orphans *orphans_create(void);
void orphans_destroy(struct orphans *orphans);
/* Gives the attendant a listener, too. Without the machine's lock. The result ends with
 * orphan_calls_end, when the server closes its own. */
struct orphan_calls *orphans_add(struct machine *m, struct orphans *orphans, int listener);
void orphan_calls_end(struct orphan_calls *calls);
/* Around the receipt of a call: id is that of seccomp, 0: none came. */
void orphan_calls_receive(struct orphan_calls *calls);
void orphan_calls_received(struct orphan_calls *calls, uint64_t id);
/* The call is answered. */
void orphan_calls_answered(struct orphan_calls *calls, uint64_t id);
/* In the attendant, when the server is gone: lets calls go on until the last program has ended. */
void orphans_serve(struct orphans *orphans);

#endif
