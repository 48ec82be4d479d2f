/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ioctls.h"

#define PAGE_SIZE 4096ul
#define MAX_TRANSFER 65536u
#define MAX_FDS 1024u
#define MAX_NUMBER 1000000u
/* Of the contents of a new mapping, so much is kept. */
#define MAX_CONTENTS (256u * 1024)

static const char *const devices[] = { "gntdev", "gntalloc", "evtchn", "privcmd", "hypercall", NULL };

/* A call that is being watched. */
struct call {
    struct event event;
    const struct ioctl_row *row;
    unsigned file;
    const struct watched *watched;
};

struct watched {
    long nr;
    const char *name;
    /* Whether it is one of a device, and then its event in call->event.json. */
    bool (*begin)(struct watch *w, struct task *task, struct call *call);
    /* Replay: gives the recorded answer, or has a harmless call be made in its place. */
    void (*answer)(struct watch *w, struct task *task, struct call *call);
    /* When it is over. */
    void (*end)(struct watch *w, struct task *task, struct call *call, long result);
};

/* ---- Small things ------------------------------------------------------------------------------- */

static int memory_read(void *ctx, void *to, uint64_t from, size_t size)
{
    return task_read(ctx, to, from, size);
}

static int memory_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    return task_write(ctx, to, from, size);
}

static struct memory memory_of(struct task *task)
{
    return (struct memory){ memory_read, memory_write, task };
}

static void add_number(json_object *json, const char *name, uint64_t value)
{
    json_object_object_add(json, name, json_object_new_uint64(value));
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
    json_object_object_add(json, "result", json_object_new_int64(result < 0 ? -1 : result));
    if (result < 0) {
        const char *name = strerrorname_np((int)-result);

        json_object_object_add(json, "error", json_object_new_string(name ? name : "?"));
    }
}

long event_recorded_result(json_object *json)
{
    json_object *value;

    if (json_object_object_get_ex(json, "error", &value))
        return -errno_of(json_object_get_string(value));
    return json_object_object_get_ex(json, "result", &value) ? (long)json_object_get_int64(value) : 0;
}

static const char *text_of(json_object *json, const char *name)
{
    json_object *value;

    return json_object_object_get_ex(json, name, &value) ? json_object_get_string(value) : NULL;
}

/* The device of a path under /dev/xen (or /proc/xen), NULL if it is none of ours. */
static const char *device_of_path(const char *path)
{
    const char *name = !strncmp(path, "/dev/xen/", 9) ? path + 9 : !strncmp(path, "/proc/xen/", 10) ? path + 10 : NULL;

    for (const char *const *d = devices; name && *d; d++)
        if (!strcmp(name, *d))
            return *d;
    return NULL;
}

/* The number that a recorded answer has for something new, the next one without. */
static unsigned next_number(const struct call *call, const char *name, unsigned last)
{
    json_object *value;

    if (call->event.answer && json_object_object_get_ex(call->event.answer, name, &value))
        return (unsigned)json_object_get_uint64(value) % MAX_NUMBER;
    return last + 1;
}

static void name_file(struct watch *w, unsigned number, const char *device)
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

/* The open file behind a descriptor of a device, 0 if it is none. One that came in another way than by open gets a number now. */
static unsigned file_of(struct watch *w, const struct task *task, int fd)
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

static bool begin_file(struct watch *w, struct task *task, struct call *call)
{
    call->file = file_of(w, task, (int)task->args[0]);
    if (call->file)
        add_number(call->event.json, "file", call->file);
    return call->file;
}

/* ---- open --------------------------------------------------------------------------------------- */

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

static bool begin_open(struct watch *w, struct task *task, struct call *call)
{
    bool at = task->nr == SYS_openat;
    const char *device;
    char path[32];

    (void)w;
    if (!read_path(task, task->args[at], path, sizeof path) || !(device = device_of_path(path)))
        return false;
    json_object_object_add(call->event.json, "device", json_object_new_string(device));
    add_number(call->event.json, "flags", task->args[1 + at] & (O_ACCMODE | O_NONBLOCK));
    return true;
}

