/* SPDX-License-Identifier: MIT */
#include "points.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#define NR(array) (sizeof(array) / sizeof *(array))

const char *const point_kinds[NR_POINT_KINDS] = {
    [POINT_ELEMENT] = "element", [POINT_CALL] = "hypercall", [POINT_DEVICE] = "device", [POINT_KERNEL] = "kernel",
};

/* ---- Hypercalls ------------------------------------------------------------------------------- */

static const char *const gnttab_names[] = {
    [GNTTABOP_map_grant_ref] = "map_grant_ref", [GNTTABOP_unmap_grant_ref] = "unmap_grant_ref",
    [GNTTABOP_setup_table] = "setup_table", [GNTTABOP_dump_table] = "dump_table", [GNTTABOP_transfer] = "transfer",
    [GNTTABOP_copy] = "copy", [GNTTABOP_query_size] = "query_size", [GNTTABOP_unmap_and_replace] = "unmap_and_replace",
    [GNTTABOP_set_version] = "set_version", [GNTTABOP_get_status_frames] = "get_status_frames",
    [GNTTABOP_get_version] = "get_version", [GNTTABOP_swap_grant_ref] = "swap_grant_ref",
    [GNTTABOP_cache_flush] = "cache_flush",
};
static const char gnttab_unknown[] = "grant_table_op";

static const char *const evtchn_names[] = {
#define NAME(name) [EVTCHNOP_##name] = "evtchn_" #name
    NAME(bind_interdomain), NAME(bind_virq), NAME(bind_pirq), NAME(close), NAME(send), NAME(status), NAME(alloc_unbound),
    NAME(bind_ipi), NAME(bind_vcpu), NAME(unmask), NAME(reset), NAME(init_control), NAME(expand_array), NAME(set_priority),
#undef NAME
};
static const char evtchn_unknown[] = "event_channel_op", memory_name[] = "memory_op";

const char *point_command_name(unsigned op, unsigned cmd)
{
    if (op == __HYPERVISOR_grant_table_op)
        return cmd < NR(gnttab_names) && gnttab_names[cmd] ? gnttab_names[cmd] : gnttab_unknown;
    if (op == __HYPERVISOR_event_channel_op)
        return cmd < NR(evtchn_names) && evtchn_names[cmd] ? evtchn_names[cmd] : evtchn_unknown;
    return memory_name;
}

/* Operations whose arrays, or single structures, have a status. */
static bool has_elements(unsigned cmd)
{
    return cmd < NR(gnttab_names) && gnttab_names[cmd] && cmd != GNTTABOP_dump_table && cmd != GNTTABOP_set_version &&
           cmd != GNTTABOP_get_version && cmd != GNTTABOP_cache_flush;
}

/* ---- Devices and kernels ---------------------------------------------------------------------- */

static const char *const kernel_names[KERNEL_NR_OPS] = {
    [KERNEL_OPEN] = "open", [KERNEL_IOCTL] = "ioctl", [KERNEL_MMAP] = "mmap", [KERNEL_READ] = "read",
    [KERNEL_WRITE] = "write", [KERNEL_POLL] = "poll", [KERNEL_RELEASE] = "release", [KERNEL_MUNMAP] = "munmap",
    [KERNEL_VMA_CLOSE] = "vma_close", [KERNEL_CANCEL] = "cancel", [KERNEL_PARAM] = "param", [KERNEL_UNMAP] = "unmap",
    [KERNEL_NOTIFY] = "notify", [KERNEL_EVENT] = "event", [KERNEL_DEFER] = "defer",
};

const char *point_kernel_op_name(enum kernel_op op)
{
    return kernel_names[op];
}

/* vma_close, cancel and param are told of, not asked about. */
static unsigned kernel_kind(enum kernel_op op)
{
    if (op >= KERNEL_UNMAP)
        return 1u << POINT_KERNEL;
    return op == KERNEL_VMA_CLOSE || op == KERNEL_CANCEL || op == KERNEL_PARAM ? 0 : 1u << POINT_DEVICE;
}

