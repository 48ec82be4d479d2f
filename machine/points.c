/* SPDX-License-Identifier: MIT */
/* The names of the points at which faults can happen. */
#include "points.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <gntsim/ioctls.h>
#include <gntsim/ops.h>
#include <xen/io/xs_wire.h>

const char *const point_kinds[NR_POINT_KINDS] = {
    [POINT_ELEMENT] = "element", [POINT_CALL] = "hypercall", [POINT_DEVICE] = "device",
    [POINT_KERNEL] = "kernel",   [POINT_STORE] = "store",
};

/* ---- Hypercalls ------------------------------------------------------------------------------ */

const char *point_command_name(unsigned nr, unsigned cmd)
{
    const struct hv_op *op = hv_op_find(nr, cmd);

    return op && op->name ? op->name : hv_hypercall_find(nr)->name;
}

/* The operation of that name. *found is the table's pointer, of a hypercall's name as well. */
static const struct hv_op *find_op(const char *name, const char **found)
{
    for (const struct hv_hypercall *call = hv_hypercalls; call->name; call++) {
        for (size_t i = 0; i < call->nr_ops; i++) {
            const struct hv_op *op = &call->ops[i];

            if (op->name && !strcmp(op->name, name)) {
                *found = op->name;
                return op;
            }
        }
        if (!strcmp(call->name, name))
            *found = call->name;
    }
    return NULL;
}

/* ---- Devices and kernels --------------------------------------------------------------------- */

#define CALLS (1u << POINT_DEVICE)
#define KERNELS (1u << POINT_KERNEL)
#define TOLD 0u                  /* a trace tells of it, rules are not asked */

static const struct kernel_point_row {
    const char *name;
    unsigned kinds;
    const char *args[4];
} kernel_rows[KERNEL_NR_OPS] = {
    [KERNEL_OPEN] = { "open", CALLS, { "flags" } },
    [KERNEL_IOCTL] = { "ioctl", CALLS, { NULL } },
    [KERNEL_MMAP] = { "mmap", CALLS, { "offset", "length", "prot", "flags" } },
    [KERNEL_READ] = { "read", CALLS, { "size", "nonblock" } },
    [KERNEL_WRITE] = { "write", CALLS, { NULL } },
    [KERNEL_POLL] = { "poll", CALLS, { NULL } },
    [KERNEL_RELEASE] = { "release", CALLS, { NULL } },
    [KERNEL_MUNMAP] = { "munmap", CALLS, { "first", "pages" } },
    [KERNEL_VMA_CLOSE] = { "vma_close", TOLD, { NULL } },
    [KERNEL_CANCEL] = { "cancel", TOLD, { "cancelled" } },
    [KERNEL_PARAM] = { "param", TOLD, { "value" } },
    [KERNEL_UNMAP] = { "unmap", KERNELS, { "first", "pages" } },
    [KERNEL_NOTIFY] = { "notify", KERNELS, { "flags", "port" } },
    [KERNEL_EVENT] = { "event", KERNELS, { "port" } },
    [KERNEL_DEFER] = { "defer", KERNELS, { "waiting" } },
};

const char *point_kernel_op_name(enum kernel_op op)
{
    return kernel_rows[op].name;
}

const char *point_kernel_arg_name(enum kernel_op op, unsigned i)
{
    return kernel_rows[op].args[i];
}

const char *point_device_find(const char *name)
{
    const struct chardev *dev = kernel_chardev_find(name);

    return dev ? dev->name : NULL;
}

/* ---- The store ------------------------------------------------------------------------------- */

const char point_store_event[] = "store_event";
static const char store_unknown[] = "store_unknown";    /* a request that there is not */

