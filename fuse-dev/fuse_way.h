/* SPDX-License-Identifier: MIT */
/* The device way: files under /dev/xen for any program. */
#ifndef GNTSIM_FUSE_DEV_FUSE_WAY_H
#define GNTSIM_FUSE_DEV_FUSE_WAY_H

#include "machine.h"

extern const struct machine_part fuse_way;
/* What "enter" gives of a domain, made when first asked for: descriptors that stay the way's. */
struct fuse_way_entry {
    int ns_fd;                   /* the mount namespace with this domain's /dev/xen */
    int root_fd;                 /* the machine's root directory in it */
    int user_ns_fd;              /* the machine's user namespace, -1 when it has the caller's */
};
/* With the lock, which it lets go of: the file system must answer meanwhile. Negative errno,
 * -ESRCH: the domain ended. */
int fuse_way_enter(struct domain *d, struct fuse_way_entry *entry);
/* Whether a process that names its root directory so (ns_root_name) has another one than the
 * machine. */
bool fuse_way_other_root(const struct machine *m, const char *root);
/* With the lock, for people: requests served on the device files; mmap, munmap … calls of
 * clients that the server was asked about. */
uint64_t fuse_way_requests(const struct machine *m);
uint64_t fuse_way_notifications(const struct machine *m);
/* Whether the mount namespace of this number (ns_number) is that of a living domain. With the
 * lock. */
bool fuse_way_serves(struct machine *m, uint64_t number);

#endif
