/* SPDX-License-Identifier: MIT */
/* Records calls on descriptors: open, close, dup, lseek, read, write, poll. */
#include "watch_i.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <string.h>

#include "json_add.h"
#include "old_calls.h"

/* ---- open ------------------------------------------------------------------------------------ */

static bool read_path(struct task *task, uint64_t at, char *path, size_t size)
{
    memset(path, 0, size);
    for (size_t i = 0; i + 1 < size; i++)
        if (task_read(task, path + i, at + i, 1))
            return false;
        else if (!path[i])
            return true;
    return false;
}

bool begin_open(struct watch *w, struct task *task, struct watched_call *call)
{
    bool at = task->nr == SYS_openat;
    const char *device;
    char path[32];

    (void)w;
    if (!read_path(task, task->args[at], path, sizeof path) || !(device = device_of_path(path)))
        return false;
    json_add_text(call->event.json, "device", device);
    add_number(call->event.json, "flags", task->args[1 + at] & (O_ACCMODE | O_NONBLOCK));
    return true;
}

void answer_open(struct watch *w, struct task *task, struct watched_call *call)
{
    /* Anybody may open it for reading and writing, and it can be given to epoll. */
    static const char stand_in[] = "/dev/random";
    long result = event_recorded_result(call->event.answer);
    bool at = task->nr == SYS_openat;
    uint64_t args[6], place = task_scratch(task);

    (void)w;
    memcpy(args, task->args, sizeof args);
    args[at] = place;
    args[1 + at] = (args[1 + at] & ~(uint64_t)O_ACCMODE) | O_RDWR;
    if (result < 0 || task_write(task, place, stand_in, sizeof stand_in))
        task_skip(task);
    else
        task_set_args(task, args);
}

void end_open(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    if (result >= 0) {
        call->file = next_number(call, "file", w->nr_files);
        name_file(w, call->file, text_of(call->event.json, "device"));
        space_add_fd(&w->space, task->tgid, (int)result, call->file);
        add_number(call->event.json, "file", call->file);
    }
    event_result(call->event.json, result < 0 ? result : 0);
}

/* ---- close and the copying of descriptors ---------------------------------------------------- */

bool begin_close(struct watch *w, struct task *task, struct watched_call *call)
{
    return begin_file(w, task, call);
}

/* Notes in its event that a descriptor is closed. */
static void drop(struct watch *w, struct held_fd *held, json_object *event)
{
    if (held && space_drop_fd(&w->space, held))
        json_add_bool(event, "last", true);
}

void end_close(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    drop(w, space_fd(&w->space, task->tgid, (int)task->args[0]), call->event.json);
    event_result(call->event.json, result);
}

bool begin_dup(struct watch *w, struct task *task, struct watched_call *call)
{
    bool is_fcntl = task->nr == SYS_fcntl;

    if (is_fcntl && task->args[1] != F_DUPFD && task->args[1] != F_DUPFD_CLOEXEC &&
        task->args[1] != F_SETFL)
        return false;
    if (!begin_file(w, task, call)) {
        /* Something else in the place of a device closes that. */
        if (task->nr == SYS_dup || is_fcntl || !(call->file = file_of(w, task, (int)task->args[1])))
            return false;
        call->event.call = "close";
        add_number(call->event.json, "file", call->file);
        return true;
    }
    if (is_fcntl && task->args[1] == F_SETFL) {
        call->event.call = "set-flags";
        add_number(call->event.json, "flags", task->args[2] & O_NONBLOCK);
    }
    return true;
}

/* What is at fd now ends what was there. */
static void take_place(struct watch *w, struct task *task, struct watched_call *call, int fd)
{
    struct held_fd *old = space_fd(&w->space, task->tgid, fd);
    unsigned closed = old ? old->file : 0;

    if (!strcmp(call->event.call, "close")) {
        drop(w, old, call->event.json);
        return;
    }
    if (old && closed != call->file && space_drop_fd(&w->space, old))
        add_number(call->event.json, "closed", closed);
    space_add_fd(&w->space, task->tgid, fd, call->file);
}

void end_dup(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    if (result >= 0 && strcmp(call->event.call, "set-flags"))
        take_place(w, task, call, (int)result);
    event_result(call->event.json, result < 0 ? result : 0);
}

/* Each device in the range is closed. */
bool begin_close_range(struct watch *w, struct task *task, struct watched_call *call)
{
    return !(task->args[2] & CLOSE_RANGE_CLOEXEC) && begin_quietly(w, task, call);
}