static void answer_open(struct watch *w, struct task *task, struct call *call)
{
    static const char null[] = "/dev/null";
    long result = event_recorded_result(call->event.answer);
    bool at = task->nr == SYS_openat;
    uint64_t args[6], place = task_scratch(task);

    (void)w;
    memcpy(args, task->args, sizeof args);
    args[at] = place;
    args[1 + at] = (args[1 + at] & ~(uint64_t)O_ACCMODE) | O_RDWR;
    if (result < 0 || task_write(task, place, null, sizeof null))
        task_skip(task);
    else
        task_set_args(task, args);
}

static void end_open(struct watch *w, struct task *task, struct call *call, long result)
{
    if (result >= 0) {
        call->file = next_number(call, "file", w->nr_files);
        name_file(w, call->file, text_of(call->event.json, "device"));
        space_add_fd(&w->space, task->tgid, (int)result, call->file);
        add_number(call->event.json, "file", call->file);
    }
    event_result(call->event.json, result < 0 ? result : 0);
}

/* ---- close and the copying of descriptors ------------------------------------------------------------ */

static bool begin_close(struct watch *w, struct task *task, struct call *call)
{
    return begin_file(w, task, call);
}

static void end_close(struct watch *w, struct task *task, struct call *call, long result)
{
    struct held_fd *held = space_fd(&w->space, task->tgid, (int)task->args[0]);

    if (held && space_drop_fd(&w->space, held))
        json_object_object_add(call->event.json, "last", json_object_new_boolean(true));
    event_result(call->event.json, result);
}

static bool begin_dup(struct watch *w, struct task *task, struct call *call)
{
    bool is_fcntl = task->nr == SYS_fcntl;

    if (is_fcntl && task->args[1] != F_DUPFD && task->args[1] != F_DUPFD_CLOEXEC && task->args[1] != F_SETFL)
        return false;
    if (!begin_file(w, task, call))
        return false;
    if (is_fcntl && task->args[1] == F_SETFL) {
        call->event.call = "set-flags";
        add_number(call->event.json, "flags", task->args[2] & O_NONBLOCK);
    }
    return true;
}

static void end_dup(struct watch *w, struct task *task, struct call *call, long result)
{
    if (strcmp(call->event.call, "set-flags") && result >= 0)
        space_add_fd(&w->space, task->tgid, (int)result, call->file);
    event_result(call->event.json, result < 0 ? result : 0);
}

/* ---- ioctl -------------------------------------------------------------------------------------- */

static void name_address(struct watch *w, struct task *task, json_object *in, uint64_t addr)
{
    const struct held_piece *piece = space_piece_at(&w->space, task->tgid, addr);

    json_object_object_del(in, "vaddr");
    if (piece) {
        add_number(in, "mapping", piece->mapping);
        add_number(in, "at", piece->offset + (addr - piece->start));
    }
}

static bool begin_ioctl(struct watch *w, struct task *task, struct call *call)
{
    struct memory memory = memory_of(task);
    json_object *in;
    uint64_t addr;

    if (!begin_file(w, task, call))
        return false;
    call->row = ioctl_find(w->devices[call->file], (unsigned)task->args[1]);
    json_object_object_add(call->event.json, "request", json_object_new_string(ioctl_name(call->row)));
    if (!strcmp(ioctl_name(call->row), "other"))
        add_number(call->event.json, "number", (unsigned)task->args[1]);
    in = ioctl_get(call->row, &memory, task->args[2], IN);
    if (in && ioctl_address_at(call->row) >= 0 &&
        !task_read(task, &addr, task->args[2] + (unsigned)ioctl_address_at(call->row), sizeof addr))
        name_address(w, task, in, addr);
    json_object_object_add(call->event.json, "in", in);
    return true;
}

