/* SPDX-License-Identifier: MIT */
/* The device way: files under /dev/xen for any program. */
#ifndef GNTSIM_FUSE_DEV_FUSE_WAY_H
#define GNTSIM_FUSE_DEV_FUSE_WAY_H

#include "machine.h"

extern const struct machine_way fuse_way;
/* ns_make_domain, in the attendant: it makes requests to the file system, which the server must never do itself. */
int fuse_way_make_domain(struct machine *m, domid_t id, int *root_fd);
/* Whether the mount namespace of this number (ns_number) is that of a living domain. With the lock. */
bool fuse_way_serves(struct machine *m, uint64_t number);

#endif
