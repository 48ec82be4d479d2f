/* SPDX-License-Identifier: MIT */
/* Makes the recorded device calls, with memory of callers that are not there. */
#include "replay_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- The memory of callers ------------------------------------------------------------------- */

size_t replay_bytes(void *to, size_t size, const char *hex)
{
    unsigned char *bytes = to;
    size_t n = 0;

    for (; hex && n < size && hex[0] && hex[1]; hex += 2, n++) {
        char digits[3] = { hex[0], hex[1], 0 };

        bytes[n] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return n;
}

/* What was recorded of this access: its args; NULL at the end. *event is the caller's. */
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

    return json_object_object_get_ex(event, "result", &result) &&
           json_object_is_type(result, json_type_int);
}

static int memory_read(void *ctx, void *to, uint64_t from, size_t size)
{
    json_object *event, *args = recorded(ctx, &event);
    int rc = -EFAULT;

    (void)from;
    if (args && went_well(event)) {
        memset(to, 0, size);
        replay_bytes(to, size, replay_text(args, "hex"));
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
    struct vma *vma = args ? replay_get(call->replay, replay_number(args, "of_domain"), REPLAY_VMA,
                                        replay_number(args, "vma"))
                           : NULL;

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

static const struct user_memory_ops replay_memory = {
    .read = memory_read,
    .write = memory_write,
    .find_vma = memory_find_vma,
    .vma_at = memory_vma_at,
};

/* ---- The calls ------------------------------------------------------------------------------- */

static struct file *file_of(const struct replay_step *in)
{
    struct file *file = replay_get(in->r, in->id, REPLAY_FILE, replay_number(in->args, "file"));

    return file && file->kernel ? file : NULL;
}

static void register_vma(struct replay_call *call)
{
    replay_set(call->replay, call->domain, REPLAY_VMA, call->vma->id, call->vma);
}

/* A server that is told of a mapping notes its frames at once, within the kernel's work. */
static void call_done(struct kreq *kreq, long result)
{
    struct replay_call *call = kreq->owner;
    json_object *event = call->replay->over ? NULL : replay_next(call->replay);
    const char *op = event ? replay_text(event, "op") : NULL;

    if (call->vma && !result)
        register_vma(call);
    if (op && !strcmp(op, "frames_hold"))
        replay_input(call->replay, event);
    json_object_put(event);
}

static struct replay_call *new_call(const struct replay_step *in)
{
    struct replay_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    *call = (struct replay_call){
        .replay = in->r, .domain = in->id, .number = in->call, .next = in->r->calls
    };
    call->kreq = (struct kreq){ .done = call_done, .owner = call, .mem = { &replay_memory, call } };
    in->r->calls = call;
    replay_set(in->r, in->id, REPLAY_CALL, in->call, call);
    return call;
}

/* A server that is told of something to read may read at once, within the kernel's work. */
static void on_wake(struct file *file)
{
    struct replay *r = file->owner;
    json_object *event, *args;

    while (!r->over && file->kernel && (event = replay_next(r))) {
        const char *op = replay_text(event, "op");
        bool ours = op && !strcmp(op, "enter") && json_object_object_get_ex(event, "args", &args) &&
                    replay_number(args, "nested") &&
                    replay_number(event, "domain") == kernel_domid(file->kernel) &&
                    replay_number(args, "file") == (int64_t)file->id;
        size_t before = r->at;

        if (ours)
            replay_input(r, event);
        json_object_put(event);
        /* It reads until there is nothing more: an error's name. */
        if (!ours || r->at == before || strstr(r->lines[r->at - 1], "\"result\":\""))
            return;
    }
}

static bool input_open(const struct replay_step *in)
{
    const struct chardev *dev = kernel_chardev_find(replay_text(in->args, "device"));
    struct file *file;

    if (!dev || !in->d)
        return false;
    if (!kernel_open(in->d->kernel, dev, (unsigned)replay_number(in->args, "flags"), &file)) {
        file->owner = in->r;
        file->wake = on_wake;
        replay_set(in->r, in->id, REPLAY_FILE, file->id, file);
    }
    return true;
}

static bool input_ioctl(const struct replay_step *in)
{
    struct file *file = file_of(in);
    struct replay_call *call = file ? new_call(in) : NULL;

    if (!call)
        return false;
    kernel_ioctl(file, (unsigned)replay_number(in->args, "cmd"),
                 (uint64_t)replay_number(in->args, "arg"), &call->kreq);
    return true;
}

static bool input_mmap(const struct replay_step *in)
{
    struct file *file = file_of(in);
    struct replay_call *call = file ? new_call(in) : NULL;

    if (!call)
        return false;
    if (!kernel_mmap(file, (uint64_t)replay_number(in->args, "offset"),
                     (uint64_t)replay_number(in->args, "length"),
                     (unsigned)replay_number(in->args, "prot"),
                     (unsigned)replay_number(in->args, "flags"), &call->vma, &call->kreq))
        register_vma(call);
    return true;
}

static bool input_read(const struct replay_step *in)
{
    struct file *file = file_of(in);
    struct replay_call *call = file ? new_call(in) : NULL;
    size_t size = (size_t)replay_number(in->args, "size");

    if (!call || size > 1u << 24 || !(call->buf = malloc(size + 1)))
        return false;
    file->flags = (file->flags & ~(unsigned)O_NONBLOCK) |
                  (replay_number(in->args, "nonblock") ? O_NONBLOCK : 0);
    kernel_read(file, call->buf, size, &call->kreq);
    return true;
}

static bool input_write(const struct replay_step *in)
{
    const char *hex = replay_text(in->args, "hex");
    struct file *file = file_of(in);
    size_t size = hex ? strlen(hex) / 2 : 0;
    void *data = file ? malloc(size + 1) : NULL;

    if (!data)
        return false;
    replay_bytes(data, size, hex);
    kernel_write(file, data, size);
    free(data);
    return true;
}

static bool input_poll(const struct replay_step *in)
{
    struct file *file = file_of(in);

    if (file)
        kernel_poll(file);
    return file;
}

static bool input_release(const struct replay_step *in)
{
    struct file *file = file_of(in);

    if (!file)
        return false;
    replay_take(in->r, in->id, REPLAY_FILE, replay_number(in->args, "file"));
    kernel_file_close(file);
    return true;
}

static bool input_munmap(const struct replay_step *in)
{
    struct vma *vma = replay_get(in->r, in->id, REPLAY_VMA, replay_number(in->args, "vma"));
    uint64_t first = (uint64_t)replay_number(in->args, "first"),
             pages = (uint64_t)replay_number(in->args, "pages");

    if (!vma || first > vma->nr_pages || pages > vma->nr_pages - first)
        return false;
    kernel_vma_unmap(vma, first, pages);
    return true;
}

static bool input_vma_close(const struct replay_step *in)
{
    struct vma *vma = replay_take(in->r, in->id, REPLAY_VMA, replay_number(in->args, "vma"));

    if (vma)
        kernel_vma_close(vma);
    return vma;
}

static bool input_cancel(const struct replay_step *in)
{
    struct replay_call *call =
        replay_get(in->r, in->id, REPLAY_CALL, replay_number(in->args, "cancelled"));

    if (call)
        kernel_cancel(&call->kreq);
    return call;
}

static bool input_param(const struct replay_step *in)
{
    const char *name = replay_text(in->args, "name");

    return in->d && name &&
           !kernel_param_set(in->d->kernel, name, replay_number(in->args, "value"));
}

static const struct replay_handler calls[] = {
    { "open", input_open },       { "ioctl", input_ioctl },   { "mmap", input_mmap },
    { "read", input_read },       { "write", input_write },   { "poll", input_poll },
    { "release", input_release }, { "munmap", input_munmap }, { "vma_close", input_vma_close },
    { "cancel", input_cancel },   { "param", input_param },
};

bool replay_enter(const struct replay_step *in)
{
    const struct replay_handler *handler =
        replay_handler_of(calls, sizeof calls / sizeof *calls, replay_text(in->args, "op"));
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
