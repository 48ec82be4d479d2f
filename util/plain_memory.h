/* SPDX-License-Identifier: MIT */
/* Copies hypercall arguments from and to this process's own memory. */
#ifndef GNTSIM_UTIL_PLAIN_MEMORY_H
#define GNTSIM_UTIL_PLAIN_MEMORY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline int plain_copy_from(void *ctx, void *to, uint64_t from, size_t size)
{
    (void)ctx;
    if (!from)
        return -EFAULT;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

static inline int plain_copy_to(void *ctx, uint64_t to, const void *from, size_t size)
{
    (void)ctx;
    if (!to)
        return -EFAULT;
    memcpy((void *)(uintptr_t)to, from, size);
    return 0;
}

#endif
