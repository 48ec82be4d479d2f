/* SPDX-License-Identifier: MIT */
/*
 * The table of the devices' ioctls: their names, their kinds, and the numbers in their arguments.
 * Each fact stands in one row of sim-kernel/ioctls_i.h.
 */
#ifndef GNTSIM_IOCTLS_H
#define GNTSIM_IOCTLS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)    /* all else in the library is hidden */

enum kernel_direction { KERNEL_IN, KERNEL_OUT };

/* A number in the argument, of size bytes at offset. */
struct kernel_ioctl_field {
    const char *name;              /* NULL: the end of the list */
    uint16_t offset, size;
    enum kernel_direction direction;
    uint16_t stride;               /* 0: one number; else "count" of them, so many bytes apart */
};

#define KERNEL_IOCTL_MMAP    1u    /* an mmap by the caller follows */
#define KERNEL_IOCTL_FILLS   2u    /* it fills pages of the caller's mapping */
#define KERNEL_IOCTL_ADDRESS 4u    /* its argument begins with an address of the caller's */
#define KERNEL_IOCTL_NOTIFY  8u    /* it asks for something to happen at a mapping's end */

struct kernel_ioctl {
    const char *device;            /* NULL: the end of the list */
    const char *name;              /* "MAP_GRANT_REF" */
    unsigned cmd;
    unsigned flags;                /* KERNEL_IOCTL_* */
    const char *fault;             /* a sweep's fault, an errno; NULL: none */
    const struct kernel_ioctl_field *fields;   /* NULL: records keep nothing of its argument */
};

/*
 * All ioctls, and the one with that number or name; device NULL: of any device. NULL: it is
 * unknown.
 */
extern const struct kernel_ioctl kernel_ioctls[];
const struct kernel_ioctl *kernel_ioctl_find(const char *device, unsigned cmd);
const struct kernel_ioctl *kernel_ioctl_named(const char *device, const char *name);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
