/* SPDX-License-Identifier: MIT */
/* Collects from the tables the names that `gntsim names` prints. */
#include "names.h"

#include <string.h>

#include <gntsim/ioctls.h>
#include <gntsim/kernel.h>
#include <gntsim/ops.h>
#include <xen/io/xs_wire.h>

#include "adversary.h"
#include "control_dump.h"
#include "device_kinds.h"
#include "flag_names.h"
#include "json_add.h"
#include "points.h"

static void add_text(json_object *row, const char *key, const char *value)
{
    if (value)
        json_add_text(row, key, value);
}

static json_object *words(const char *const *list)
{
    json_object *result = json_object_new_array();

    while (*list)
        json_object_array_add(result, json_object_new_string(*list++));
    return result;
}

static void add_point(json_object *list, const char *name, unsigned flags, const char *fault)
{
    json_object *row = json_object_new_object(), *kinds = json_object_new_array();
    bool batch = (flags & HV_OP_ARRAY) && (flags & HV_OP_STATUS);

    for (unsigned i = 0; i < NR_POINT_KINDS; i++)
        if (point_name_kinds(name) & 1u << i)
            json_object_array_add(kinds, json_object_new_string(point_kinds[i]));
    add_text(row, "name", name);
    json_object_object_add(row, "kinds", kinds);
    json_add_bool(row, "batch", batch);
    add_text(row, "fault", fault);
    json_object_array_add(list, row);
}

static json_object *points(void)
{
    json_object *list = json_object_new_array();

    for (const struct hv_hypercall *call = hv_hypercalls; call->name; call++) {
        for (const struct hv_op *op = call->ops; op < call->ops + call->nr_ops; op++)
            if (op->name)
                add_point(list, op->name, op->flags, op->fault);
        add_point(list, call->name, 0, call->fault);
    }
    for (unsigned op = 0; op < KERNEL_NR_OPS; op++)
        if (point_name_kinds(point_kernel_op_name((enum kernel_op)op)))
            add_point(list, point_kernel_op_name((enum kernel_op)op), 0, NULL);
    for (uint32_t type = 0; type < XS_TYPE_COUNT; type++)
        if (point_store_name(type))
            add_point(list, point_store_name(type), 0, point_store_fault(type));
    return list;
}

static json_object *ioctls(const char *device)
{
    json_object *list = json_object_new_array();

    for (const struct kernel_ioctl *ioctl = kernel_ioctls; ioctl->device; ioctl++) {
        json_object *row;

        if (strcmp(ioctl->device, device))
            continue;
        row = json_object_new_object();
        add_text(row, "name", ioctl->name);
        add_text(row, "fault", ioctl->fault);
        json_object_array_add(list, row);
    }
    return list;
}

static json_object *devices(void)
{
    json_object *tables = json_object_new_object();

    for (const struct chardev *const *device = kernel_chardevs; *device; device++)
        json_object_object_add(tables, (*device)->name, ioctls((*device)->name));
    return tables;
}

static json_object *statuses(void)
{
    json_object *list = json_object_new_array();

    for (long status = 0; hv_status_name(status); status--)
        json_object_array_add(list, json_object_new_string(hv_status_name(status)));
    return list;
}

static json_object *columns(void)
{
    json_object *tables = json_object_new_object();

    for (const struct dump_table *table = dump_tables; table->name; table++)
        json_object_object_add(tables, table->name, words(table->columns));
    return tables;
}

static json_object *kinds_of_devices(void)
{
    json_object *list = json_object_new_array();

    for (const struct device_kind *kind = device_kinds; kind->name; kind++)
        if (device_kind_find(kind->name, NULL) == kind)
            json_object_array_add(list, json_object_new_string(kind->name));
    return list;
}

json_object *names_as_json(void)
{
    json_object *result = json_object_new_object();

    json_object_object_add(result, "points", points());
    json_object_object_add(result, "devices", devices());
    json_object_object_add(result, "statuses", statuses());
    json_object_object_add(result, "limits", words(limit_names));
    json_object_object_add(result, "adversaries", words(adversary_kinds));
    json_object_object_add(result, "device_kinds", kinds_of_devices());
    json_object_object_add(result, "counters", words(dump_counters));
    json_object_object_add(result, "columns", columns());
    json_object_object_add(result, "flags", flag_names());
    return result;
}
