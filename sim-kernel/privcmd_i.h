/* SPDX-License-Identifier: MIT */
/* What the files of /dev/xen/privcmd share. */
#ifndef GNTSIM_KERNEL_PRIVCMD_I_H
#define GNTSIM_KERNEL_PRIVCMD_I_H

#include "kernel_i.h"

extern const struct chardev privcmd_chardev, hypercall_chardev;

/* The hypercall's result: >= 0 or a negative errno. */
long privcmd_hypercall(struct kernel *k, const struct kreq *req, uint64_t op,
                       const uint64_t args[5]);

/*
 * privcmd_lists.c: what an operation reads and writes beside its argument, as far as its argument
 * says. lists is zeroed.
 */
#define PRIVCMD_LISTS 2u
struct hv_op;
struct privcmd_list {
    uint64_t addr;
    size_t size;  /* in bytes; 0: there is none */
    bool in, out; /* it is read, written */
};
void privcmd_find_lists(struct kernel *k, unsigned nr, const struct hv_op *op, const void *arg,
                        struct privcmd_list lists[PRIVCMD_LISTS]);

/* privcmd.c: the file was restricted to another domain. */
bool privcmd_is_denied(const struct file *file, domid_t domid);

/* privcmd_map.c. */
long privcmd_mmap(struct file *file, struct vma *vma, struct kreq *req);
long privcmd_ioctl_mmap(struct file *file, uint64_t arg, struct kreq *req);
long privcmd_ioctl_mmapbatch(struct file *file, uint64_t arg, struct kreq *req);
long privcmd_ioctl_mmapbatch_v2(struct file *file, uint64_t arg, struct kreq *req);
long privcmd_ioctl_mmap_resource(struct file *file, uint64_t arg, struct kreq *req);

#endif