static void answer_ioctl(struct watch *w, struct task *task, struct call *call)
{
    struct memory memory = memory_of(task);
    json_object *out;

    (void)w;
    task_skip(task);
    if (json_object_object_get_ex(call->event.answer, "out", &out) && out)
        ioctl_put(call->row, &memory, task->args[2], out, OUT);
}

static void end_ioctl(struct watch *w, struct task *task, struct call *call, long result)
{
    struct memory memory = memory_of(task);
    json_object *out;

    (void)w;
    event_result(call->event.json, result);
    if (result < 0)
        return;
    out = ioctl_get(call->row, &memory, task->args[2], OUT);
    if (out && json_object_object_length(out))
        json_object_object_add(call->event.json, "out", out);
    else
        json_object_put(out);
}

/* ---- read, write, poll --------------------------------------------------------------------------- */

static json_object *bytes_at(struct task *task, uint64_t at, size_t size)
{
    unsigned char bytes[MAX_TRANSFER];

    return size > sizeof bytes || task_read(task, bytes, at, size) ? NULL : json_bytes(bytes, size);
}

static bool begin_transfer(struct watch *w, struct task *task, struct call *call)
{
    if (!begin_file(w, task, call))
        return false;
    add_number(call->event.json, "size", task->args[2]);
    if (task->nr == SYS_write)
        json_object_object_add(call->event.json, "data", bytes_at(task, task->args[1], task->args[2]));
    return true;
}

static void answer_transfer(struct watch *w, struct task *task, struct call *call)
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

static void end_transfer(struct watch *w, struct task *task, struct call *call, long result)
{
    (void)w;
    event_result(call->event.json, result);
    if (task->nr == SYS_read && result >= 0)
        json_object_object_add(call->event.json, "data", bytes_at(task, task->args[1], (size_t)result));
}

static bool begin_seek(struct watch *w, struct task *task, struct call *call)
{
    if (!begin_file(w, task, call))
        return false;
    json_object_object_add(call->event.json, "offset", json_object_new_int64((int64_t)task->args[1]));
    add_number(call->event.json, "whence", task->args[2]);
    return true;
}

/* Of a call that has no more to its answer than a result. */
static void answer_result(struct watch *w, struct task *task, struct call *call)
{
    (void)w;
    (void)call;
    task_skip(task);
}

static void end_result(struct watch *w, struct task *task, struct call *call, long result)
{
    (void)w;
    (void)task;
    event_result(call->event.json, result);
}

static unsigned read_pollfds(struct task *task, struct pollfd *fds)
{
    if (!task->args[1] || task->args[1] > MAX_FDS || task_read(task, fds, task->args[0], task->args[1] * sizeof *fds))
        return 0;
    return (unsigned)task->args[1];
}

static bool begin_poll(struct watch *w, struct task *task, struct call *call)
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
        json_object_object_add(call->event.json, "timeout", json_object_new_int((int)task->args[2]));
    return ours;
}

static void answer_poll(struct watch *w, struct task *task, struct call *call)
{
    struct pollfd fds[MAX_FDS];
    unsigned n = read_pollfds(task, fds);
    json_object *list, *value;

    (void)w;
    task_skip(task);
    if (!json_object_object_get_ex(call->event.answer, "revents", &list) || json_object_array_length(list) != n)
        return;
    for (unsigned i = 0; i < n; i++) {
        value = json_object_array_get_idx(list, i);
        fds[i].revents = (short)json_object_get_int(value);
    }
    task_write(task, task->args[0], fds, n * sizeof *fds);
}

static void end_poll(struct watch *w, struct task *task, struct call *call, long result)
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

/* ---- mmap and munmap ----------------------------------------------------------------------------- */

