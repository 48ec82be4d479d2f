/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter of every program in a domain. It reports to the supervisor (supervisor.h) the
 * calls that the server answers. These are mmap of files, munmap and the like in the window of
 * device mappings, rare calls that would reach the memory behind a device mapping, and the Xen
 * ioctls that FUSE cannot serve. All other calls run at full speed. A signal that overtakes a
 * notification interrupts the call, which no real kernel does. So FUSE serves everything that it
 * can.
 */
#ifndef GNTSIM_FUSE_DEV_FILTER_H
#define GNTSIM_FUSE_DEV_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include <gntsim/socket.h>

/*
 * Devices are opened at descriptors from here on, so that calls on them can be told from those on
 * other files: these are not to be reported. Below SOCK_FILES_MIN_FD, and where select(2) can still
 * name them.
 */
#define FILTER_MIN_FD 256

/* What the server's own injected calls carry so that they pass. A client that copies it gains
 * nothing: its mmap of a device then fails with FUSE's own ENODEV, and the end of a mapping is seen
 * all the same, a little later. */
#define INJECTED_MMAP_FLAG \
    SOCK_MMAP_FLAG /* in flags; gntsim's libraries' mappings of memory pass by it, too */
#define INJECTED_MAGIC \
    0x676e7473u /* in the first argument that munmap, mremap and shmat do not have, and in
                   remap_file_pages' flags, of which the kernel looks at one that it has not */

/* Advice that old headers do not know (Linux 5.18, 6.13). */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE  103

/* Whether an ioctl of a Xen device is reported on every descriptor: what FUSE brings of it comes
 * from no program of ours. */
bool filter_reports_ioctl(unsigned cmd);

/* The same of an mmap with these flags of this file. */
bool filter_reports_mmap(uint64_t flags, uint64_t fd);

/* Installs the filter in the calling process, for it and all it starts; exits: it reports their
 * ends, too. Returns the listener for the server, or a negative errno: -EBUSY when there is a
 * listener already (a machine within a machine). */
int filter_install(bool exits);

#endif
