/* SPDX-License-Identifier: MIT */
/*
 * Hears from a process that is about to die of SIGSEGV or SIGBUS where that happened. A handler for
 * these signals is put into it when it maps a device, unless it handles or ignores them itself.
 */
#ifndef GNTSIM_FUSE_DEV_FAULT_H
#define GNTSIM_FUSE_DEV_FAULT_H

#include <stdbool.h>

struct inject;
struct machine;
struct notice;
struct space;

/* Has the process of a stopped thread tell, if a part listens and it does not yet. */
void fault_prepare(struct space *space, struct inject *inject);
void fault_prepare_stopped(struct machine *m, struct inject *inject);
/* Whether an ioctl is the handler's. Deals with it, in a thread that may wait. */
bool fault_is_told(const struct notice *notice);
void fault_serve(struct notice *notice);

#endif