static const struct store_point_row {
    const char *name;
    bool has_path;               /* its first string is one */
    const char *fault;
} store_rows[XS_TYPE_COUNT] = {
    [XS_CONTROL] = { "store_control", false, NULL },
    [XS_DIRECTORY] = { "store_directory", true, "EIO" },
    [XS_READ] = { "store_read", true, "EIO" },
    [XS_GET_PERMS] = { "store_get_perms", true, "EIO" },
    [XS_WATCH] = { "store_watch", true, "E2BIG" },
    [XS_UNWATCH] = { "store_unwatch", true, NULL },
    [XS_TRANSACTION_START] = { "store_transaction_start", false, "ENOSPC" },
    [XS_TRANSACTION_END] = { "store_transaction_end", false, "EAGAIN" },
    [XS_INTRODUCE] = { "store_introduce", false, "EINVAL" },
    [XS_RELEASE] = { "store_release", false, NULL },
    [XS_GET_DOMAIN_PATH] = { "store_get_domain_path", false, NULL },
    [XS_WRITE] = { "store_write", true, "ENOSPC" },
    [XS_MKDIR] = { "store_mkdir", true, "ENOSPC" },
    [XS_RM] = { "store_rm", true, "EIO" },
    [XS_SET_PERMS] = { "store_set_perms", true, "ENOSPC" },
    [XS_WATCH_EVENT] = { point_store_event, true, NULL },
    [XS_IS_DOMAIN_INTRODUCED] = { "store_is_domain_introduced", false, NULL },
    [XS_RESUME] = { "store_resume", false, NULL },
    [XS_SET_TARGET] = { "store_set_target", false, NULL },
    [XS_RESET_WATCHES] = { "store_reset_watches", false, NULL },
    [XS_DIRECTORY_PART] = { "store_directory_part", true, "EIO" },
};

const char *point_store_name(uint32_t type)
{
    return type < XS_TYPE_COUNT ? store_rows[type].name : NULL;
}

const char *point_store_fault(uint32_t type)
{
    return type < XS_TYPE_COUNT ? store_rows[type].fault : NULL;
}

/* ---- Names ----------------------------------------------------------------------------------- */

const char *point_name_find(const char *name)
{
    const char *found = NULL;

    find_op(name, &found);
    for (unsigned i = 0; !found && i < KERNEL_NR_OPS; i++)
        if (kernel_rows[i].kinds && !strcmp(kernel_rows[i].name, name))
            found = kernel_rows[i].name;
    for (uint32_t type = 0; !found && type < XS_TYPE_COUNT; type++)
        if (store_rows[type].name && !strcmp(store_rows[type].name, name))
            found = store_rows[type].name;
    return found;
}

unsigned point_name_kinds(const char *at)
{
    const struct hv_op *op;
    const char *found;

    if (!at)
        return (1u << NR_POINT_KINDS) - 1;
    for (unsigned i = 0; i < KERNEL_NR_OPS; i++)
        if (kernel_rows[i].name == at)
            return kernel_rows[i].kinds;
    for (uint32_t type = 0; type < XS_TYPE_COUNT; type++)
        if (store_rows[type].name == at)
            return 1u << POINT_STORE;
    op = find_op(at, &found);
    return 1u << POINT_CALL | (op && op->flags & HV_OP_STATUS ? 1u << POINT_ELEMENT : 0);
}

/* ---- Points ---------------------------------------------------------------------------------- */

void point_of_hypercall(struct point *point, const struct hv_point *p)
{
    *point = (struct point){
        .kind = p->element ? POINT_ELEMENT : POINT_CALL,
        .at = point_command_name(p->op, p->cmd),
        .domain = p->caller,
        .peer = p->peer,
        .ref = p->ref,
        .index = p->index,
        .count = p->count,
        .writable = p->writable,
    };
}

void point_of_kernel(struct point *point, const struct kernel_point *p)
{
    const struct kernel_ioctl *row;

    *point = (struct point){
        .kind = p->op >= KERNEL_UNMAP ? POINT_KERNEL : POINT_DEVICE,
        .at = kernel_rows[p->op].name,
        .device = p->dev ? p->dev->name : NULL,
        .domain = kernel_domid(p->kernel),
        .peer = DOMID_INVALID,
        .ref = UINT32_MAX,
        .op = p->op,
    };
    if (p->op == KERNEL_IOCTL) {
        point->ioctl_nr = (unsigned)p->args[0];
        row = point->device ? kernel_ioctl_find(point->device, point->ioctl_nr) : NULL;
        point->ioctl = row ? row->name : NULL;
    }
    if (p->op == KERNEL_MMAP)
        point->writable = p->args[2] & 2;       /* PROT_WRITE */
    if (p->op == KERNEL_OPEN)
        point->writable = p->args[0] & 3;       /* not O_RDONLY */
}

void point_of_store(struct point *point, uint32_t type, domid_t domain, const char *path,
                    char *room, size_t size)
{
    *point = (struct point){
        .kind = POINT_STORE, .at = point_store_name(type), .domain = domain, .peer = DOMID_INVALID,
        .ref = UINT32_MAX, .path = type < XS_TYPE_COUNT && store_rows[type].has_path ? path : NULL,
    };
    if (!point->at)
        point->at = store_unknown;
    if (!point->path || *path == '/' || *path == '@')
        return;
    snprintf(room, size, "/local/domain/%u/%s", domain, path);
    point->path = room;
}
