/* SPDX-License-Identifier: MIT */
#include "ioctls.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <gntsim/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#define MAX_COUNT 65536u
#define MAX_FIELDS 6

struct field {
    const char *name;
    unsigned offset, size;
    enum direction direction;
    unsigned stride;                /* 0: one number; else an array of as many as the field "count" says */
};

struct ioctl_row {
    const char *device, *name;
    unsigned request;
    int address_at;
    json_object *(*get)(const struct memory *memory, uint64_t arg, enum direction direction);
    int (*put)(const struct memory *memory, uint64_t arg, json_object *fields, enum direction direction);
    struct field fields[MAX_FIELDS];
};

/* ---- Bytes -------------------------------------------------------------------------------------- */

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
    const char *hex = json_object_is_type(text, json_type_string) ? json_object_get_string(text) : NULL;
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

/* ---- Fields ------------------------------------------------------------------------------------- */

static int read_number(const struct memory *memory, uint64_t at, unsigned size, uint64_t *value)
{
    *value = 0;
    return memory->read(memory->ctx, value, at, size);
}

static uint32_t count_of(const struct ioctl_row *row, const struct memory *memory, uint64_t arg)
{
    uint64_t count = 0;

    for (const struct field *f = row->fields; f->name; f++)
        if (!strcmp(f->name, "count"))
            read_number(memory, arg + f->offset, f->size, &count);
    return count > MAX_COUNT ? 0 : (uint32_t)count;
}

