/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter of every program in a domain. It stops the calls that the server answers (supervisor.h): mmap of files, munmap
 * and the like within the window of device addresses, calls that nothing but a device mapping may make, anywhere, and those ioctls
 * of the Xen devices that FUSE cannot serve. Everything else runs at full speed. A signal that comes just before a notification is
 * received interrupts the call, which no real kernel does; so what FUSE can bring, it brings.
 */
#ifndef GNTSIM_FUSE_DEV_FILTER_H
#define GNTSIM_FUSE_DEV_FILTER_H

#include <stdbool.h>

#include <gntsim/socket.h>

/*
 * Devices are opened at descriptors from here on, so that calls on them can be told from those on other files: these are not to be
 * reported. Below SOCK_FILES_MIN_FD, and where select(2) can still name them.
 */
#define FILTER_MIN_FD 256

/* What the server's own injected calls carry so that they pass. A client that copies it gains nothing: its mmap of a device
 * then fails with FUSE's own ENODEV, and the end of a mapping is seen all the same, a little later. */
#define INJECTED_MMAP_FLAG SOCK_MMAP_FLAG    /* in flags; gntsim's libraries' mappings of memory pass by it, too */
#define INJECTED_MAGIC     0x676e7473u       /* in the first argument that munmap, mremap and shmat do not have */

/* Advice that old headers do not know (Linux 6.13). */
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE  103

/* Whether an ioctl of a Xen device is reported on every descriptor: what FUSE brings of it comes from no program of ours. */
bool filter_reports_ioctl(unsigned cmd);

/* Installs the filter in the calling process, for it and all it starts. Returns the listener for the server, or
 * a negative errno: -EBUSY when there is a listener already (a machine within a machine). */
int filter_install(void);

#endif
