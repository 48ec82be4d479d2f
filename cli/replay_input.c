/* SPDX-License-Identifier: MIT */
/* The inputs of the models, one by one, and the memory of callers that are not there. */
#include "replay_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "adversary.h"
#include "control_i.h"

/* ---- Objects ---------------------------------------------------------------------------------- */

static struct replay_object *find(struct replay *r, int64_t domain, uint32_t what, uint64_t number)
{
    struct replay_key key;
    struct replay_object *object;

    memset(&key, 0, sizeof key);
    key.domain = (uint32_t)domain;
    key.what = what;
    key.number = number;
    HASH_FIND(hh, r->objects, &key, sizeof key, object);
    return object;
}

static void *get(struct replay *r, int64_t domain, uint32_t what, int64_t number)
{
    struct replay_object *object = find(r, domain, what, (uint64_t)number);

    return object ? object->object : NULL;
}

static void set(struct replay *r, int64_t domain, uint32_t what, uint64_t number, void *thing)
{
    struct replay_object *object = find(r, domain, what, number);

    if (!object) {
        object = calloc(1, sizeof *object);
        if (!object)
            return;
        object->key.domain = (uint32_t)domain;
        object->key.what = what;
        object->key.number = number;
        HASH_ADD(hh, r->objects, key, sizeof object->key, object);
    }
    object->object = thing;
}

static void *take(struct replay *r, int64_t domain, uint32_t what, int64_t number)
{
    struct replay_object *object = find(r, domain, what, (uint64_t)number);
    void *thing = object ? object->object : NULL;

    if (object) {
        HASH_DEL(r->objects, object);
        free(object);
    }
    return thing;
}

/* What a dead kernel's programs have open is nobody's input any more. */
static void orphan(struct replay *r, int64_t domain)
{
    struct replay_object *object, *next;

    HASH_ITER(hh, r->objects, object, next) {
        if (domain >= 0 && object->key.domain != domain)
            continue;
        if (object->key.what == REPLAY_FILE) {
            struct file **files = reallocarray(r->orphan_files, r->nr_orphan_files + 1, sizeof *files);

            if (files) {
                r->orphan_files = files;
                files[r->nr_orphan_files++] = object->object;
            }
        } else if (object->key.what == REPLAY_VMA) {
            struct vma **vmas = reallocarray(r->orphan_vmas, r->nr_orphan_vmas + 1, sizeof *vmas);

            if (vmas) {
                r->orphan_vmas = vmas;
                vmas[r->nr_orphan_vmas++] = object->object;
            }
        }
        HASH_DEL(r->objects, object);
        free(object);
    }
}

void replay_objects_free(struct replay *r)
{
    orphan(r, -1);
    for (size_t i = 0; i < r->nr_orphan_vmas; i++)
        kernel_vma_close(r->orphan_vmas[i]);
    for (size_t i = 0; i < r->nr_orphan_files; i++)
        kernel_file_close(r->orphan_files[i]);
    free(r->orphan_vmas);
    free(r->orphan_files);
    while (r->calls) {
        struct replay_call *call = r->calls;

        r->calls = call->next;
        free(call->buf);
        free(call);
    }
}

/* ---- The memory of callers -------------------------------------------------------------------- */

static size_t from_hex(void *to, size_t size, const char *hex)
{
    unsigned char *bytes = to;
    size_t n = 0;

    for (; hex && n < size && hex[0] && hex[1]; hex += 2, n++) {
        char digits[3] = { hex[0], hex[1], 0 };

        bytes[n] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return n;
}

/* What was recorded of this access: args; NULL when there is nothing any more. *event is the caller's. */
static json_object *recorded(struct replay_call *call, json_object **event)
{
    json_object *args = NULL;

    replay_wait_turn(call->replay, call);
    *event = call->replay->over ? NULL : replay_next(call->replay);
    if (*event)
        json_object_object_get_ex(*event, "args", &args);
    return args;
}

static bool went_well(json_object *event)
{
    json_object *result;

    return json_object_object_get_ex(event, "result", &result) && json_object_is_type(result, json_type_int);
}

static int memory_read(void *ctx, void *to, uint64_t from, size_t size)
{
    json_object *event, *args = recorded(ctx, &event);
    int rc = -EFAULT;

    (void)from;
    if (args && went_well(event)) {
        memset(to, 0, size);
        from_hex(to, size, replay_text(args, "hex"));
        rc = 0;
    }
    json_object_put(event);
    return rc;
}

static int memory_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    json_object *event, *args = recorded(ctx, &event);
    int rc = args && went_well(event) ? 0 : -EFAULT;

    (void)to;
    (void)from;
    (void)size;
    json_object_put(event);
    return rc;
}

