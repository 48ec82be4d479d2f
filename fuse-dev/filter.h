/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter of every program in a domain. It stops the calls that the server answers (supervisor.h): the Xen devices'
 * ioctls, mmap of files, munmap and the like within the window of device addresses, and calls that nothing but a device mapping
 * may make, anywhere. Everything else runs at full speed. FUSE tells its server nothing of mmap, turns an ENOSYS into ENOTTY, and wakes its server wherever the
 * scheduler likes; a notification does none of that, and its caller can be killed while it waits.
 */
#ifndef GNTSIM_FUSE_DEV_FILTER_H
#define GNTSIM_FUSE_DEV_FILTER_H

#include <gntsim/socket.h>

/* What the server's own injected calls carry so that they pass. A client that copies it gains nothing: its mmap of a device
 * then fails with FUSE's own ENODEV, and the end of a mapping is seen all the same, a little later. */
#define INJECTED_MMAP_FLAG SOCK_MMAP_FLAG    /* in flags; gntsim's libraries' mappings of memory pass by it, too */
#define INJECTED_MAGIC     0x676e7473u       /* in the first argument that munmap, mremap and shmat do not have */

/* Advice that old headers do not know (Linux 6.13). */
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE  103

/* Installs the filter in the calling process, for it and all it starts. Returns the listener for the server, or
 * a negative errno: -EBUSY when there is a listener already (a machine within a machine). */
int filter_install(void);

#endif
