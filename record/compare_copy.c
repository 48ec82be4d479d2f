/* SPDX-License-Identifier: MIT */
/* GRANT_COPY: which segments are copied and which are refused. What is in the pages is not in a record. */
#include "compare_i.h"

#include <errno.h>
#include <string.h>

#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

#include "ioctls.h"

#define SEGMENTS (COMPARE_ARGUMENT + sizeof(struct ioctl_gntdev_grant_copy))

typedef struct ioctl_gntdev_grant_copy_segment segment;

static json_object *segment_of(json_object *fields, size_t i)
{
    json_object *list;

    if (!json_object_object_get_ex(fields, "segments", &list) || !json_object_is_type(list, json_type_array))
        return NULL;
    return json_object_array_get_idx(list, i);
}

static bool is_local(json_object *end)
{
    return !json_object_object_get_ex(end, "ref", NULL);
}

static int recorded_status(json_object *out, size_t i)
{
    json_object *one = segment_of(out, i);

    return one ? (int)record_number(one, "status", GNTST_okay) : GNTST_okay;
}

/* A page of another domain was there if it could be copied. If not, nobody knows what that domain had done. */
static uint32_t foreign_ref(struct comparison *c, json_object *end, bool copied)
{
    domid_t domid = (domid_t)record_number(end, "domid", 0);
    uint32_t ref = (uint32_t)record_number(end, "ref", 0);

    if (domid == c->world.self || domid == DOMID_SELF)
        return model_ref(c, ref);
    if (copied)
        world_grant(&c->world, domid, ref);
    return ref;
}

static bool is_known(const struct comparison *c, json_object *end)
{
    domid_t domid = (domid_t)record_number(end, "domid", 0);

    return !is_local(end) && (domid == c->world.self || domid == DOMID_SELF);
}

/* Segment i with its local ends at *next, which goes on. False: there is no room, or it is not all in the record. */
static bool put_segment(struct comparison *c, const struct memory *memory, json_object *one, size_t i, bool copied, uint64_t *next)
{
    json_object *source, *dest, *data;
    unsigned char bytes[UINT16_MAX];
    segment s = { .flags = (uint16_t)record_number(one, "flags", 0), .len = (uint16_t)record_number(one, "len", 0) };

    if (!json_object_object_get_ex(one, "source", &source) || !json_object_object_get_ex(one, "dest", &dest))
        return false;
    if (is_local(source)) {
        if (!json_object_object_get_ex(source, "data", &data) || bytes_of_json(data, bytes, sizeof bytes) != s.len ||
            memory->write(memory->ctx, *next, bytes, s.len))
            return false;
        s.source.virt = (void *)(uintptr_t)*next;
        *next += s.len;
    } else {
        s.source.foreign = (typeof(s.source.foreign)){ .ref = foreign_ref(c, source, copied), .offset = (uint16_t)record_number(source, "offset", 0),
                                                       .domid = (domid_t)record_number(source, "domid", 0) };
    }
    if (is_local(dest)) {
        s.dest.virt = (void *)(uintptr_t)*next;
        *next += s.len;
    } else {
        s.dest.foreign = (typeof(s.dest.foreign)){ .ref = foreign_ref(c, dest, copied), .offset = (uint16_t)record_number(dest, "offset", 0),
                                                   .domid = (domid_t)record_number(dest, "domid", 0) };
    }
    return !memory->write(memory->ctx, SEGMENTS + i * sizeof s, &s, sizeof s);
}

/*
 * A refusal can have a cause that is not in the record: a page that its domain did not grant, an address of the caller in a
 * mapping of a grant. All others are as here.
 */
static bool can_be_judged(const struct comparison *c, json_object *one, int recorded)
{
    json_object *source, *dest;

    if (recorded == GNTST_okay)
        return true;
    return json_object_object_get_ex(one, "source", &source) && json_object_object_get_ex(one, "dest", &dest) && is_known(c, source) &&
           is_known(c, dest);
}

void compare_copy(struct comparison *c, struct file *file, unsigned request, json_object *event, long recorded)
{
    struct user_memory user = world_memory(&c->world);
    struct memory memory = { user.ops->read, user.ops->write, user.ctx };
    json_object *in = NULL, *out = NULL, *list = NULL;
    struct ioctl_gntdev_grant_copy op = { .segments = (void *)(uintptr_t)SEGMENTS };
    struct kreq req = model_request(c);
    uint64_t next;
    long rc;

    json_object_object_get_ex(event, "in", &in);
    json_object_object_get_ex(event, "out", &out);
    /* Which address was bad is not in the record. */
    if (recorded == -EFAULT || !in || !json_object_object_get_ex(in, "segments", &list) || !json_object_is_type(list, json_type_array))
        return;
    op.count = (uint32_t)json_object_array_length(list);
    next = SEGMENTS + op.count * sizeof(segment);
    memory.write(memory.ctx, COMPARE_ARGUMENT, &op, sizeof op);
    for (size_t i = 0; i < op.count; i++)
        if (!put_segment(c, &memory, segment_of(in, i), i, recorded >= 0 && recorded_status(out, i) == GNTST_okay, &next))
            return;
    rc = kernel_ioctl(file, request, COMPARE_ARGUMENT, &req);
    rc = model_settle(c, rc, &req);
    compare_results(c, recorded, rc);
    for (size_t i = 0; recorded >= 0 && rc >= 0 && i < op.count; i++) {
        segment s;

        if (!memory.read(memory.ctx, &s, SEGMENTS + i * sizeof s, sizeof s) && can_be_judged(c, segment_of(in, i), recorded_status(out, i)))
            compare_numbers(c, "status", recorded_status(out, i), s.status);
    }
}
