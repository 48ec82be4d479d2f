/* SPDX-License-Identifier: MIT */
/* Tells whether a name lookup comes from a call that opens the file or only names it. */
#ifndef GNTSIM_FUSE_DEV_ASKER_H
#define GNTSIM_FUSE_DEV_ASKER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Its system call is one like stat, chmod or access, about a file that it names and does not open.
 * False if that cannot be seen.
 */
bool asker_names_only(pid_t tid);

#endif
