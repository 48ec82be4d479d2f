/* SPDX-License-Identifier: MIT */
/* The back end over device files: plain system calls on gntdev and gntalloc. */
#include "handle_i.h"

#include <fcntl.h>
#include <unistd.h>

#include <xen/sys/gntdev.h>

/*
 * gntalloc is left open across exec, as the real library leaves it: what the descriptor could hold
 * on to was already given up by the end of each share call, and programs may pass it on.
 */
static const struct {
    const char *path;
    int flags;
} device_files[] = {
    [GNT_DEVICE_GNTDEV]   = { "/dev/xen/gntdev",   O_RDWR | O_CLOEXEC },
    [GNT_DEVICE_GNTALLOC] = { "/dev/xen/gntalloc", O_RDWR },
};

static int devfile_open(struct xengntdev_handle *h, enum gnt_device device)
{
    (void)h;
    return open(device_files[device].path, device_files[device].flags);
}

static int devfile_close(struct xengntdev_handle *h)
{
    return close(h->fd);
}

static int devfile_ioctl(struct xengntdev_handle *h, unsigned long cmd, void *arg)
{
    return ioctl(h->fd, cmd, arg);
}

static void *devfile_mmap(struct xengntdev_handle *h, size_t length, int prot, uint64_t index)
{
    return mmap(NULL, length, prot, MAP_SHARED, h->fd, (off_t)index);
}

static void *devfile_ioctl_mmap(struct xengntdev_handle *h, unsigned long cmd, void *arg,
                                const uint64_t *index, size_t length, int prot, int *requested)
{
    *requested = devfile_ioctl(h, cmd, arg);
    return *requested ? MAP_FAILED : devfile_mmap(h, length, prot, *index);
}

static int devfile_get_offset_for_vaddr(struct xengntdev_handle *h,
                                        struct ioctl_gntdev_get_offset_for_vaddr *where)
{
    return devfile_ioctl(h, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, where);
}

static int devfile_grant_copy(struct xengntdev_handle *h, struct ioctl_gntdev_grant_copy *copy)
{
    return devfile_ioctl(h, IOCTL_GNTDEV_GRANT_COPY, copy);
}

const struct gnt_backend gnt_devfiles = {
    .open  = devfile_open,
    .close = devfile_close,
    .ioctl = devfile_ioctl,
    .mmap  = devfile_mmap,
    .ioctl_mmap = devfile_ioctl_mmap,
    .get_offset_for_vaddr = devfile_get_offset_for_vaddr,
    .grant_copy = devfile_grant_copy,
};
