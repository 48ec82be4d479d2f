/* SPDX-License-Identifier: MIT */
/* Performs each kind of recorded input of the models. */
#include "replay_i.h"

#include <stdlib.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#include "adversary.h"
#include "control.h"
#include "verbs.h"

const struct replay_handler *replay_handler_of(const struct replay_handler *handlers, size_t nr,
                                               const char *op)
{
    for (size_t i = 0; op && i < nr; i++)
        if (!strcmp(handlers[i].op, op))
            return &handlers[i];
    return NULL;
}

static bool input_create(const struct replay_step *in)
{
    const char *profile = replay_text(in->args, "profile");
    struct domain_options options = {
        .profile = profile ? kernel_profile_find(profile) : NULL,
        .grant_frames = (int32_t)replay_number(in->args, "grant_frames"),
        .maptrack_frames = (int32_t)replay_number(in->args, "maptrack_frames"),
        .grant_version = (unsigned)replay_number(in->args, "grant_version"),
        .privcmd_unrestricted = replay_number(in->args, "privcmd_unrestricted"),
        .store = replay_number(in->args, "store"),
        .is_hvm = replay_number(in->args, "hvm"),
        .is_made = replay_number(in->args, "made"),
    };

    if (options.profile)
        machine_domain_create_with(&in->r->machine, in->id, &options, NULL);
    return options.profile;
}

static bool input_destroy(const struct replay_step *in)
{
    if (!in->d && !machine_domain_is_bare(&in->r->machine, in->id))
        return false;
    machine_domain_destroy(&in->r->machine, in->id);
    replay_orphan(in->r, in->id);
    return true;
}

static bool input_suspend(const struct replay_step *in)
{
    domid_t as = (domid_t)replay_number(in->args, "as");

    if (!in->d)
        return false;
    if (!machine_domain_suspend(&in->r->machine, in->id, as,
                                (unsigned)replay_number(in->args, "grant_version"), NULL))
        replay_rename(in->r, in->id, as);
    return true;
}

static bool input_process(const struct replay_step *in)
{
    const char *name = replay_text(in->args, "name");

    if (name)
        trace_process(&in->r->machine, (unsigned)in->r->machine.caller, name);
    return name;
}

static bool input_timers(const struct replay_step *in)
{
    if (in->d)
        clock_run_kernel(&in->r->machine, in->d);
    return in->d;
}

static bool input_upcall(const struct replay_step *in)
{
    if (in->d)
        machine_upcall(&in->r->machine, in->d);
    return in->d;
}

static bool input_steps(const struct replay_step *in)
{
    adversaries_settle(&in->r->machine);
    return true;
}

static bool move_frames(const struct replay_step *in, bool hold)
{
    void (*move)(struct hv *, uint64_t) = hold ? hv_frame_get : hv_frame_put;
    struct hv *hv = in->r->machine.hv;
    struct vma_run runs[1], *all;
    struct hv_frame_info info;
    bool possible = true;
    json_object *list;
    size_t nr;

    if (!json_object_object_get_ex(in->args, "runs", &list) ||
        !json_object_is_type(list, json_type_array))
        return false;
    nr = json_object_array_length(list);
    all = nr > 1 ? malloc(nr * sizeof *all) : runs;
    if (!all)
        return false;
    for (size_t i = 0; i < nr; i++) {
        json_object *run = json_object_array_get_idx(list, i);

        all[i] = (struct vma_run){ .mfn = json_object_get_uint64(json_object_array_get_idx(run, 0)),
                                   .nr = json_object_get_uint64(
                                       json_object_array_get_idx(run, 1)) };
    }
    trace_frames(&in->r->machine, all, nr, hold);
    for (size_t i = 0; possible && i < nr; i++)
        for (uint64_t j = 0; possible && all[i].mfn != HV_INVALID_MFN && j < all[i].nr; j++) {
            possible = !hv_frame_info(hv, all[i].mfn + j, &info) &&
                       (hold ? info.owner != -1 : info.held > 0);
            if (possible)
                move(hv, all[i].mfn + j);
        }
    if (all != runs)
        free(all);
    return possible;
}