static struct vma *recorded_vma(struct replay_call *call, uint64_t *page)
{
    json_object *event, *args = recorded(call, &event);
    struct vma *vma = args ? get(call->replay, replay_number(args, "of_domain"), REPLAY_VMA, replay_number(args, "vma")) : NULL;

    if (page && args)
        *page = (uint64_t)replay_number(args, "page");
    json_object_put(event);
    return vma;
}

static struct vma *memory_find_vma(void *ctx, uint64_t addr)
{
    (void)addr;
    return recorded_vma(ctx, NULL);
}

static struct vma *memory_vma_at(void *ctx, uint64_t addr, uint64_t *page)
{
    (void)addr;
    return recorded_vma(ctx, page);
}

const struct user_memory_ops replay_memory = {
    .read = memory_read,
    .write = memory_write,
    .find_vma = memory_find_vma,
    .vma_at = memory_vma_at,
};

/* ---- Device calls ----------------------------------------------------------------------------- */

struct input {
    struct replay *r;
    domid_t id;
    struct domain *d;            /* NULL: there is none */
    uint64_t call;
    json_object *args;
};

static struct file *file_of(const struct input *in)
{
    struct file *file = get(in->r, in->id, REPLAY_FILE, replay_number(in->args, "file"));

    return file && file->kernel ? file : NULL;
}

static void register_vma(struct replay_call *call)
{
    set(call->replay, call->domain, REPLAY_VMA, call->vma->id, call->vma);
}

static void call_done(struct kreq *kreq, long result)
{
    struct replay_call *call = kreq->owner;

    if (call->vma && !result)
        register_vma(call);
}

static struct replay_call *new_call(const struct input *in)
{
    struct replay_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    *call = (struct replay_call){ .replay = in->r, .domain = in->id, .number = in->call, .next = in->r->calls };
    call->kreq = (struct kreq){ .done = call_done, .owner = call, .mem = { &replay_memory, call } };
    in->r->calls = call;
    set(in->r, in->id, REPLAY_CALL, in->call, call);
    return call;
}

/* A server that reads at once when it is told that there is something does it in the middle of what the kernel is doing. */
static void on_wake(struct file *file)
{
    struct replay *r = file->owner;
    json_object *event, *args;

    while (!r->over && file->kernel && (event = replay_next(r))) {
        const char *op = replay_text(event, "op");
        bool ours = op && !strcmp(op, "enter") && json_object_object_get_ex(event, "args", &args) && replay_number(args, "nested") &&
                    replay_number(event, "domain") == kernel_domid(file->kernel) && replay_number(args, "file") == (int64_t)file->id;
        size_t before = r->at;

        if (ours)
            replay_input(r, event);
        json_object_put(event);
        /* It reads until there is nothing more: an error's name. */
        if (!ours || r->at == before || strstr(r->lines[r->at - 1], "\"result\":\""))
            return;
    }
}

static bool input_open(const struct input *in)
{
    const struct chardev *dev = kernel_chardev_find(replay_text(in->args, "device"));
    struct file *file;

    if (!dev || !in->d)
        return false;
    if (!kernel_open(in->d->kernel, dev, (unsigned)replay_number(in->args, "flags"), &file)) {
        file->owner = in->r;
        file->wake = on_wake;
        set(in->r, in->id, REPLAY_FILE, file->id, file);
    }
    return true;
}

static bool input_ioctl(const struct input *in)
{
    struct file *file = file_of(in);
    struct replay_call *call = file ? new_call(in) : NULL;

    if (!call)
        return false;
    kernel_ioctl(file, (unsigned)replay_number(in->args, "cmd"), (uint64_t)replay_number(in->args, "arg"), &call->kreq);
    return true;
}

