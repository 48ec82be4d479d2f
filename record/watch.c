/* SPDX-License-Identifier: MIT */
/* Chooses the system calls that matter and keeps the table of their handlers. */
#include "watch_i.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_add.h"
#include "old_calls.h"

static const char *const devices[] = {
    "gntdev", "gntalloc", "evtchn", "privcmd", "hypercall", NULL
};

/* ---- Small things ---------------------------------------------------------------------------- */

static int memory_read(void *ctx, void *to, uint64_t from, size_t size)
{
    return task_read(ctx, to, from, size);
}

static int memory_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    return task_write(ctx, to, from, size);
}

struct memory memory_of(struct task *task)
{
    return (struct memory){ memory_read, memory_write, task };
}

void add_number(json_object *json, const char *name, uint64_t value)
{
    json_add_uint(json, name, value);
}

int errno_of(const char *name)
{
    for (int e = 1; name && e < 4096; e++)
        if (strerrorname_np(e) && !strcmp(strerrorname_np(e), name))
            return e;
    return 0;
}

void event_result(json_object *json, long result)
{
    json_add_int(json, "result", result < 0 ? -1 : result);
    if (result < 0) {
        const char *name = strerrorname_np((int)-result);

        json_add_text(json, "error", name ? name : "?");
    }
}

long event_recorded_result(json_object *json)
{
    json_object *value;

    if (json_object_object_get_ex(json, "error", &value))
        return -errno_of(json_object_get_string(value));
    return json_object_object_get_ex(json, "result", &value)
        ? (long)json_object_get_int64(value) : 0;
}

const char *text_of(json_object *json, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(json, name, &value) ? json_object_get_string(value) : NULL;
}

/* The device of a path under /dev/xen (or /proc/xen), NULL if it is none of ours. */
const char *device_of_path(const char *path)
{
    const char *name = !strncmp(path, "/dev/xen/", 9)   ? path + 9
                     : !strncmp(path, "/proc/xen/", 10)
                         ? path + 10 : NULL;

    for (const char *const *d = devices; name && *d; d++)
        if (!strcmp(name, *d))
            return *d;
    return NULL;
}

/* The number that a recorded answer has for something new, the next one without. */
unsigned next_number(const struct watched_call *call, const char *name, unsigned last)
{
    unsigned long long number = 0;
    json_object *value;

    if (call->event.answer && json_object_object_get_ex(call->event.answer, name, &value))
        number = json_object_get_uint64(value);
    return number && number < MAX_NUMBER ? (unsigned)number : last + 1;
}

void name_file(struct watch *w, unsigned number, const char *device)
{
    if (number > w->nr_files) {
        char **grown = realloc(w->devices, (number + 1) * sizeof *grown);

        if (!grown)
            abort();
        memset(grown + w->nr_files + 1, 0, (number - w->nr_files) * sizeof *grown);
        w->devices = grown;
        w->nr_files = number;
    }
    free(w->devices[number]);
    w->devices[number] = strdup(device);
}

/*
 * The open file behind a descriptor of a device, 0 if it is none. One that came in another way than
 * by open gets a number now.
 */
unsigned file_of(struct watch *w, const struct task *task, int fd)
{
    const struct held_fd *held = space_fd(&w->space, task->tgid, fd);
    char link[64], path[64];
    const char *device;
    ssize_t n;

    if (held)
        return held->file;
    if (w->replays)
        return 0;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", task->tgid, fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return 0;
    path[n] = 0;
    device = device_of_path(path);
    if (!device)
        return 0;
    name_file(w, w->nr_files + 1, device);
    space_add_fd(&w->space, task->tgid, fd, w->nr_files);
    return w->nr_files;
}

bool begin_file(struct watch *w, struct task *task, struct watched_call *call)
{
    call->file = file_of(w, task, (int)task->args[0]);
    if (call->file)
        add_number(call->event.json, "file", call->file);
    return call->file;
}

bool begin_quietly(struct watch *w, struct task *task, struct watched_call *call)
{
    (void)w;
    (void)task;
    call->quiet = true;
    return true;
}

/* ---- The table ------------------------------------------------------------------------------- */

/* Without an answer a call is made in replay, too. */
static const struct watched table[] = {
    { SYS_open, "open", begin_open, answer_open, end_open },
    { SYS_openat, "open", begin_open, answer_open, end_open },
    { SYS_close, "close", begin_close, NULL, end_close },
    { SYS_close_range, "", begin_close_range, NULL, end_close_range },
    { SYS_dup, "dup", begin_dup, NULL, end_dup },
    { SYS_dup2, "dup", begin_dup, NULL, end_dup },
    { SYS_dup3, "dup", begin_dup, NULL, end_dup },
    { SYS_fcntl, "dup", begin_dup, NULL, end_dup },
    { SYS_ioctl, "ioctl", begin_ioctl, answer_ioctl, end_ioctl },
    { SYS_read, "read", begin_transfer, answer_transfer, end_transfer },
    { SYS_write, "write", begin_transfer, answer_transfer, end_transfer },
    { SYS_lseek, "seek", begin_seek, answer_result, end_result },
    { SYS_poll, "poll", begin_poll, answer_poll, end_poll },
    { SYS_ppoll, "poll", begin_poll, answer_poll, end_poll },
    { SYS_select, "poll", begin_select, answer_select, end_select },
    { SYS_pselect6, "poll", begin_select, answer_select, end_select },
    { SYS_epoll_create, "", begin_quietly, NULL, end_epoll_create },
    { SYS_epoll_create1, "", begin_quietly, NULL, end_epoll_create },
    { SYS_epoll_ctl, "", begin_quietly, NULL, end_epoll_ctl },
    { SYS_epoll_wait, "poll", begin_epoll_wait, answer_epoll_wait, end_epoll_wait },
    { SYS_epoll_pwait, "poll", begin_epoll_wait, answer_epoll_wait, end_epoll_wait },
    { SYS_epoll_pwait2, "poll", begin_epoll_wait, answer_epoll_wait, end_epoll_wait },
    { SYS_mmap, "mmap", begin_mmap, answer_mmap, end_mmap },
    { SYS_munmap, "munmap", begin_munmap, NULL, end_munmap },
};

