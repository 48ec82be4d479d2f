/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of the devices. A row here and a handler in the driver are all that a new one
 * needs: drivers, points, traces, fault rules, sweeps, records and the device way take what
 * they know from the rows (gntsim/ioctls.h).
 *
 * Columns: the name as in Xen's headers, behind IOCTL_<device>_; the driver's handler, NULL
 * if there is none; KERNEL_IOCTL_*; the errno that a sweep makes of it; the numbers that a
 * record keeps in FIELDS(), or NOT_RECORDED.
 *
 * Fields: IN(type, "name", member) and OUT(…), IN_ARRAY(type, "name", list, member) and
 * OUT_ARRAY(type, "name", list). The type is a struct ioctl_<device>_<type>.
 */
#ifndef GNTSIM_KERNEL_IOCTLS_I_H
#define GNTSIM_KERNEL_IOCTLS_I_H

#include <sys/ioctl.h>

#include <gntsim/ioctls.h>
#include <gntsim/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>
#include <xen/sys/xenbus_dev.h>

/* Linux has these; the headers do not, or not yet. */
#ifndef IOCTL_EVTCHN_BIND_STATIC
#define IOCTL_EVTCHN_BIND_STATIC _IOC(_IOC_NONE, 'E', 7, sizeof(uint32_t))
#endif
#ifndef IOCTL_PRIVCMD_IRQFD
#define IOCTL_PRIVCMD_IRQFD _IOC(_IOC_WRITE, 'P', 8, 24)
#endif
#ifndef IOCTL_PRIVCMD_IOEVENTFD
#define IOCTL_PRIVCMD_IOEVENTFD _IOC(_IOC_WRITE, 'P', 9, 48)
#endif
#ifndef IOCTL_PRIVCMD_PCIDEV_GET_GSI
#define IOCTL_PRIVCMD_PCIDEV_GET_GSI _IOC(_IOC_NONE, 'P', 10, 8)
#endif

#define KERNEL_GNTDEV_IOCTLS(ROW) \
    ROW(MAP_GRANT_REF, ioctl_map_grant_ref, KERNEL_IOCTL_MMAP, "ENOMEM", \
        FIELDS(IN(map_grant_ref, "count", count) OUT(map_grant_ref, "index", index) \
               IN_ARRAY(map_grant_ref, "domids", refs, [0].domid) \
               IN_ARRAY(map_grant_ref, "refs", refs, [0].ref))) \
    ROW(UNMAP_GRANT_REF, ioctl_unmap_grant_ref, 0, NULL, \
        FIELDS(IN(unmap_grant_ref, "index", index) IN(unmap_grant_ref, "count", count))) \
    ROW(GET_OFFSET_FOR_VADDR, ioctl_get_offset_for_vaddr, KERNEL_IOCTL_ADDRESS, NULL, \
        FIELDS(IN(get_offset_for_vaddr, "vaddr", vaddr) \
               OUT(get_offset_for_vaddr, "offset", offset) \
               OUT(get_offset_for_vaddr, "count", count))) \
    ROW(SET_MAX_GRANTS, NULL, 0, "ENOTTY", FIELDS(IN(set_max_grants, "count", count))) \
    ROW(SET_UNMAP_NOTIFY, ioctl_set_unmap_notify, KERNEL_IOCTL_NOTIFY, "EINVAL", \
        FIELDS(IN(unmap_notify, "index", index) IN(unmap_notify, "action", action) \
               IN(unmap_notify, "port", event_channel_port))) \
    ROW(GRANT_COPY, ioctl_grant_copy, 0, "EINVAL", FIELDS()) \
    ROW(DMABUF_EXP_FROM_REFS, NULL, 0, NULL, NOT_RECORDED) \
    ROW(DMABUF_EXP_WAIT_RELEASED, NULL, 0, NULL, NOT_RECORDED) \
    ROW(DMABUF_IMP_TO_REFS, NULL, 0, NULL, NOT_RECORDED) \
    ROW(DMABUF_IMP_RELEASE, NULL, 0, NULL, NOT_RECORDED)

