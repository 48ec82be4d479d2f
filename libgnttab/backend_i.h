/* SPDX-License-Identifier: MIT */
/*
 * The back end of a handle: how it reaches its device.
 *
 * Each function has the calling convention of its system call: −1 or MAP_FAILED, and errno. The
 * whole public interface has it, too, so the library converts nothing, and leaves in errno what the
 * real library leaves there.
 *
 * A back end is one file that fills in one const struct gnt_backend; handle.c chooses one for a new
 * handle. The functions above it (argument layout, retry, undo, logging) know no device.
 */
#ifndef GNTSIM_LIBGNTTAB_BACKEND_I_H
#define GNTSIM_LIBGNTTAB_BACKEND_I_H

#include <stddef.h>
#include <stdint.h>

struct xengntdev_handle;
struct ioctl_gntdev_get_offset_for_vaddr;
struct ioctl_gntdev_grant_copy;

enum gnt_device {
    GNT_DEVICE_GNTDEV,      /* consumer side, xengnttab_* */
    GNT_DEVICE_GNTALLOC,    /* producer side, xengntshr_* */
};

struct gnt_backend {
    /* Returns a descriptor: what xengnttab_fd() and xengntshr_fd() show. */
    int (*open)(struct xengntdev_handle *h, enum gnt_device device);
    int (*close)(struct xengntdev_handle *h);
    int (*ioctl)(struct xengntdev_handle *h, unsigned long cmd, void *arg);
    /* The pages that the device keeps at byte offset `index`, shared. Whatever they are made
     * of, a plain munmap(2) must end them: unsharing needs no handle, and works after
     * xengntshr_close(). */
    void *(*mmap)(struct xengntdev_handle *h, size_t length, int prot, uint64_t index);
    /* The ioctl; if its *requested is 0, also mmap of *index, which the ioctl leaves behind. */
    void *(*ioctl_mmap)(struct xengntdev_handle *h, unsigned long cmd, void *arg,
                        const uint64_t *index, size_t length, int prot, int *requested);
    /* Which pages the device maps at address vaddr, and how many: as the ioctl of that name. */
    int (*get_offset_for_vaddr)(struct xengntdev_handle *h,
                                struct ioctl_gntdev_get_offset_for_vaddr *where);
    int (*grant_copy)(struct xengntdev_handle *h, struct ioctl_gntdev_grant_copy *copy);
};

/* /dev/xen/gntdev and /dev/xen/gntalloc: a real Xen's, or those that gntsim serves. */
extern const struct gnt_backend gnt_devfiles;
/* A gntsim machine's socket. */
extern const struct gnt_backend gnt_socket;

#endif
