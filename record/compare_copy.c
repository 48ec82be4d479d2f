/* SPDX-License-Identifier: MIT */
/*
 * Compares grant copies: which segments were copied and which refused. A record does not hold the
 * pages' contents.
 */
#include "compare_i.h"

#include <errno.h>
#include <string.h>

#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

#include "ioctls.h"

#define SEGMENTS (COMPARE_ARGUMENT + sizeof(struct ioctl_gntdev_grant_copy))

typedef struct ioctl_gntdev_grant_copy_segment segment;
typedef typeof(((segment *)NULL)->source) segment_end;

static json_object *segment_of(json_object *fields, size_t i)
{
    json_object *list;

    if (!json_object_object_get_ex(fields, "segments", &list) ||
        !json_object_is_type(list, json_type_array))
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

static bool is_own(const struct comparison *c, json_object *end)
{
    domid_t domid = (domid_t)record_number(end, "domid", 0);

    return domid == c->world.self || domid == DOMID_SELF;
}

/* A page of another domain was there if it could be copied; if not, nobody knows why. */
static uint32_t ref_of(struct comparison *c, json_object *end, bool copied)
{
    uint32_t ref = (uint32_t)record_number(end, "ref", 0);

    if (is_own(c, end))
        return model_ref(c, ref);
    if (copied)
        world_grant(&c->world, (domid_t)record_number(end, "domid", 0), ref);
    return ref;
}

/* One end of a copy of len bytes; an address of the caller is *next, which goes on. */
static void put_end(struct comparison *c, json_object *json, uint16_t len, bool copied,
                    uint64_t *next, segment_end *end)
{
    if (is_local(json)) {
        end->virt = (void *)(uintptr_t)*next;
        *next += len;
    } else {
        end->foreign.ref = ref_of(c, json, copied);
        end->foreign.offset = (uint16_t)record_number(json, "offset", 0);
        end->foreign.domid = (domid_t)record_number(json, "domid", 0);
    }
}

/* Segment i. False: there is no room, or it is not all in the record. */
static bool put_segment(struct comparison *c, const struct memory *memory, json_object *one,
                        size_t i, bool copied, uint64_t *next)
{
    segment s = { .flags = (uint16_t)record_number(one, "flags", 0),
                  .len = (uint16_t)record_number(one, "len", 0) };
    json_object *source, *dest, *data;
    unsigned char bytes[UINT16_MAX];

    if (!json_object_object_get_ex(one, "source", &source) ||
        !json_object_object_get_ex(one, "dest", &dest))
        return false;
    if (is_local(source) && (!json_object_object_get_ex(source, "data", &data) ||
                             bytes_of_json(data, bytes, sizeof bytes) != s.len ||
                             memory->write(memory->ctx, *next, bytes, s.len)))
        return false;
    put_end(c, source, s.len, copied, next, &s.source);
    put_end(c, dest, s.len, copied, next, &s.dest);
    return !memory->write(memory->ctx, SEGMENTS + i * sizeof s, &s, sizeof s);
}

/*
 * A refusal can have a cause that is not in the record: a page that its domain did not grant, an
 * address of the caller in a mapping of a grant. All others are as here.
 */
static bool can_be_judged(const struct comparison *c, json_object *one, int recorded)
{
    json_object *source, *dest;

    if (recorded == GNTST_okay)
        return true;
    return json_object_object_get_ex(one, "source", &source) &&
           json_object_object_get_ex(one, "dest", &dest) && !is_local(source) && !is_local(dest) &&
           is_own(c, source) && is_own(c, dest);
}

void compare_copy(struct comparison *c, struct file *file, unsigned request, json_object *event,
                  long recorded)
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
    if (recorded == -EFAULT || !in || !json_object_object_get_ex(in, "segments", &list) ||
        !json_object_is_type(list, json_type_array))
        return;
    op.count = (uint32_t)json_object_array_length(list);
    next = SEGMENTS + op.count * sizeof(segment);
    memory.write(memory.ctx, COMPARE_ARGUMENT, &op, sizeof op);
    for (size_t i = 0; i < op.count; i++)
        if (!put_segment(c, &memory, segment_of(in, i), i,
                         recorded >= 0 && recorded_status(out, i) == GNTST_okay, &next))
            return;
    rc = kernel_ioctl(file, request, COMPARE_ARGUMENT, &req);
    rc = model_settle(c, rc, &req);
    compare_results(c, recorded, rc);
    for (size_t i = 0; recorded >= 0 && rc >= 0 && i < op.count; i++) {
        segment s;

        if (!memory.read(memory.ctx, &s, SEGMENTS + i * sizeof s, sizeof s) &&
            can_be_judged(c, segment_of(in, i), recorded_status(out, i)))
            compare_numbers(c, "status", recorded_status(out, i), s.status);
    }
}
