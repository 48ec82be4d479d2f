/* SPDX-License-Identifier: MIT */
/* What the rows of ioctls_i.h say, for those who ask at run time. */
#include "ioctls_i.h"

#include <stddef.h>
#include <string.h>

/* A domain id alone, which has no structure in the headers. */
struct ioctl_privcmd_restrict {
    domid_t domid;
};

#define FIELD(type, name, member, direction, stride) \
    { name, offsetof(struct type, member), sizeof(((struct type *)0)->member), direction, stride },
#define STRIDE(type, list) sizeof(((struct type *)0)->list[0])
#define IN(type, name, member) FIELD(TYPE(type), name, member, KERNEL_IN, 0)
#define OUT(type, name, member) FIELD(TYPE(type), name, member, KERNEL_OUT, 0)
#define IN_ARRAY(type, name, list, member) \
    FIELD(TYPE(type), name, list member, KERNEL_IN, STRIDE(TYPE(type), list))
#define OUT_ARRAY(type, name, list) \
    FIELD(TYPE(type), name, list[0], KERNEL_OUT, STRIDE(TYPE(type), list))
#define FIELDS(...) (const struct kernel_ioctl_field[]){ __VA_ARGS__ { .name = NULL } }
#define NOT_RECORDED NULL

/* clang-format off */
const struct kernel_ioctl kernel_ioctls[] = {
#define TYPE(type) ioctl_gntdev_##type
#define ROW(name, handler, flags, fault, fields) \
    { "gntdev", #name, IOCTL_GNTDEV_##name, flags, fault, fields },
    KERNEL_GNTDEV_IOCTLS(ROW)
#undef ROW
#undef TYPE
#define TYPE(type) ioctl_gntalloc_##type
#define ROW(name, handler, flags, fault, fields) \
    { "gntalloc", #name, IOCTL_GNTALLOC_##name, flags, fault, fields },
    KERNEL_GNTALLOC_IOCTLS(ROW)
#undef ROW
#undef TYPE
#define TYPE(type) ioctl_evtchn_##type
#define ROW(name, handler, flags, fault, fields) \
    { "evtchn", #name, IOCTL_EVTCHN_##name, flags, fault, fields },
    KERNEL_EVTCHN_IOCTLS(ROW)
#undef ROW
#undef TYPE
#define TYPE(type) ioctl_privcmd_##type
#define ROW(name, handler, flags, fault, fields) \
    { "privcmd", #name, IOCTL_PRIVCMD_##name, flags, fault, fields },
    KERNEL_PRIVCMD_IOCTLS(ROW)
#undef ROW
#undef TYPE
#define ROW(name, handler, flags, fault, fields) \
    { "xenbus_backend", #name, IOCTL_XENBUS_BACKEND_##name, flags, fault, fields },
    KERNEL_XENBUS_BACKEND_IOCTLS(ROW)
#undef ROW
    { .device = NULL },
};
/* clang-format on */

const struct kernel_ioctl *kernel_ioctl_find(const char *device, unsigned cmd)
{
    for (const struct kernel_ioctl *row = kernel_ioctls; row->device; row++)
        if (row->cmd == cmd && !strcmp(row->device, device))
            return row;
    return NULL;
}

const struct kernel_ioctl *kernel_ioctl_named(const char *device, const char *name)
{
    for (const struct kernel_ioctl *row = kernel_ioctls; row->device; row++)
        if ((!device || !strcmp(row->device, device)) && !strcmp(row->name, name))
            return row;
    return NULL;
}
