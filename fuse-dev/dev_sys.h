/* SPDX-License-Identifier: MIT */
/* The files of /sys/hypervisor. */
#ifndef GNTSIM_FUSE_DEV_DEV_SYS_H
#define GNTSIM_FUSE_DEV_DEV_SYS_H

#include "dev_fs_i.h"

/* The inode number of a name, 0: none. */
fuse_ino_t sys_lookup(fuse_ino_t dir, const char *name);
/* The index-th name in a directory, NULL after the last. */
const char *sys_name_at(fuse_ino_t dir, off_t index);
bool sys_is_directory(fuse_ino_t dir, off_t index);
mode_t sys_mode(fuse_ino_t ino);
/* Replies. */
void sys_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off);

#endif