static bool is_regular(const struct task *task, int fd)
{
    struct stat st;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", task->tgid, fd);
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

static bool begin_mmap(struct watch *w, struct task *task, struct call *call)
{
    if (task->args[3] & MAP_ANONYMOUS)
        return false;
    call->file = file_of(w, task, (int)task->args[4]);
    if (!call->file)
        return false;
    /* Only a simulated machine's device is a regular file; its server needs the thread for itself. */
    w->simulated = w->simulated || (!w->replays && is_regular(task, (int)task->args[4]));
    task->alone = w->simulated;
    add_number(call->event.json, "file", call->file);
    add_number(call->event.json, "offset", task->args[5]);
    add_number(call->event.json, "length", task->args[1]);
    add_number(call->event.json, "prot", task->args[2]);
    add_number(call->event.json, "flags", task->args[3] & (MAP_SHARED | MAP_PRIVATE | MAP_FIXED));
    return true;
}

static void answer_mmap(struct watch *w, struct task *task, struct call *call)
{
    long result = event_recorded_result(call->event.answer);
    uint64_t args[6];

    (void)w;
    if (result < 0) {
        task_skip(task);
        return;
    }
    memcpy(args, task->args, sizeof args);
    args[3] |= MAP_ANONYMOUS;
    args[4] = (uint64_t)-1;
    args[5] = 0;
    task_set_args(task, args);
}

static void add_contents(struct task *task, json_object *json, uint64_t at, uint64_t size)
{
    static unsigned char bytes[MAX_CONTENTS];
    uint64_t kept = size < MAX_CONTENTS ? size : MAX_CONTENTS;

    if (task_read(task, bytes, at, kept))
        return;
    while (kept && !bytes[kept - 1])
        kept--;
    if (kept)
        json_object_object_add(json, "contents", json_bytes(bytes, kept));
}

static void put_contents(struct task *task, json_object *answer, uint64_t at, uint64_t size)
{
    static unsigned char bytes[MAX_CONTENTS];
    json_object *contents;
    long n;

    if (!json_object_object_get_ex(answer, "contents", &contents))
        return;
    n = bytes_of_json(contents, bytes, sizeof bytes);
    if (n > 0 && (uint64_t)n <= size)
        task_write(task, at, bytes, (size_t)n);
}

static void take_pieces(struct watch *w, pid_t tgid, uint64_t start, uint64_t end, json_object *list)
{
    struct held_piece *piece;

    while ((piece = space_take_piece(&w->space, tgid, start, end))) {
        json_object *one = json_object_new_object();

        add_number(one, "mapping", piece->mapping);
        add_number(one, "at", piece->offset);
        add_number(one, "length", piece->end - piece->start);
        if (!space_has_mapping(&w->space, piece->mapping))
            json_object_object_add(one, "last", json_object_new_boolean(true));
        json_object_array_add(list, one);
        free(piece);
    }
}

static void end_mmap(struct watch *w, struct task *task, struct call *call, long result)
{
    uint64_t size = (task->args[1] + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

    event_result(call->event.json, result < 0 && result > -4096 ? result : 0);
    if (result < 0 && result > -4096)
        return;
    w->nr_mappings = next_number(call, "mapping", w->nr_mappings);
    add_number(call->event.json, "mapping", w->nr_mappings);
    if (w->replays)
        put_contents(task, call->event.answer, (uint64_t)result, size);
    else
        add_contents(task, call->event.json, (uint64_t)result, size);
    space_add_piece(&w->space, (struct held_piece){ task->tgid, (uint64_t)result, (uint64_t)result + size, w->nr_mappings, 0, NULL });
}

static bool begin_munmap(struct watch *w, struct task *task, struct call *call)
{
    uint64_t start = task->args[0], end = start + ((task->args[1] + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
    json_object *list = json_object_new_array();
    bool ours = false;

    json_object_object_add(call->event.json, "mappings", list);
    for (const struct held_piece *p = w->space.pieces; p; p = p->next) {
        if (p->tgid != task->tgid || p->end <= start || p->start >= end)
            continue;
        json_object_array_add(list, json_object_new_uint64(p->mapping));
        ours = true;
    }
    task->alone = ours && w->simulated;
    return ours;
}

static void end_munmap(struct watch *w, struct task *task, struct call *call, long result)
{
    uint64_t start = task->args[0], end = start + ((task->args[1] + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
    json_object *list = json_object_new_array();

    if (!result)
        take_pieces(w, task->tgid, start, end, list);
    json_object_object_add(call->event.json, "pieces", list);
    event_result(call->event.json, result);
}

/* ---- The table ---------------------------------------------------------------------------------- */

/* Without an answer a call is made in replay, too. */
static const struct watched table[] = {
    { SYS_open, "open", begin_open, answer_open, end_open },
    { SYS_openat, "open", begin_open, answer_open, end_open },
    { SYS_close, "close", begin_close, NULL, end_close },
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
    { SYS_mmap, "mmap", begin_mmap, answer_mmap, end_mmap },
    { SYS_munmap, "munmap", begin_munmap, NULL, end_munmap },
};

static json_object *new_event(const struct task *task, const char *call)
{
    json_object *json = json_object_new_object();

    json_object_object_add(json, "task", json_object_new_string(task->name));
    json_object_object_add(json, "call", json_object_new_string(call));
    return json;
}

static bool enter(void *ctx, struct task *task)
{
    struct watch *w = ctx;
    const struct watched *watched = table;
    struct call *call;
    bool stop = false;

    while (watched < table + sizeof table / sizeof *table && watched->nr != task->nr)
        watched++;
    if (watched == table + sizeof table / sizeof *table)
        return false;
    call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->watched = watched;
    call->event = (struct event){ .json = new_event(task, watched->name), .call = watched->name, .task = task };
    if (!watched->begin(w, task, call)) {
        json_object_put(call->event.json);
        free(call);
        return false;
    }
    if (strcmp(call->event.call, watched->name))
        json_object_object_add(call->event.json, "call", json_object_new_string(call->event.call));
    task->call = call;
    if (w->before)
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
    struct call *call = task->call;

    if (call->event.answer && task->skipped) {
        result = event_recorded_result(call->event.answer);
        task_set_result(task, result);
    }
    call->watched->end(w, task, call, result);
    w->after(w->ctx, &call->event);
    json_object_put(call->event.json);
    call->event.json = NULL;
}

static void report(struct watch *w, struct task *task, const char *name, json_object *json)
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

/* What a process loses when it ends or executes another program. */
static void lost(struct watch *w, struct task *task, const char *name, bool everything)
{
    json_object *json = new_event(task, name), *files = json_object_new_array(), *pieces = json_object_new_array();

    take_pieces(w, task->tgid, 0, UINT64_MAX, pieces);
    for (struct held_fd *f = w->space.fds, *next; f; f = next) {
        char link[64], path[64];
        json_object *number;

        next = f->next;
        snprintf(link, sizeof link, "/proc/%d/fd/%d", task->tgid, f->fd);
        if (f->tgid != task->tgid || (!everything && readlink(link, path, sizeof path) > 0))
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
        report(w, task, name, json);
    else
        json_object_put(json);
}

static void executed(void *ctx, struct task *task)
{
    lost(ctx, task, "exec", false);
}

static void ended(void *ctx, struct task *task, bool last)
{
    struct call *call = task->call;

    if (call)
        json_object_put(call->event.json);
    if (last)
        lost(ctx, task, "exit", true);
}

int watch_run(struct watch *watch, char **argv)
{
    static const struct trace_ops ops = { enter, leave, began, executed, ended };
    int rc = trace_run(argv, &ops, watch);

    space_free(&watch->space);
    for (unsigned i = 1; i <= watch->nr_files; i++)
        free(watch->devices[i]);
    free(watch->devices);
    watch->devices = NULL;
    return rc;
}