void end_close_range(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    (void)call;
    for (struct held_fd *f = w->space.fds, *next; !result && f; f = next) {
        json_object *json;

        next = f->next;
        if (f->tgid != task->tgid || (unsigned)f->fd < (unsigned)task->args[0] ||
            (unsigned)f->fd > (unsigned)task->args[1])
            continue;
        json = new_event(task, "close");
        add_number(json, "file", f->file);
        drop(w, f, json);
        event_result(json, 0);
        watch_report(w, task, "close", json);
    }
}

/* ---- read, write, poll ----------------------------------------------------------------------- */

static json_object *bytes_at(struct task *task, uint64_t at, size_t size)
{
    unsigned char bytes[MAX_TRANSFER];

    return size > sizeof bytes || task_read(task, bytes, at, size) ? NULL : json_bytes(bytes, size);
}

bool begin_transfer(struct watch *w, struct task *task, struct watched_call *call)
{
    if (!begin_file(w, task, call))
        return false;
    add_number(call->event.json, "size", task->args[2]);
    if (task->nr == SYS_write)
        json_object_object_add(call->event.json, "data",
                               bytes_at(task, task->args[1], task->args[2]));
    return true;
}

void answer_transfer(struct watch *w, struct task *task, struct watched_call *call)
{
    unsigned char bytes[MAX_TRANSFER];
    json_object *data;
    long size;

    (void)w;
    task_skip(task);
    if (task->nr != SYS_read || !json_object_object_get_ex(call->event.answer, "data", &data))
        return;
    size = bytes_of_json(data, bytes, sizeof bytes);
    if (size > 0 && (uint64_t)size <= task->args[2])
        task_write(task, task->args[1], bytes, (size_t)size);
}

void end_transfer(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    (void)w;
    event_result(call->event.json, result);
    if (task->nr == SYS_read && result >= 0)
        json_object_object_add(call->event.json, "data",
                               bytes_at(task, task->args[1], (size_t)result));
}

bool begin_seek(struct watch *w, struct task *task, struct watched_call *call)
{
    if (!begin_file(w, task, call))
        return false;
    json_add_int(call->event.json, "offset", (int64_t)task->args[1]);
    add_number(call->event.json, "whence", task->args[2]);
    return true;
}

/* Of a call that has no more to its answer than a result. */
void answer_result(struct watch *w, struct task *task, struct watched_call *call)
{
    (void)w;
    (void)call;
    task_skip(task);
}

void end_result(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    (void)w;
    (void)task;
    event_result(call->event.json, result);
}

static unsigned read_pollfds(struct task *task, struct pollfd *fds)
{
    if (!task->args[1] || task->args[1] > MAX_FDS ||
        task_read(task, fds, task->args[0], task->args[1] * sizeof *fds))
        return 0;
    return (unsigned)task->args[1];
}

bool begin_poll(struct watch *w, struct task *task, struct watched_call *call)
{
    json_object *list = json_object_new_array();
    struct pollfd fds[MAX_FDS];
    unsigned n = read_pollfds(task, fds);
    bool ours = false;

    for (unsigned i = 0; i < n; i++) {
        json_object *one = json_object_new_object();
        unsigned file = fds[i].fd < 0 ? 0 : file_of(w, task, fds[i].fd);

        if (file)
            add_number(one, "file", file);
        add_number(one, "events", (unsigned short)fds[i].events);
        json_object_array_add(list, one);
        ours |= file;
    }
    json_object_object_add(call->event.json, "fds", list);
    if (task->nr == SYS_poll)
        json_add_int(call->event.json, "timeout", (int)task->args[2]);
    return ours;
}

void answer_poll(struct watch *w, struct task *task, struct watched_call *call)
{
    struct pollfd fds[MAX_FDS];
    unsigned n = read_pollfds(task, fds);
    json_object *list, *value;

    (void)w;
    task_skip(task);
    if (!json_object_object_get_ex(call->event.answer, "revents", &list) ||
        json_object_array_length(list) != n)
        return;
    for (unsigned i = 0; i < n; i++) {
        value = json_object_array_get_idx(list, i);
        fds[i].revents = (short)json_object_get_int(value);
    }
    task_write(task, task->args[0], fds, n * sizeof *fds);
}

void end_poll(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    json_object *list = json_object_new_array();
    struct pollfd fds[MAX_FDS];
    unsigned n = result < 0 ? 0 : read_pollfds(task, fds);

    (void)w;
    event_result(call->event.json, result);
    for (unsigned i = 0; i < n; i++)
        json_object_array_add(list, json_object_new_int(fds[i].revents));
    json_object_object_add(call->event.json, "revents", list);
}