static bool input_mmap(const struct input *in)
{
    struct file *file = file_of(in);
    struct replay_call *call = file ? new_call(in) : NULL;

    if (!call)
        return false;
    if (!kernel_mmap(file, (uint64_t)replay_number(in->args, "offset"), (uint64_t)replay_number(in->args, "length"),
                     (unsigned)replay_number(in->args, "prot"), (unsigned)replay_number(in->args, "flags"), &call->vma, &call->kreq))
        register_vma(call);
    return true;
}

static bool input_read(const struct input *in)
{
    struct file *file = file_of(in);
    struct replay_call *call = file ? new_call(in) : NULL;
    size_t size = (size_t)replay_number(in->args, "size");

    if (!call || size > 1u << 24 || !(call->buf = malloc(size + 1)))
        return false;
    file->flags = (file->flags & ~(unsigned)O_NONBLOCK) | (replay_number(in->args, "nonblock") ? O_NONBLOCK : 0);
    kernel_read(file, call->buf, size, &call->kreq);
    return true;
}

static bool input_write(const struct input *in)
{
    const char *hex = replay_text(in->args, "hex");
    struct file *file = file_of(in);
    size_t size = hex ? strlen(hex) / 2 : 0;
    void *data = file ? malloc(size + 1) : NULL;

    if (!data)
        return false;
    from_hex(data, size, hex);
    kernel_write(file, data, size);
    free(data);
    return true;
}

static bool input_poll(const struct input *in)
{
    struct file *file = file_of(in);

    if (file)
        kernel_poll(file);
    return file;
}

static bool input_release(const struct input *in)
{
    struct file *file = file_of(in);

    if (!file)
        return false;
    take(in->r, in->id, REPLAY_FILE, replay_number(in->args, "file"));
    kernel_file_close(file);
    return true;
}

static bool input_munmap(const struct input *in)
{
    struct vma *vma = get(in->r, in->id, REPLAY_VMA, replay_number(in->args, "vma"));
    uint64_t first = (uint64_t)replay_number(in->args, "first"), pages = (uint64_t)replay_number(in->args, "pages");

    if (!vma || first > vma->nr_pages || pages > vma->nr_pages - first)
        return false;
    kernel_vma_unmap(vma, first, pages);
    return true;
}

static bool input_vma_close(const struct input *in)
{
    struct vma *vma = take(in->r, in->id, REPLAY_VMA, replay_number(in->args, "vma"));

    if (vma)
        kernel_vma_close(vma);
    return vma;
}

static bool input_cancel(const struct input *in)
{
    struct replay_call *call = get(in->r, in->id, REPLAY_CALL, replay_number(in->args, "cancelled"));

    if (call)
        kernel_cancel(&call->kreq);
    return call;
}

static bool input_param(const struct input *in)
{
    const char *name = replay_text(in->args, "name");

    return in->d && name && !kernel_param_set(in->d->kernel, name, replay_number(in->args, "value"));
}

static const struct handler {
    const char *op;
    bool (*carry_out)(const struct input *in);
} calls[] = {
    { "open", input_open }, { "ioctl", input_ioctl }, { "mmap", input_mmap }, { "read", input_read },
    { "write", input_write }, { "poll", input_poll }, { "release", input_release }, { "munmap", input_munmap },
    { "vma_close", input_vma_close }, { "cancel", input_cancel }, { "param", input_param },
};

static const struct handler *handler_of(const struct handler *handlers, size_t nr, const char *op)
{
    for (size_t i = 0; op && i < nr; i++)
        if (!strcmp(handlers[i].op, op))
            return &handlers[i];
    return NULL;
}

static bool input_enter(const struct input *in)
{
    const struct handler *handler = handler_of(calls, sizeof calls / sizeof *calls, replay_text(in->args, "op"));
    bool done;

    if (!handler)
        return false;
    if (in->d)
        domain_enter(in->d);
    done = handler->carry_out(in);
    if (in->d)
        domain_leave(in->d);
    return done;
}

/* ---- Other inputs ----------------------------------------------------------------------------- */

