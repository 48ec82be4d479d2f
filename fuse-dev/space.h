/* SPDX-License-Identifier: MIT */
/*
 * Reports which pages of device mappings left an address space, by any call. The process's
 * userfaultfd reports munmap, mremap, madvise and mappings over others, and the caller waits until
 * the server has read the report. It protects no page, so no access waits.
 */
#ifndef GNTSIM_FUSE_DEV_SPACE_H
#define GNTSIM_FUSE_DEV_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "inject.h"
#include "machine.h"
#include "proc.h"

struct notice;
struct space;

/* The space of a thread stopped in inject, made if there is none yet; a reference. status: of the
 * thread, asked for if it is needed and not known (alone: it is the only one). NULL: there can be
 * none, and munmap has to be reported by the filter. */
struct space *space_get(struct machine *m, struct inject *inject, struct proc_status *status,
                        bool alone);
/* The one that a process has; a reference. NULL: none. */
struct space *space_of(struct machine *m, pid_t pid);
void space_put(struct machine *m, struct space *space);
/*
 * From now on there is news of the range, which is made from a link, or is none any more. False:
 * its process has become another program.
 */
bool space_watch(struct space *space, uint64_t start, uint64_t size);
void space_ignore(struct space *space, uint64_t start, uint64_t size);
/*
 * A supervisor is about to deal with a notice. True: it does not, as the thread is being stopped
 * for news of what it did before, and makes its call once more. False: no space stops the thread
 * before supervisor->handled is 0.
 */
bool spaces_keep(const struct notice *notice);
/* The machine stops. */
void spaces_stop(struct machine *m);

#endif
