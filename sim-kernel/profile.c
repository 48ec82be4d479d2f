/* SPDX-License-Identifier: MIT */
/* The profiles: the real kernels that the model can be. */
#include <string.h>

#include <gntsim/kernel.h>

/* What kernels of today have in common. */
#define SINCE_6_1 \
    .map_eagain = KERNEL_EAGAIN_RETRY, \
    .map_once = true, \
    .gntalloc_waits_for_peer = false, \
    .event_before_unmap = false, \
    .has_grant_copy = true, \
    .notify_checks_port = true, \
    .gntdev_limit_is_total = false, \
    .privcmd_restricted = true, \
    .gntdev_limit = 65536, \
    .gntalloc_limit = 1024, \
    .deferred_per_run = 10

/* What a real Xen 4.17 with this kernel answered is recorded: the profile answers the same. */
const struct kernel_profile kernel_profile_pv = {
    .name = "pv",
    .describes = "Linux 6.1 as a PV guest",
    .auto_translated = false,
    .has_bind_static = false,
    SINCE_6_1,
};

const struct kernel_profile kernel_profile_pvh = {
    .name = "pvh",
    .describes = "current Linux as an auto-translated guest (PVH, HVM)",
    .auto_translated = true,
    .has_bind_static = true,
    SINCE_6_1,
};

/* The kernels that libxengnttab's own retry loop was written for. */
const struct kernel_profile kernel_profile_legacy = {
    .name = "legacy",
    .describes = "an old PV kernel: mmap of a paged-out grant fails with EAGAIN",
    .auto_translated = false,
    .map_eagain = KERNEL_EAGAIN_TO_USER,
    .map_once = false,
    .gntalloc_waits_for_peer = true,
    .event_before_unmap = true,
    .has_grant_copy = false,
    .notify_checks_port = false,
    .gntdev_limit_is_total = true,
    .has_bind_static = false,
    .privcmd_restricted = false,
    .gntdev_limit = 1048576,
    .gntalloc_limit = 1024,
    .deferred_per_run = 10,
};

const struct kernel_profile *const kernel_profiles[] = {
    &kernel_profile_pv,
    &kernel_profile_pvh,
    &kernel_profile_legacy,
    NULL,
};

const struct kernel_profile *kernel_profile_find(const char *name)
{
    for (const struct kernel_profile *const *p = kernel_profiles; *p; p++)
        if (!strcmp((*p)->name, name))
            return *p;
    return NULL;
}