static bool input_create(const struct input *in)
{
    const char *profile = replay_text(in->args, "profile");
    struct domain_options options = {
        .profile = profile ? kernel_profile_find(profile) : NULL,
        .grant_frames = (int32_t)replay_number(in->args, "grant_frames"),
        .maptrack_frames = (int32_t)replay_number(in->args, "maptrack_frames"),
        .grant_version = (unsigned)replay_number(in->args, "grant_version"),
    };

    if (options.profile)
        machine_domain_create_with(&in->r->machine, in->id, &options, NULL);
    return options.profile;
}

static bool input_destroy(const struct input *in)
{
    if (!in->d)
        return false;
    machine_domain_destroy(&in->r->machine, in->id);
    orphan(in->r, in->id);
    return true;
}

static bool input_timers(const struct input *in)
{
    if (in->d)
        clock_run_kernel(&in->r->machine, in->d);
    return in->d;
}

static bool input_upcall(const struct input *in)
{
    if (in->d)
        machine_upcall(&in->r->machine, in->d);
    return in->d;
}

static bool input_steps(const struct input *in)
{
    adversaries_settle(&in->r->machine);
    return true;
}

static bool move_frames(const struct input *in, void (*move)(struct hv *, uint64_t), bool hold)
{
    struct hv *hv = in->r->machine.hv;
    struct vma_run runs[1], *all;
    struct hv_frame_info info;
    bool possible = true;
    json_object *list;
    size_t nr;

    if (!json_object_object_get_ex(in->args, "runs", &list) || !json_object_is_type(list, json_type_array))
        return false;
    nr = json_object_array_length(list);
    all = nr > 1 ? malloc(nr * sizeof *all) : runs;
    if (!all)
        return false;
    for (size_t i = 0; i < nr; i++) {
        json_object *run = json_object_array_get_idx(list, i);

        all[i] = (struct vma_run){ .mfn = json_object_get_uint64(json_object_array_get_idx(run, 0)),
                                   .nr = json_object_get_uint64(json_object_array_get_idx(run, 1)) };
    }
    trace_frames(&in->r->machine, all, nr, hold);
    for (size_t i = 0; possible && i < nr; i++)
        for (uint64_t j = 0; possible && all[i].mfn != HV_INVALID_MFN && j < all[i].nr; j++) {
            possible = !hv_frame_info(hv, all[i].mfn + j, &info) && (hold ? info.owner != -1 : info.held > 0);
            if (possible)
                move(hv, all[i].mfn + j);
        }
    if (all != runs)
        free(all);
    return possible;
}

static bool input_hold(const struct input *in)
{
    return move_frames(in, hv_frame_get, true);
}

static bool input_let_go(const struct input *in)
{
    return move_frames(in, hv_frame_put, false);
}

static bool input_verb(const struct input *in)
{
    struct request request = { .machine = &in->r->machine, .args = in->args };
    const char *verb = replay_text(in->args, "verb");

    if (!verb || (!control_is_recorded(verb) && strcmp(verb, "fault-add")))
        return false;
    /* It takes the lock itself. */
    pthread_mutex_unlock(&in->r->machine.lock);
    json_object_put(control_handle(&request));
    pthread_mutex_lock(&in->r->machine.lock);
    return true;
}

static const struct handler inputs[] = {
    { "enter", input_enter }, { "domain_create", input_create }, { "domain_destroy", input_destroy },
    { "timers", input_timers }, { "upcall", input_upcall }, { "steps", input_steps }, { "frames_hold", input_hold },
    { "frames_release", input_let_go }, { "verb", input_verb },
};

bool replay_is_input(const char *op)
{
    return handler_of(inputs, sizeof inputs / sizeof *inputs, op);
}

bool replay_input(struct replay *r, json_object *event)
{
    const struct handler *handler = handler_of(inputs, sizeof inputs / sizeof *inputs, replay_text(event, "op"));
    struct input in = { .r = r, .id = (domid_t)replay_number(event, "domain"), .call = (uint64_t)replay_number(event, "call") };

    if (!json_object_object_get_ex(event, "args", &in.args))
        return false;
    in.d = machine_domain(&r->machine, in.id);
    if (in.d && in.d->dead)
        in.d = NULL;
    r->machine.caller = (pid_t)replay_number(event, "pid");
    return handler->carry_out(&in);
}
