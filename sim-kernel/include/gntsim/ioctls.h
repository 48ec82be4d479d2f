/* SPDX-License-Identifier: MIT */
/*
 * What is known about the ioctls of the devices: their names, what they are for whoever
 * serves them, and which numbers go in and come out. The rows stand in sim-kernel/ioctls_i.h,
 * once; whoever needs such a fact asks here.
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

/* A number in the argument. */
struct kernel_ioctl_field {
    const char *name;              /* NULL: the end of the list */
    uint16_t offset, size;
    enum kernel_direction direction;
    uint16_t stride;               /* 0: one number; else an array of "count" elements */
};

#define KERNEL_IOCTL_MMAP    1u    /* the caller maps what it got by an mmap that follows */
#define KERNEL_IOCTL_FILLS   2u    /* it fills pages of its caller */
#define KERNEL_IOCTL_ADDRESS 4u    /* its argument begins with an address of the caller */

struct kernel_ioctl {
    const char *device;            /* NULL: the end of the list */
    const char *name;              /* "MAP_GRANT_REF" */
    unsigned cmd;
    unsigned flags;                /* KERNEL_IOCTL_* */
    const char *fault;             /* the errno that a sweep makes of it; NULL: none */
    const struct kernel_ioctl_field *fields;   /* NULL: records keep nothing of its argument */
};

extern const struct kernel_ioctl kernel_ioctls[];
/* NULL: not known. device NULL: of any. */
const struct kernel_ioctl *kernel_ioctl_find(const char *device, unsigned cmd);
const struct kernel_ioctl *kernel_ioctl_named(const char *device, const char *name);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
