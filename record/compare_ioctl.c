/* SPDX-License-Identifier: MIT */
/* Compares ioctls: translates their arguments to the model's numbers, and checks the answers. */
#include "compare_i.h"

#include <stdlib.h>
#include <string.h>

#include "ioctls.h"
#include "json_add.h"

/* An address at which no program has anything. */
#define NOWHERE 32u

/* A port of domain peer that the recorded one may bind to. */
static evtchn_port_t peer_port(struct comparison *c, domid_t peer)
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = c->world.self };

    if (!world_kernel(&c->world, peer) ||
        hv_event_channel_op(c->world.hv, peer, EVTCHNOP_alloc_unbound, &op))
        return 0;
    return op.port;
}

/* A field of numbers or of an array of them, changed by fn. */
static void change(json_object *in, const char *name, size_t i, uint32_t value)
{
    json_object *member;

    if (!json_object_object_get_ex(in, name, &member))
        return;
    if (json_object_is_type(member, json_type_array))
        json_object_array_put_idx(member, i, json_object_new_uint64(value));
    else
        json_add_uint(in, name, value);
}

/* Numbers of the record become those of the model. */
static void translate(struct comparison *c, const char *name, json_object *in, bool succeeded)
{
    if (!strcmp(name, "MAP_GRANT_REF")) {
        for (size_t i = 0; i < record_items(in, "domids"); i++)
            if ((domid_t)record_item(in, "domids", i) == c->world.self)
                change(in, "refs", i, model_ref(c, (uint32_t)record_item(in, "refs", i)));
    } else if (!strcmp(name, "SET_UNMAP_NOTIFY") || !strcmp(name, "UNBIND") ||
               !strcmp(name, "NOTIFY")) {
        change(in, "port", 0, model_port(c, (uint32_t)record_number(in, "port", 0)));
    } else if (!strcmp(name, "BIND_INTERDOMAIN")) {
        domid_t remote = (domid_t)record_number(in, "remote_domain", 0);
        uint32_t port = (uint32_t)record_number(in, "remote_port", 0);

        if (remote == c->world.self || remote == DOMID_SELF)
            change(in, "remote_port", 0, model_port(c, port));
        else if (succeeded)
            change(in, "remote_port", 0, peer_port(c, remote));
    }
}

/* What a successful ioctl answered; the model's numbers are learnt. */
static void compare_out(struct comparison *c, const char *name, json_object *recorded,
                        json_object *model)
{
    if (!strcmp(name, "ALLOC_GREF")) {
        for (size_t i = 0; i < record_items(recorded, "refs") && i < record_items(model, "refs");
             i++)
            learn_ref(c, (uint32_t)record_item(recorded, "refs", i),
                      (uint32_t)record_item(model, "refs", i));
        compare_numbers(c, "number of refs", (long long)record_items(recorded, "refs"),
                        (long long)record_items(model, "refs"));
    }
    json_object_object_foreach(recorded, member, value) {
        if (json_object_is_type(value, json_type_int))
            compare_numbers(c, member, json_object_get_int64(value),
                            record_number(model, member, -1));
    }
}

static bool binds(const char *name)
{
    return !strncmp(name, "BIND_", 5);
}

static void learn_bind(struct comparison *c, const char *name, json_object *original,
                       json_object *in, long recorded, long model)
{
    domid_t remote = (domid_t)record_number(original, "remote_domain", 0);

    if (recorded <= 0 || model <= 0)
        return;
    if (!strcmp(name, "BIND_VIRQ") || remote == DOMID_SELF)
        remote = c->world.self;
    learn_port(
        c, (uint32_t)recorded, (uint32_t)model, remote,
        strcmp(name, "BIND_INTERDOMAIN") ? 0 : (evtchn_port_t)record_number(in, "remote_port", 0));
}

void compare_ioctl(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = model_file_of(c, event);
    const char *name = record_text(event, "request");
    struct user_memory user = world_memory(&c->world);
    struct memory memory = { user.ops->read, user.ops->write, user.ctx };
    struct kreq req = model_request(c);
    json_object *original, *in = NULL, *out, *answered;
    const struct kernel_ioctl *row;
    unsigned number = (unsigned)record_number(event, "number", 0);
    uint64_t addr = COMPARE_ARGUMENT;
    long rc;

    row = f ? ioctl_by_name(f->device, name, &number) : NULL;
    /* An address that is in no mapping counts as the one above it, if there is one: which is not in
     * the record. */
    if (row && row->flags & KERNEL_IOCTL_ADDRESS && recorded >= 0 &&
        json_object_object_get_ex(event, "in", &original) &&
        !json_object_object_get_ex(original, "mapping", NULL))
        return;
    if (!row || !strcmp(name, "HYPERCALL") || !json_object_object_get_ex(event, "in", &original))
        return;             /* what hypercalls work on is not all in the record */
    memset(c->world.arena, 0, 4096);
    if (original && !strcmp(name, "GRANT_COPY")) {
        compare_copy(c, f->file, number, event, recorded);
        return;
    }
    if (!original)
        addr = NOWHERE;
    else if (json_object_deep_copy(original, &in, NULL) || ioctl_size(row, in) > ARENA_SIZE / 2)
        return;
    if (in) {
        translate(c, name, in, recorded >= 0);
        ioctl_put(row, &memory, addr, in, KERNEL_IN);
        if (row->flags & KERNEL_IOCTL_ADDRESS) {
            uint64_t vaddr = record_number(in, "mapping", 0) * MAPPING_STEP +
                             (uint64_t)record_number(in, "at", NOWHERE);

            memory.write(memory.ctx, addr, &vaddr, sizeof vaddr);
        }
    }
    rc = kernel_ioctl(f->file, number, addr, &req);
    free(req.fill.runs);
    rc = model_settle(c, rc, &req);
    if (binds(name)) {
        learn_bind(c, name, original, in, recorded, rc);
        compare_results(c, recorded > 0 ? 1 : recorded, rc > 0 ? 1 : rc);
    } else {
        compare_results(c, recorded, rc);
    }
    if (rc >= 0 && recorded >= 0 && json_object_object_get_ex(event, "out", &out) &&
        json_object_is_type(out, json_type_object)) {
        answered = ioctl_get(row, &memory, addr, KERNEL_OUT);
        if (answered)
            compare_out(c, name, out, answered);
        json_object_put(answered);
    }
    json_object_put(in);
}