#define KERNEL_GNTALLOC_IOCTLS(ROW) \
    ROW(ALLOC_GREF, ioctl_alloc, KERNEL_IOCTL_MMAP, "ENOSPC", \
        FIELDS(IN(alloc_gref, "domid", domid) IN(alloc_gref, "flags", flags) \
               IN(alloc_gref, "count", count) OUT(alloc_gref, "index", index) \
               OUT_ARRAY(alloc_gref, "refs", gref_ids))) \
    ROW(DEALLOC_GREF, ioctl_dealloc, 0, NULL, \
        FIELDS(IN(dealloc_gref, "index", index) IN(dealloc_gref, "count", count))) \
    ROW(SET_UNMAP_NOTIFY, ioctl_set_unmap_notify, 0, "EINVAL", \
        FIELDS(IN(unmap_notify, "index", index) IN(unmap_notify, "action", action) \
               IN(unmap_notify, "port", event_channel_port)))

#define KERNEL_EVTCHN_IOCTLS(ROW) \
    ROW(BIND_VIRQ, ioctl_bind_virq, 0, "ENOSPC", FIELDS(IN(bind_virq, "virq", virq))) \
    ROW(BIND_INTERDOMAIN, ioctl_bind_interdomain, 0, "ENOSPC", \
        FIELDS(IN(bind_interdomain, "remote_domain", remote_domain) \
               IN(bind_interdomain, "remote_port", remote_port))) \
    ROW(BIND_UNBOUND_PORT, ioctl_bind_unbound_port, 0, "ENOSPC", \
        FIELDS(IN(bind_unbound_port, "remote_domain", remote_domain))) \
    ROW(UNBIND, ioctl_unbind, 0, NULL, FIELDS(IN(unbind, "port", port))) \
    ROW(NOTIFY, ioctl_notify, 0, "ENOTCONN", FIELDS(IN(notify, "port", port))) \
    ROW(RESET, ioctl_reset, 0, NULL, FIELDS()) \
    ROW(RESTRICT_DOMID, ioctl_restrict_domid, 0, NULL, FIELDS(IN(restrict_domid, "domid", domid))) \
    ROW(BIND_STATIC, ioctl_bind_static, 0, NULL, NOT_RECORDED)

#define KERNEL_PRIVCMD_IOCTLS(ROW) \
    ROW(HYPERCALL, ioctl_hypercall, 0, "ENOMEM", FIELDS()) \
    ROW(MMAP, privcmd_ioctl_mmap, KERNEL_IOCTL_FILLS, NULL, NOT_RECORDED) \
    ROW(MMAPBATCH, privcmd_ioctl_mmapbatch, KERNEL_IOCTL_FILLS, NULL, NOT_RECORDED) \
    ROW(MMAPBATCH_V2, privcmd_ioctl_mmapbatch_v2, KERNEL_IOCTL_FILLS, "ENOMEM", NOT_RECORDED) \
    ROW(DM_OP, ioctl_dm_op, 0, NULL, NOT_RECORDED) \
    ROW(RESTRICT, ioctl_restrict, 0, NULL, FIELDS(IN(restrict, "domid", domid))) \
    ROW(MMAP_RESOURCE, privcmd_ioctl_mmap_resource, KERNEL_IOCTL_FILLS, "ENOMEM", NOT_RECORDED) \
    ROW(IRQFD, ioctl_no_eventfd, 0, NULL, NOT_RECORDED) \
    ROW(IOEVENTFD, ioctl_no_eventfd, 0, NULL, NOT_RECORDED) \
    ROW(PCIDEV_GET_GSI, ioctl_pcidev_get_gsi, 0, NULL, NOT_RECORDED)

#define KERNEL_XENBUS_BACKEND_IOCTLS(ROW) \
    ROW(EVTCHN, ioctl_evtchn, 0, "ENODEV", NOT_RECORDED) \
    ROW(SETUP, ioctl_setup, 0, "EEXIST", NOT_RECORDED)

struct kreq;
struct file;

/* What a driver does for one of them. fn NULL: it has it not. */
struct ioctl_handler {
    unsigned cmd;
    long (*fn)(struct file *file, uint64_t arg, struct kreq *req);
};
/* unknown: the answer to what the driver has not. */
static inline long ioctl_dispatch(const struct ioctl_handler *handlers, size_t nr,
                                  struct file *file, unsigned cmd, uint64_t arg, struct kreq *req,
                                  long unknown)
{
    for (size_t i = 0; i < nr; i++)
        if (handlers[i].cmd == cmd && handlers[i].fn)
            return handlers[i].fn(file, arg, req);
    return unknown;
}

#endif