static json_object *get_fields(const struct ioctl_row *row, const struct memory *memory, uint64_t arg, enum direction direction)
{
    json_object *fields = json_object_new_object();
    uint32_t count = count_of(row, memory, arg);
    uint64_t value;

    for (const struct field *f = row->fields; f->name; f++) {
        if (f->direction != direction)
            continue;
        if (!f->stride) {
            if (read_number(memory, arg + f->offset, f->size, &value))
                goto fault;
            json_object_object_add(fields, f->name, json_object_new_uint64(value));
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

static int put_fields(const struct ioctl_row *row, const struct memory *memory, uint64_t arg, json_object *fields,
                      enum direction direction)
{
    int rc = 0;

    for (const struct field *f = row->fields; !rc && f->name; f++) {
        json_object *value;

        if (f->direction != direction || (int)f->offset == row->address_at)
            continue;
        if (!json_object_object_get_ex(fields, f->name, &value))
            return -EINVAL;
        if (!f->stride) {
            rc = put_number(memory, arg + f->offset, f->size, value);
            continue;
        }
        if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) > MAX_COUNT)
            return -EINVAL;
        for (size_t i = 0; !rc && i < json_object_array_length(value); i++)
            rc = put_number(memory, arg + f->offset + i * f->stride, f->size, json_object_array_get_idx(value, i));
    }
    return rc;
}

/* ---- Grant copy: segments behind a pointer, and what they copy from or to behind others --------------- */

typedef struct ioctl_gntdev_grant_copy_segment segment;

static int read_segment(const struct memory *memory, uint64_t arg, uint32_t i, segment *s, uint64_t *at)
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

static json_object *json_end(bool foreign, uint32_t domid, uint32_t ref, uint32_t offset, json_object *data)
{
    json_object *end = json_object_new_object();

    if (foreign) {
        json_object_object_add(end, "domid", json_object_new_uint64(domid));
        json_object_object_add(end, "ref", json_object_new_uint64(ref));
        json_object_object_add(end, "offset", json_object_new_uint64(offset));
    } else {
        json_object_object_add(end, "data", data);
    }
    return end;
}

static json_object *get_copy(const struct memory *memory, uint64_t arg, enum direction direction)
{
    json_object *fields = json_object_new_object(), *list = json_object_new_array();
    uint64_t at;
    segment s;
    int rc;

    json_object_object_add(fields, "segments", list);
    for (uint32_t i = 0; !(rc = read_segment(memory, arg, i, &s, &at)); i++) {
        json_object *one = json_object_new_object();
        bool from_grant = s.flags & GNTCOPY_source_gref, to_grant = s.flags & GNTCOPY_dest_gref;

        if (direction == IN) {
            json_object_object_add(one, "flags", json_object_new_uint64(s.flags));
            json_object_object_add(one, "len", json_object_new_uint64(s.len));
            json_object_object_add(one, "source", json_end(from_grant, s.source.foreign.domid, s.source.foreign.ref, s.source.foreign.offset,
                                                           from_grant ? NULL : json_data(memory, (uintptr_t)s.source.virt, s.len)));
            json_object_object_add(one, "dest", json_end(to_grant, s.dest.foreign.domid, s.dest.foreign.ref, s.dest.foreign.offset, NULL));
        } else {
            json_object_object_add(one, "status", json_object_new_int(s.status));
            if (!to_grant)
                json_object_object_add(one, "data", json_data(memory, (uintptr_t)s.dest.virt, s.len));
        }
        json_object_array_add(list, one);
    }
    if (rc == -ENOENT)
        return fields;
    json_object_put(fields);
    return NULL;
}

static int put_copy(const struct memory *memory, uint64_t arg, json_object *fields, enum direction direction)
{
    json_object *list, *one, *value;
    unsigned char bytes[UINT16_MAX];
    uint64_t at;
    segment s;
    long size;

    if (direction == IN || !json_object_object_get_ex(fields, "segments", &list) || !json_object_is_type(list, json_type_array))
        return -EINVAL;
    for (uint32_t i = 0; i < json_object_array_length(list); i++) {
        one = json_object_array_get_idx(list, i);
        if (read_segment(memory, arg, i, &s, &at))
            return -EFAULT;
        if (!json_object_object_get_ex(one, "status", &value) || !json_object_is_type(value, json_type_int))
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

/* ---- Hypercalls --------------------------------------------------------------------------------- */

static const uint16_t grant_sizes[] = {
    [GNTTABOP_map_grant_ref] = sizeof(struct gnttab_map_grant_ref),
    [GNTTABOP_unmap_grant_ref] = sizeof(struct gnttab_unmap_grant_ref),
    [GNTTABOP_setup_table] = sizeof(struct gnttab_setup_table),
    [GNTTABOP_dump_table] = sizeof(struct gnttab_dump_table),
    [GNTTABOP_transfer] = sizeof(struct gnttab_transfer),
    [GNTTABOP_copy] = sizeof(struct gnttab_copy),
    [GNTTABOP_query_size] = sizeof(struct gnttab_query_size),
    [GNTTABOP_unmap_and_replace] = sizeof(struct gnttab_unmap_and_replace),
    [GNTTABOP_set_version] = sizeof(struct gnttab_set_version),
    [GNTTABOP_get_status_frames] = sizeof(struct gnttab_get_status_frames),
    [GNTTABOP_get_version] = sizeof(struct gnttab_get_version),
    [GNTTABOP_swap_grant_ref] = sizeof(struct gnttab_swap_grant_ref),
    [GNTTABOP_cache_flush] = sizeof(struct gnttab_cache_flush),
};

/* The array that a grant table or event channel hypercall works on: its size, 0 if it has none. */
static size_t hypercall_data(const struct privcmd_hypercall *call, uint64_t *at)
{
    *at = call->arg[1];
    if (call->op == __HYPERVISOR_event_channel_op)
        return sizeof(struct evtchn_status);
    if (call->op != __HYPERVISOR_grant_table_op || call->arg[0] >= sizeof grant_sizes / sizeof *grant_sizes || call->arg[2] > 64)
        return 0;
    return grant_sizes[call->arg[0]] * call->arg[2];
}

static json_object *get_hypercall(const struct memory *memory, uint64_t arg, enum direction direction)
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
    if (direction == IN) {
        json_object_object_add(fields, "op", json_object_new_uint64(call.op));
        if (call.op == __HYPERVISOR_event_channel_op || call.op == __HYPERVISOR_grant_table_op)
            json_object_object_add(fields, "cmd", json_object_new_uint64(call.arg[0]));
        if (call.op == __HYPERVISOR_grant_table_op)
            json_object_object_add(fields, "count", json_object_new_uint64(call.arg[2]));
    }
    if (size)
        json_object_object_add(fields, direction == IN ? "before" : "after", json_data(memory, at, size));
    return fields;
}

static int put_hypercall(const struct memory *memory, uint64_t arg, json_object *fields, enum direction direction)
{
    struct privcmd_hypercall call;
    unsigned char bytes[65536];
    json_object *after;
    uint64_t at;
    long size;

    if (direction == IN)
        return -EINVAL;
    if (memory->read(memory->ctx, &call, arg, sizeof call))
        return -EFAULT;
    if (!hypercall_data(&call, &at) || !json_object_object_get_ex(fields, "after", &after) || !after)
        return 0;
    size = bytes_of_json(after, bytes, sizeof bytes);
    return size < 0 ? -EINVAL : memory->write(memory->ctx, at, bytes, (size_t)size);
}

/* ---- The table ---------------------------------------------------------------------------------- */

static const struct ioctl_row rows[] = {
    { "gntdev", "MAP_GRANT_REF", IOCTL_GNTDEV_MAP_GRANT_REF, -1, NULL, NULL, {
        { "count", 0, 4, IN, 0 }, { "index", 8, 8, OUT, 0 }, { "domids", 16, 4, IN, 8 }, { "refs", 20, 4, IN, 8 } } },
    { "gntdev", "UNMAP_GRANT_REF", IOCTL_GNTDEV_UNMAP_GRANT_REF, -1, NULL, NULL, {
        { "index", 0, 8, IN, 0 }, { "count", 8, 4, IN, 0 } } },
    { "gntdev", "GET_OFFSET_FOR_VADDR", IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, 0, NULL, NULL, {
        { "vaddr", 0, 8, IN, 0 }, { "offset", 8, 8, OUT, 0 }, { "count", 16, 4, OUT, 0 } } },
    { "gntdev", "SET_MAX_GRANTS", IOCTL_GNTDEV_SET_MAX_GRANTS, -1, NULL, NULL, { { "count", 0, 4, IN, 0 } } },
    { "gntdev", "SET_UNMAP_NOTIFY", IOCTL_GNTDEV_SET_UNMAP_NOTIFY, -1, NULL, NULL, {
        { "index", 0, 8, IN, 0 }, { "action", 8, 4, IN, 0 }, { "port", 12, 4, IN, 0 } } },
    { "gntdev", "GRANT_COPY", IOCTL_GNTDEV_GRANT_COPY, -1, get_copy, put_copy, { { 0 } } },
    { "gntalloc", "ALLOC_GREF", IOCTL_GNTALLOC_ALLOC_GREF, -1, NULL, NULL, {
        { "domid", 0, 2, IN, 0 }, { "flags", 2, 2, IN, 0 }, { "count", 4, 4, IN, 0 }, { "index", 8, 8, OUT, 0 },
        { "refs", 16, 4, OUT, 4 } } },
    { "gntalloc", "DEALLOC_GREF", IOCTL_GNTALLOC_DEALLOC_GREF, -1, NULL, NULL, {
        { "index", 0, 8, IN, 0 }, { "count", 8, 4, IN, 0 } } },
    { "gntalloc", "SET_UNMAP_NOTIFY", IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, -1, NULL, NULL, {
        { "index", 0, 8, IN, 0 }, { "action", 8, 4, IN, 0 }, { "port", 12, 4, IN, 0 } } },
    { "evtchn", "BIND_VIRQ", IOCTL_EVTCHN_BIND_VIRQ, -1, NULL, NULL, { { "virq", 0, 4, IN, 0 } } },
    { "evtchn", "BIND_INTERDOMAIN", IOCTL_EVTCHN_BIND_INTERDOMAIN, -1, NULL, NULL, {
        { "remote_domain", 0, 4, IN, 0 }, { "remote_port", 4, 4, IN, 0 } } },
    { "evtchn", "BIND_UNBOUND_PORT", IOCTL_EVTCHN_BIND_UNBOUND_PORT, -1, NULL, NULL, { { "remote_domain", 0, 4, IN, 0 } } },
    { "evtchn", "UNBIND", IOCTL_EVTCHN_UNBIND, -1, NULL, NULL, { { "port", 0, 4, IN, 0 } } },
    { "evtchn", "NOTIFY", IOCTL_EVTCHN_NOTIFY, -1, NULL, NULL, { { "port", 0, 4, IN, 0 } } },
    { "evtchn", "RESET", IOCTL_EVTCHN_RESET, -1, NULL, NULL, { { 0 } } },
    { "evtchn", "RESTRICT_DOMID", IOCTL_EVTCHN_RESTRICT_DOMID, -1, NULL, NULL, { { "domid", 0, 2, IN, 0 } } },
    { "privcmd", "HYPERCALL", IOCTL_PRIVCMD_HYPERCALL, -1, get_hypercall, put_hypercall, { { 0 } } },
    { "privcmd", "RESTRICT", IOCTL_PRIVCMD_RESTRICT, -1, NULL, NULL, { { "domid", 0, 2, IN, 0 } } },
    /* Of any other only the number and the result are noted. */
    { "gntdev", "other", 0, -1, NULL, NULL, { { 0 } } },
    { "gntalloc", "other", 0, -1, NULL, NULL, { { 0 } } },
    { "evtchn", "other", 0, -1, NULL, NULL, { { 0 } } },
    { "privcmd", "other", 0, -1, NULL, NULL, { { 0 } } },
    { "hypercall", "other", 0, -1, NULL, NULL, { { 0 } } },
};

const struct ioctl_row *ioctl_find(const char *device, unsigned request)
{
    for (const struct ioctl_row *row = rows; row < rows + sizeof rows / sizeof *rows; row++)
        if (!strcmp(row->device, device) && (row->request == request || !row->request))
            return row;
    return NULL;
}

const struct ioctl_row *ioctl_by_name(const char *device, const char *name, unsigned *request)
{
    for (const struct ioctl_row *row = rows; row < rows + sizeof rows / sizeof *rows; row++)
        if (!strcmp(row->device, device) && !strcmp(row->name, name)) {
            if (row->request)
                *request = row->request;
            return row;
        }
    return NULL;
}

const char *ioctl_name(const struct ioctl_row *row)
{
    return row->name;
}

size_t ioctl_size(const struct ioctl_row *row, json_object *in)
{
    size_t size = _IOC_SIZE(row->request);
    json_object *count;
    uint64_t n = 0;

    if (json_object_object_get_ex(in, "count", &count))
        n = json_object_get_uint64(count);
    for (const struct field *f = row->fields; f->name; f++)
        if (f->stride && f->offset + n * f->stride + 8 > size && n <= MAX_COUNT)
            size = f->offset + n * f->stride + 8;
    return size;
}

bool ioctl_fails_half_way(const struct ioctl_row *row)
{
    return row->get == get_copy;
}

int ioctl_address_at(const struct ioctl_row *row)
{
    return row->address_at;
}

json_object *ioctl_get(const struct ioctl_row *row, const struct memory *memory, uint64_t arg, enum direction direction)
{
    return row->get ? row->get(memory, arg, direction) : get_fields(row, memory, arg, direction);
}

int ioctl_put(const struct ioctl_row *row, const struct memory *memory, uint64_t arg, json_object *fields, enum direction direction)
{
    return row->put ? row->put(memory, arg, fields, direction) : put_fields(row, memory, arg, fields, direction);
}