static bool input_hold(const struct replay_step *in)
{
    return move_frames(in, true);
}

static bool input_let_go(const struct replay_step *in)
{
    return move_frames(in, false);
}

/* What the store did with a domain's ring page. */
static bool input_store_ring(const struct replay_step *in)
{
    struct trace_ring told = { .reset = replay_number(in->args, "reset"),
                               .raises = replay_number(in->args, "raise"),
                               .req_cons = (uint32_t)replay_number(in->args, "taken"),
                               .rsp_prod = (uint32_t)replay_number(in->args, "put"),
                               .error = (uint32_t)replay_number(in->args, "error") };
    struct hv *hv = in->r->machine.hv;
    struct xenstore_domain_interface *ring;
    char bytes[XENSTORE_RING_SIZE];
    uint64_t mfn;

    if (!in->d || !in->d->options.store || hv_gfn_to_mfn(hv, in->id, in->d->store_gfn, &mfn))
        return false;
    told.bytes = bytes;
    told.size = replay_bytes(bytes, sizeof bytes, replay_text(in->args, "hex"));
    trace_store_ring(&in->r->machine, in->id, &told);
    ring = hv_frame(hv, mfn);
    if (told.reset)
        ring->req_prod = ring->rsp_cons = 0;
    for (size_t i = 0; i < told.size; i++)
        ring->rsp[MASK_XENSTORE_IDX(told.rsp_prod - (uint32_t)(told.size - i))] = bytes[i];
    ring->req_cons = told.req_cons;
    ring->rsp_prod = told.rsp_prod;
    ring->error = told.error;
    if (told.raises)
        hv_port_raise(hv, in->id, in->d->store_port);
    return true;
}

static bool input_verb(const struct replay_step *in)
{
    const char *name = replay_text(in->args, "verb");
    const struct verb *verb = name ? control_verb_find(name) : NULL;

    if (!verb || !(verb->flags & (VERB_RECORDED | VERB_RECORDS)))
        return false;
    /* It takes the lock itself. */
    machine_unlock_only(&in->r->machine);
    control_repeat(&in->r->machine, in->args);
    machine_lock_only(&in->r->machine);
    return true;
}

/* A process wrote to a page that its domain shares. */
static bool input_page_write(const struct replay_step *in)
{
    uint64_t gfn = replay_number(in->args, "gfn");

    trace_page_write(&in->r->machine, in->id, gfn);
    hv_page_touch(in->r->machine.hv, in->id, gfn);
    return true;
}

static const struct replay_handler inputs[] = {
    { "enter", replay_enter },
    { "domain_create", input_create },
    { "domain_destroy", input_destroy },
    { "domain_suspend", input_suspend },
    { "process", input_process },
    { "timers", input_timers },
    { "upcall", input_upcall },
    { "steps", input_steps },
    { "frames_hold", input_hold },
    { "frames_release", input_let_go },
    { "verb", input_verb },
    { "store_ring", input_store_ring },
    { "page_write", input_page_write },
};

static const struct replay_handler *find_input(const char *op)
{
    const struct replay_handler *handler =
        replay_handler_of(inputs, sizeof inputs / sizeof *inputs, op);

    for (const struct replay_handler *other = replay_store_inputs; op && !handler && other->op;
         other++)
        if (!strcmp(other->op, op))
            handler = other;
    return handler;
}

bool replay_is_input(const char *op)
{
    return find_input(op);
}

bool replay_input(struct replay *r, json_object *event)
{
    const struct replay_handler *handler = find_input(replay_text(event, "op"));
    struct replay_step in = { .r = r,
                              .id = (domid_t)replay_number(event, "domain"),
                              .call = (uint64_t)replay_number(event, "call") };

    if (!json_object_object_get_ex(event, "args", &in.args))
        return false;
    in.d = machine_domain(&r->machine, in.id);
    if (in.d && in.d->dead)
        in.d = NULL;
    r->machine.caller = (pid_t)replay_number(event, "pid");
    return handler->carry_out(&in);
}