json_object *new_event(const struct task *task, const char *call)
{
    json_object *json = json_object_new_object();

    json_add_text(json, "task", task->name);
    json_add_text(json, "call", call);
    return json;
}

static bool enter(void *ctx, struct task *task)
{
    struct watch *w = ctx;
    const struct watched *watched = table;
    struct watched_call *call;
    bool stop = false;

    while (watched < table + sizeof table / sizeof *table && watched->nr != task->nr)
        watched++;
    if (watched == table + sizeof table / sizeof *table)
        return false;
    call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->watched = watched;
    call->event = (struct event){ .json = new_event(task, watched->name),
                                  .call = watched->name,
                                  .task = task };
    if (!watched->begin(w, task, call)) {
        json_object_put(call->event.json);
        free(call);
        return false;
    }
    if (strcmp(call->event.call, watched->name))
        json_add_text(call->event.json, "call", call->event.call);
    task->call = call;
    if (w->before && !call->quiet)
        call->event.answer = w->before(w->ctx, &call->event, &stop);
    if (stop) {
        trace_stop(task);
        task_skip(task);
    } else if (call->event.answer && watched->answer) {
        watched->answer(w, task, call);
    }
    return true;
}

static void leave(void *ctx, struct task *task, long result)
{
    struct watch *w = ctx;
    struct watched_call *call = task->call;

    if (call->event.answer && task->skipped) {
        result = event_recorded_result(call->event.answer);
        task_set_result(task, result);
    }
    call->watched->end(w, task, call, result);
    if (!call->quiet)
        w->after(w->ctx, &call->event);
    json_object_put(call->event.json);
    call->event.json = NULL;
}

static void dropped(void *ctx, struct task *task)
{
    struct watched_call *call = task->call;

    (void)ctx;
    json_object_put(call->event.json);
}

void watch_report(struct watch *w, struct task *task, const char *name, json_object *json)
{
    struct event event = { .json = json, .call = name, .task = task };
    bool stop = false;

    if (w->before)
        event.answer = w->before(w->ctx, &event, &stop);
    if (stop)
        trace_stop(task);
    w->after(w->ctx, &event);
    json_object_put(json);
}

static void began(void *ctx, struct task *task, struct task *parent, bool is_thread)
{
    struct watch *w = ctx;

    if (parent && !is_thread)
        space_fork(&w->space, parent->tgid, task->tgid);
}

static bool is_open(const struct task *task, int fd)
{
    char link[64], path[64];

    snprintf(link, sizeof link, "/proc/%d/fd/%d", task->tgid, fd);
    return readlink(link, path, sizeof path) > 0;
}

/* What a process loses when it ends or executes another program. */
static void lost(struct watch *w, struct task *task, const char *name, bool everything)
{
    json_object *json = new_event(task, name), *files = json_object_new_array(),
                *pieces = json_object_new_array();

    take_pieces(w, task->tgid, 0, UINT64_MAX, pieces);
    for (struct interest *i = w->space.interests, *next; i; i = next) {
        next = i->next;
        if (i->tgid == task->tgid && (everything || !is_open(task, i->epoll)))
            space_drop_interest(&w->space, i);
    }
    for (struct held_fd *f = w->space.fds, *next; f; f = next) {
        json_object *number;

        next = f->next;
        if (f->tgid != task->tgid || (!everything && is_open(task, f->fd)))
            continue;
        number = json_object_new_uint64(f->file);
        if (space_drop_fd(&w->space, f))
            json_object_array_add(files, number);
        else
            json_object_put(number);
    }
    json_object_object_add(json, "pieces", pieces);
    json_object_object_add(json, "closed", files);
    if (json_object_array_length(pieces) + json_object_array_length(files))
        watch_report(w, task, name, json);
    else
        json_object_put(json);
}

static void executed(void *ctx, struct task *task)
{
    lost(ctx, task, "exec", false);
}

static void ended(void *ctx, struct task *task, bool last)
{
    struct watched_call *call = task->call;

    if (call)
        json_object_put(call->event.json);
    if (last)
        lost(ctx, task, "exit", true);
}

int watch_run(struct watch *watch, char **argv)
{
    static const struct trace_ops ops = { enter, leave, dropped, began, executed, ended };
    int rc = trace_run(argv, &ops, watch);

    space_free(&watch->space);
    for (unsigned i = 1; i <= watch->nr_files; i++)
        free(watch->devices[i]);
    free(watch->devices);
    watch->devices = NULL;
    return rc;
}
