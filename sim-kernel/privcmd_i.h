/* SPDX-License-Identifier: MIT */
/* What the files of /dev/xen/privcmd share. */
#ifndef GNTSIM_KERNEL_PRIVCMD_I_H
#define GNTSIM_KERNEL_PRIVCMD_I_H

#include "kernel_i.h"

/* The hypercall's result: >= 0 or a negative errno. */
long privcmd_hypercall(struct kernel *k, const struct kreq *req, uint64_t op, const uint64_t args[5]);

/* privcmd.c: the file was restricted to another domain. */
bool privcmd_is_denied(const struct file *file, domid_t domid);

/* privcmd_map.c. */
long privcmd_mmap(struct file *file, struct vma *vma, struct kreq *req);
long privcmd_ioctl_mmap(struct file *file, uint64_t arg, struct kreq *req);
long privcmd_ioctl_mmapbatch(struct file *file, uint64_t arg, struct kreq *req);
long privcmd_ioctl_mmapbatch_v2(struct file *file, uint64_t arg, struct kreq *req);
long privcmd_ioctl_mmap_resource(struct file *file, uint64_t arg, struct kreq *req);

#endif
