/* SPDX-License-Identifier: MIT */
/* Records calls on memory: ioctl, mmap, munmap. */
#include "watch_i.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "json_add.h"
#include "window.h"

/* ---- ioctl ----------------------------------------------------------------------------------- */

static void name_address(struct watch *w, struct task *task, json_object *in, uint64_t addr)
{
    const struct held_piece *piece = space_piece_at(&w->space, task->tgid, addr);

    json_object_object_del(in, "vaddr");
    if (piece) {
        add_number(in, "mapping", piece->mapping);
        add_number(in, "at", piece->offset + (addr - piece->start));
    }
}

bool begin_ioctl(struct watch *w, struct task *task, struct watched_call *call)
{
    struct memory memory = memory_of(task);
    json_object *in;
    uint64_t addr;
    int on;

    if (!begin_file(w, task, call))
        return false;
    /* The kernel has these of all files, in no driver. */
    if ((unsigned)task->args[1] == FIOCLEX || (unsigned)task->args[1] == FIONCLEX ||
        (unsigned)task->args[1] == FIOASYNC)
        return false;
    call->row = ioctl_find(w->devices[call->file], (unsigned)task->args[1]);
    if ((unsigned)task->args[1] == FIONBIO && !task_read(task, &on, task->args[2], sizeof on)) {
        call->event.call = "set-flags";
        add_number(call->event.json, "flags", on ? O_NONBLOCK : 0);
        return true;
    }
    json_add_text(call->event.json, "request", call->row->name);
    if (!strcmp(call->row->name, "other"))
        add_number(call->event.json, "number", (unsigned)task->args[1]);
    in = ioctl_get(call->row, &memory, task->args[2], KERNEL_IN);
    if (in && call->row->flags & KERNEL_IOCTL_ADDRESS &&
        !task_read(task, &addr, task->args[2], sizeof addr))
        name_address(w, task, in, addr);
    json_object_object_add(call->event.json, "in", in);
    return true;
}

void answer_ioctl(struct watch *w, struct task *task, struct watched_call *call)
{
    struct memory memory = memory_of(task);
    json_object *out;

    (void)w;
    task_skip(task);
    if (json_object_object_get_ex(call->event.answer, "out", &out) && out)
        ioctl_put(call->row, &memory, task->args[2], out, KERNEL_OUT);
}

void end_ioctl(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    struct memory memory = memory_of(task);
    json_object *out;

    (void)w;
    event_result(call->event.json, result);
    if (result < 0 && !ioctl_fails_half_way(call->row))
        return;
    out = ioctl_get(call->row, &memory, task->args[2], KERNEL_OUT);
    if (out && json_object_object_length(out))
        json_object_object_add(call->event.json, "out", out);
    else
        json_object_put(out);
}

/* ---- mmap and munmap ------------------------------------------------------------------------- */

static bool is_regular(const struct task *task, int fd)
{
    struct stat st;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", task->tgid, fd);
    return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* What is mapped in the place of device mappings ends them. */
static bool begin_other_mmap(struct watch *w, struct task *task, struct watched_call *call)
{
    if (task->args[3] & MAP_FIXED && begin_munmap(w, task, call)) {
        task->alone = false;
        call->event.call = "munmap";
    } else {
        call->quiet = true;
    }
    return w->space.pieces;
}

bool begin_mmap(struct watch *w, struct task *task, struct watched_call *call)
{
    if (!(task->args[3] & MAP_ANONYMOUS))
        call->file = file_of(w, task, (int)task->args[4]);
    if (!call->file)
        return begin_other_mmap(w, task, call);
    /* Only a simulated machine's device is a regular file, and its server needs the thread. */
    w->simulated = w->simulated || (!w->replays && is_regular(task, (int)task->args[4]));
    task->alone = w->simulated;
    add_number(call->event.json, "file", call->file);
    add_number(call->event.json, "offset", task->args[5]);
    add_number(call->event.json, "length", task->args[1]);
    add_number(call->event.json, "prot", task->args[2]);
    add_number(call->event.json, "flags", task->args[3] & (MAP_SHARED | MAP_PRIVATE | MAP_FIXED));
    return true;
}

void answer_mmap(struct watch *w, struct task *task, struct watched_call *call)
{
    long result = event_recorded_result(call->event.answer);
    uint64_t args[6];

    (void)w;
    if (!call->file)
        return;
    if (result < 0) {
        task_skip(task);
        return;
    }
    memcpy(args, task->args, sizeof args);
    args[3] |= MAP_ANONYMOUS;
    /* Its contents can be written then. */
    if (!(args[2] & PROT_WRITE))
        args[3] = (args[3] & ~(uint64_t)MAP_TYPE) | MAP_PRIVATE;
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
        task_force(task, at, bytes, (size_t)n);
}

void take_pieces(struct watch *w, pid_t tgid, uint64_t start, uint64_t end, json_object *list)
{
    struct held_piece *piece;

    while ((piece = space_take_piece(&w->space, tgid, start, end))) {
        json_object *one = json_object_new_object();

        add_number(one, "mapping", piece->mapping);
        add_number(one, "at", piece->offset);
        add_number(one, "length", piece->end - piece->start);
        if (!space_has_mapping(&w->space, piece->mapping))
            json_add_bool(one, "last", true);
        json_object_array_add(list, one);
        free(piece);
    }
}

void end_mmap(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    uint64_t size = (task->args[1] + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    json_object *list = json_object_new_array();

    event_result(call->event.json, result < 0 && result > -4096 ? result : 0);
    /* Without MAP_FIXED there was nothing: what a child has no copy of, for one. */
    if (result >= 0 || result <= -4096)
        take_pieces(w, task->tgid, (uint64_t)result, (uint64_t)result + size, list);
    if (!call->file || json_object_array_length(list))
        json_object_object_add(call->event.json, "pieces", list);
    else
        json_object_put(list);
    if (!call->file || (result < 0 && result > -4096))
        return;
    w->nr_mappings = next_number(call, "mapping", w->nr_mappings);
    add_number(call->event.json, "mapping", w->nr_mappings);
    if (w->replays)
        put_contents(task, call->event.answer, (uint64_t)result, size);
    else
        add_contents(task, call->event.json, (uint64_t)result, size);
    space_add_piece(&w->space,
                    (struct held_piece){ task->tgid, (uint64_t)result, (uint64_t)result + size,
                                         w->nr_mappings, 0, NULL });
}

bool begin_munmap(struct watch *w, struct task *task, struct watched_call *call)
{
    uint64_t start = task->args[0],
             end = start + ((task->args[1] + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
    json_object *list = json_object_new_array();
    bool ours = false;

    json_object_object_add(call->event.json, "mappings", list);
    for (const struct held_piece *p = w->space.pieces; p; p = p->next) {
        if (p->tgid != task->tgid || p->end <= start || p->start >= end)
            continue;
        json_object_array_add(list, json_object_new_uint64(p->mapping));
        ours = true;
    }
    /* The server wants the thread for all that is unmapped where it places devices. */
    call->quiet = !ours;
    task->alone = w->simulated && (ours || (start >= WINDOW_START && start < WINDOW_END));
    return ours || task->alone;
}

void end_munmap(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    uint64_t start = task->args[0],
             end = start + ((task->args[1] + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
    json_object *list = json_object_new_array();

    if (!result)
        take_pieces(w, task->tgid, start, end, list);
    json_object_object_add(call->event.json, "pieces", list);
    event_result(call->event.json, result);
}
