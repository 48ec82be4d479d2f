/* SPDX-License-Identifier: MIT */
/* The inode numbers of the file system, which say what each name is. */
#ifndef GNTSIM_FUSE_DEV_DEV_INO_H
#define GNTSIM_FUSE_DEV_DEV_INO_H

#include <fuse_lowlevel.h>
#include <stdint.h>

#include <gntsim/hv.h>

/*
 * Directories, files of text and nodes have computed inode numbers: kind << 40 | domid << 8 |
 * index. A node is what programs see of a device by its name, a character device, or in /proc/xen a
 * file. What they open by that name is a device: each open another one, counting up from
 * DEVICE_INO.
 */
enum kind {
    KIND_ROOT,
    KIND_DOMAIN,
    KIND_MODULES,
    KIND_MODULE,
    KIND_PARAMETERS,
    KIND_PARAMETER,
    KIND_NODE,
    KIND_PROC,
    KIND_PROC_NODE,
    KIND_SYS,
    KIND_SYS_FILE,
    KIND_DEVICE,
};
#define DEVICE_INO (1ull << 48)

static inline enum kind ino_kind(fuse_ino_t ino)
{
    if (ino == FUSE_ROOT_ID)
        return KIND_ROOT;
    return ino >= DEVICE_INO ? KIND_DEVICE : (enum kind)(ino >> 40);
}

static inline fuse_ino_t static_ino(enum kind kind, domid_t domid, unsigned index)
{
    return (fuse_ino_t)kind << 40 | (fuse_ino_t)domid << 8 | index;
}

static inline domid_t ino_domid(fuse_ino_t ino)
{
    return (domid_t)(ino >> 8);
}

static inline unsigned ino_index(fuse_ino_t ino)
{
    return ino & 0xff;
}

#endif