static const struct {
    const char *device;
    unsigned cmd;
    const char *name;
} ioctls[] = {
#define NAME(device, prefix, name) { device, prefix##_##name, #name }
#define GNTDEV(name) NAME("gntdev", IOCTL_GNTDEV, name)
    GNTDEV(MAP_GRANT_REF), GNTDEV(UNMAP_GRANT_REF), GNTDEV(GET_OFFSET_FOR_VADDR), GNTDEV(SET_MAX_GRANTS),
    GNTDEV(SET_UNMAP_NOTIFY), GNTDEV(GRANT_COPY),
    GNTDEV(DMABUF_EXP_FROM_REFS), GNTDEV(DMABUF_EXP_WAIT_RELEASED), GNTDEV(DMABUF_IMP_TO_REFS), GNTDEV(DMABUF_IMP_RELEASE),
#define GNTALLOC(name) NAME("gntalloc", IOCTL_GNTALLOC, name)
    GNTALLOC(ALLOC_GREF), GNTALLOC(DEALLOC_GREF), GNTALLOC(SET_UNMAP_NOTIFY),
#define EVTCHN(name) NAME("evtchn", IOCTL_EVTCHN, name)
    EVTCHN(BIND_VIRQ), EVTCHN(BIND_INTERDOMAIN), EVTCHN(BIND_UNBOUND_PORT), EVTCHN(UNBIND), EVTCHN(NOTIFY), EVTCHN(RESET),
    EVTCHN(RESTRICT_DOMID),
    { "evtchn", _IOC(_IOC_NONE, 'E', 7, sizeof(uint32_t)), "BIND_STATIC" },
#define PRIVCMD(name) NAME("privcmd", IOCTL_PRIVCMD, name)
    PRIVCMD(HYPERCALL), PRIVCMD(MMAP), PRIVCMD(MMAPBATCH), PRIVCMD(MMAPBATCH_V2), PRIVCMD(DM_OP), PRIVCMD(RESTRICT),
    PRIVCMD(MMAP_RESOURCE),
};

const char *point_ioctl_name(const char *device, unsigned cmd)
{
    for (size_t i = 0; device && i < NR(ioctls); i++)
        if (ioctls[i].cmd == cmd && !strcmp(ioctls[i].device, device))
            return ioctls[i].name;
    return NULL;
}

bool point_ioctl_exists(const char *name)
{
    for (size_t i = 0; i < NR(ioctls); i++)
        if (!strcmp(ioctls[i].name, name))
            return true;
    return false;
}

const char *point_device_find(const char *name)
{
    const struct chardev *dev = kernel_chardev_find(name);

    return dev ? dev->name : NULL;
}

/* ---- Names ------------------------------------------------------------------------------------ */

static const char *find(const char *const *names, size_t nr, const char *name)
{
    for (size_t i = 0; i < nr; i++)
        if (names[i] && !strcmp(names[i], name))
            return names[i];
    return NULL;
}

const char *point_name_find(const char *name)
{
    static const char *const others[] = { gnttab_unknown, evtchn_unknown, memory_name };
    const char *found = find(gnttab_names, NR(gnttab_names), name);

    if (!found)
        found = find(evtchn_names, NR(evtchn_names), name);
    if (!found)
        found = find(others, NR(others), name);
    if (!found)
        found = find(kernel_names, NR(kernel_names), name);
    return found && point_name_kinds(found) ? found : NULL;
}

unsigned point_name_kinds(const char *at)
{
    if (!at)
        return (1u << NR_POINT_KINDS) - 1;
    for (unsigned i = 0; i < NR(kernel_names); i++)
        if (kernel_names[i] == at)
            return kernel_kind((enum kernel_op)i);
    for (unsigned i = 0; i < NR(gnttab_names); i++)
        if (gnttab_names[i] == at && has_elements(i))
            return 1u << POINT_ELEMENT | 1u << POINT_CALL;
    return 1u << POINT_CALL;
}

/* ---- Points ----------------------------------------------------------------------------------- */

void point_of_hypercall(struct point *point, const struct hv_point *p)
{
    *point = (struct point){
        .kind = p->element ? POINT_ELEMENT : POINT_CALL, .at = point_command_name(p->op, p->cmd), .domain = p->caller,
        .peer = p->peer, .ref = p->ref, .index = p->index, .count = p->count, .writable = p->writable,
    };
}

void point_of_kernel(struct point *point, const struct kernel_point *p)
{
    *point = (struct point){
        .kind = p->op >= KERNEL_UNMAP ? POINT_KERNEL : POINT_DEVICE, .at = kernel_names[p->op],
        .device = p->dev ? p->dev->name : NULL, .domain = kernel_domid(p->kernel), .peer = DOMID_INVALID, .ref = UINT32_MAX,
        .op = p->op,
    };
    if (p->op == KERNEL_IOCTL) {
        point->ioctl_nr = (unsigned)p->args[0];
        point->ioctl = point_ioctl_name(point->device, point->ioctl_nr);
    }
    if (p->op == KERNEL_MMAP)
        point->writable = p->args[2] & 2;       /* PROT_WRITE */
    if (p->op == KERNEL_OPEN)
        point->writable = p->args[0] & 3;       /* not O_RDONLY */
}
