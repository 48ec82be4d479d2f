/* SPDX-License-Identifier: MIT */
/* Turns the arguments of the devices' ioctls into JSON and back. */
#include "ioctls.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <gntsim/kernel.h>
#include <gntsim/ops.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#include "json_add.h"

#define MAX_COUNT 65536u

/* ---- Bytes ----------------------------------------------------------------------------------- */

json_object *json_bytes(const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    char *text = malloc(2 * size + 1);
    json_object *json;

    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i++)
        sprintf(text + 2 * i, "%02x", p[i]);
    json = json_object_new_string_len(text, (int)(2 * size));
    free(text);
    return json;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long bytes_of_json(json_object *text, void *bytes, size_t size)
{
    const char *hex = json_object_is_type(text, json_type_string)
        ? json_object_get_string(text) : NULL;
    size_t length = hex ? strlen(hex) : 1;
    unsigned char *p = bytes;

    if (length % 2 || length / 2 > size)
        return -1;
    for (size_t i = 0; i < length / 2; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        p[i] = (unsigned char)(high << 4 | low);
    }
    return (long)(length / 2);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static int read_number(const struct memory *memory, uint64_t at, unsigned size, uint64_t *value)
{
    *value = 0;
    return memory->read(memory->ctx, value, at, size);
}

static uint32_t count_of(const struct kernel_ioctl *row, const struct memory *memory, uint64_t arg)
{
    uint64_t count = 0;

    for (const struct kernel_ioctl_field *f = row->fields; f->name; f++)
        if (!strcmp(f->name, "count"))
            read_number(memory, arg + f->offset, f->size, &count);
    return count > MAX_COUNT ? 0 : (uint32_t)count;
}

static json_object *get_fields(const struct kernel_ioctl *row, const struct memory *memory,
                               uint64_t arg, enum kernel_direction direction)
{
    json_object *fields = json_object_new_object();
    uint32_t count = count_of(row, memory, arg);
    uint64_t value;

    for (const struct kernel_ioctl_field *f = row->fields; f->name; f++) {
        if (f->direction != direction)
            continue;
        if (!f->stride) {
            if (read_number(memory, arg + f->offset, f->size, &value))
                goto fault;
            json_add_uint(fields, f->name, value);
            continue;
        }
        json_object *array = json_object_new_array();

        json_object_object_add(fields, f->name, array);
        for (uint32_t i = 0; i < count; i++) {
            if (read_number(memory, arg + f->offset + i * f->stride, f->size, &value))
                goto fault;
            json_object_array_add(array, json_object_new_uint64(value));
        }
    }
    return fields;

fault:
    json_object_put(fields);
    return NULL;
}

static int put_number(const struct memory *memory, uint64_t at, unsigned size, json_object *json)
{
    uint64_t value;

    if (!json_object_is_type(json, json_type_int))
        return -EINVAL;
    value = json_object_get_uint64(json);
    return memory->write(memory->ctx, at, &value, size);
}

static int put_fields(const struct kernel_ioctl *row, const struct memory *memory, uint64_t arg,
                      json_object *fields, enum kernel_direction direction)
{
    int rc = 0;

    for (const struct kernel_ioctl_field *f = row->fields; !rc && f->name; f++) {
        json_object *value;

        if (f->direction != direction || (row->flags & KERNEL_IOCTL_ADDRESS && !f->offset))
            continue;
        if (!json_object_object_get_ex(fields, f->name, &value))
            return -EINVAL;
        if (!f->stride) {
            rc = put_number(memory, arg + f->offset, f->size, value);
            continue;
        }
        if (!json_object_is_type(value, json_type_array) ||
            json_object_array_length(value) > MAX_COUNT)
            return -EINVAL;
        for (size_t i = 0; !rc && i < json_object_array_length(value); i++)
            rc = put_number(memory, arg + f->offset + i * f->stride, f->size,
                            json_object_array_get_idx(value, i));
    }
    return rc;
}

/* ---- Grant copy: segments behind a pointer, and what they copy from or to behind others ------ */

typedef struct ioctl_gntdev_grant_copy_segment segment;

static int read_segment(const struct memory *memory, uint64_t arg, uint32_t i, segment *s,
                        uint64_t *at)
{
    struct ioctl_gntdev_grant_copy op;

    if (memory->read(memory->ctx, &op, arg, sizeof op))
        return -EFAULT;
    if (i >= op.count || op.count > MAX_COUNT)
        return -ENOENT;
    *at = (uintptr_t)op.segments + i * sizeof *s;
    return memory->read(memory->ctx, s, *at, sizeof *s);
}

static json_object *json_data(const struct memory *memory, uint64_t at, size_t size)
{
    unsigned char bytes[UINT16_MAX];

    return memory->read(memory->ctx, bytes, at, size) ? NULL : json_bytes(bytes, size);
}

static json_object *json_end(bool foreign, uint32_t domid, uint32_t ref, uint32_t offset,
                             json_object *data)
{
    json_object *end = json_object_new_object();

    if (foreign) {
        json_add_uint(end, "domid", domid);
        json_add_uint(end, "ref", ref);
        json_add_uint(end, "offset", offset);
    } else {
        json_object_object_add(end, "data", data);
    }
    return end;
}

static json_object *get_copy(const struct memory *memory, uint64_t arg,
                             enum kernel_direction direction)
{
    json_object *fields = json_object_new_object(), *list = json_object_new_array();
    uint64_t at;
    segment s;
    int rc;

    json_object_object_add(fields, "segments", list);
    for (uint32_t i = 0; !(rc = read_segment(memory, arg, i, &s, &at)); i++) {
        json_object *one = json_object_new_object();
        bool from_grant = s.flags & GNTCOPY_source_gref, to_grant = s.flags & GNTCOPY_dest_gref;

        if (direction == KERNEL_IN) {
            json_add_uint(one, "flags", s.flags);
            json_add_uint(one, "len", s.len);
            json_object_object_add(
                one, "source",
                json_end(from_grant, s.source.foreign.domid, s.source.foreign.ref,
                         s.source.foreign.offset,
                         from_grant ? NULL : json_data(memory, (uintptr_t)s.source.virt, s.len)));
            json_object_object_add(one, "dest",
                                   json_end(to_grant, s.dest.foreign.domid, s.dest.foreign.ref,
                                            s.dest.foreign.offset, NULL));
        } else {
            json_add_int(one, "status", s.status);
            if (!to_grant)
                json_object_object_add(one, "data",
                                       json_data(memory, (uintptr_t)s.dest.virt, s.len));
        }
        json_object_array_add(list, one);
    }
    if (rc == -ENOENT)
        return fields;
    json_object_put(fields);
    return NULL;
}

static int put_copy(const struct memory *memory, uint64_t arg, json_object *fields,
                    enum kernel_direction direction)
{
    json_object *list, *one, *value;
    unsigned char bytes[UINT16_MAX];
    uint64_t at;
    segment s;
    long size;

    if (direction == KERNEL_IN || !json_object_object_get_ex(fields, "segments", &list) ||
        !json_object_is_type(list, json_type_array))
        return -EINVAL;
    for (uint32_t i = 0; i < json_object_array_length(list); i++) {
        one = json_object_array_get_idx(list, i);
        if (read_segment(memory, arg, i, &s, &at))
            return -EFAULT;
        if (!json_object_object_get_ex(one, "status", &value) ||
            !json_object_is_type(value, json_type_int))
            return -EINVAL;
        s.status = (int16_t)json_object_get_int(value);
        if (memory->write(memory->ctx, at, &s, sizeof s))
            return -EFAULT;
        if (!json_object_object_get_ex(one, "data", &value) || !value)
            continue;
        size = bytes_of_json(value, bytes, sizeof bytes);
        if (size < 0)
            return -EINVAL;
        if (memory->write(memory->ctx, (uintptr_t)s.dest.virt, bytes, (size_t)size))
            return -EFAULT;
    }
    return 0;
}

/* ---- Hypercalls ------------------------------------------------------------------------------ */

/* The array that a grant table or event channel hypercall works on: its size, 0 if it has none. */
static size_t hypercall_data(const struct privcmd_hypercall *call, uint64_t *at)
{
    const struct hv_op *op;

    *at = call->arg[1];
    if (call->op == __HYPERVISOR_event_channel_op)
        return sizeof(struct evtchn_status);     /* the largest of them */
    op = call->op == __HYPERVISOR_grant_table_op
           ? hv_op_find(__HYPERVISOR_grant_table_op, call->arg[0])
           : NULL;
    return op && call->arg[2] <= 64 ? op->size * call->arg[2] : 0;
}

static json_object *get_hypercall(const struct memory *memory, uint64_t arg,
                                  enum kernel_direction direction)
{
    json_object *fields = json_object_new_object();
    struct privcmd_hypercall call;
    size_t size;
    uint64_t at;

    if (memory->read(memory->ctx, &call, arg, sizeof call)) {
        json_object_put(fields);
        return NULL;
    }
    size = hypercall_data(&call, &at);
    if (direction == KERNEL_IN) {
        json_add_uint(fields, "op", call.op);
        if (call.op == __HYPERVISOR_event_channel_op || call.op == __HYPERVISOR_grant_table_op)
            json_add_uint(fields, "cmd", call.arg[0]);
        if (call.op == __HYPERVISOR_grant_table_op)
            json_add_uint(fields, "count", call.arg[2]);
    }
    if (size)
        json_object_object_add(fields, direction == KERNEL_IN ? "before" : "after",
                               json_data(memory, at, size));
    return fields;
}

static int put_hypercall(const struct memory *memory, uint64_t arg, json_object *fields,
                         enum kernel_direction direction)
{
    struct privcmd_hypercall call;
    unsigned char bytes[65536];
    json_object *after;
    uint64_t at;
    long size;

    if (direction == KERNEL_IN)
        return -EINVAL;
    if (memory->read(memory->ctx, &call, arg, sizeof call))
        return -EFAULT;
    if (!hypercall_data(&call, &at) || !json_object_object_get_ex(fields, "after", &after) ||
        !after)
        return 0;
    size = bytes_of_json(after, bytes, sizeof bytes);
    return size < 0 ? -EINVAL : memory->write(memory->ctx, at, bytes, (size_t)size);
}

/* ---- Which of them it is --------------------------------------------------------------------- */

static const struct {
    const char *device;
    unsigned cmd;
    json_object *(*get)(const struct memory *memory, uint64_t arg, enum kernel_direction direction);
    int (*put)(const struct memory *memory, uint64_t arg, json_object *fields,
               enum kernel_direction direction);
} with_more_than_numbers[] = {
    { "gntdev", IOCTL_GNTDEV_GRANT_COPY, get_copy, put_copy },
    { "privcmd", IOCTL_PRIVCMD_HYPERCALL, get_hypercall, put_hypercall },
};
#define NR_MORE (sizeof with_more_than_numbers / sizeof *with_more_than_numbers)

/* NR_MORE: numbers are all. */
static size_t more_of(const struct kernel_ioctl *row)
{
    size_t i = 0;

    while (i < NR_MORE && (row->cmd != with_more_than_numbers[i].cmd ||
                           strcmp(row->device, with_more_than_numbers[i].device)))
        i++;
    return i;
}

/* Of any that are not recorded only the number and the result are noted. */
static const struct kernel_ioctl other = { .device = "",
                                           .name = "other",
                                           .fields = &(struct kernel_ioctl_field){ .name = NULL } };

static bool is_known(const char *device)
{
    return kernel_chardev_find(device) || !strcmp(device, "hypercall");
}

const struct kernel_ioctl *ioctl_find(const char *device, unsigned request)
{
    const struct kernel_ioctl *row = kernel_ioctl_find(device, request);

    return row && row->fields ? row : is_known(device) ? &other : NULL;
}

const struct kernel_ioctl *ioctl_by_name(const char *device, const char *name, unsigned *request)
{
    const struct kernel_ioctl *row = kernel_ioctl_named(device, name);

    if (!strcmp(name, other.name))
        return is_known(device) ? &other : NULL;
    if (row && row->fields)
        *request = row->cmd;
    return row && row->fields ? row : NULL;
}

size_t ioctl_size(const struct kernel_ioctl *row, json_object *in)
{
    size_t size = _IOC_SIZE(row->cmd);
    json_object *count;
    uint64_t n = 0;

    if (json_object_object_get_ex(in, "count", &count))
        n = json_object_get_uint64(count);
    for (const struct kernel_ioctl_field *f = row->fields; f->name; f++)
        if (f->stride && f->offset + n * f->stride + 8 > size && n <= MAX_COUNT)
            size = f->offset + n * f->stride + 8;
    return size;
}

bool ioctl_fails_half_way(const struct kernel_ioctl *row)
{
    size_t more = more_of(row);

    return more < NR_MORE && with_more_than_numbers[more].get == get_copy;
}

json_object *ioctl_get(const struct kernel_ioctl *row, const struct memory *memory, uint64_t arg,
                       enum kernel_direction direction)
{
    size_t more = more_of(row);

    return more < NR_MORE ? with_more_than_numbers[more].get(memory, arg, direction)
                          : get_fields(row, memory, arg, direction);
}

int ioctl_put(const struct kernel_ioctl *row, const struct memory *memory, uint64_t arg,
              json_object *fields, enum kernel_direction direction)
{
    size_t more = more_of(row);

    return more < NR_MORE ? with_more_than_numbers[more].put(memory, arg, fields, direction)
                          : put_fields(row, memory, arg, fields, direction);
}
