/* SPDX-License-Identifier: MIT */
/* Records select and pselect as a poll of the descriptors in their sets, in order. */
#include "watch_i.h"

#include <poll.h>
#include <string.h>

static const struct {
    unsigned argument;
    short event;
} sets[] = { { 1, POLLIN }, { 2, POLLOUT }, { 3, POLLPRI } };

#define NR_SETS (sizeof sets / sizeof *sets)

struct fd_sets {
    uint64_t words[NR_SETS][MAX_FDS / 64];
};

static unsigned nr_fds(const struct task *task)
{
    return (int)task->args[0] < 0 ? 0 : task->args[0] > MAX_FDS ? MAX_FDS : (unsigned)task->args[0];
}

static size_t set_size(const struct task *task)
{
    return (nr_fds(task) + 63) / 64 * sizeof(uint64_t);
}

static bool has(const uint64_t *set, unsigned fd)
{
    return set[fd / 64] >> fd % 64 & 1;
}

static bool read_sets(struct task *task, struct fd_sets *found)
{
    memset(found, 0, sizeof *found);
    for (unsigned i = 0; i < NR_SETS; i++) {
        uint64_t at = task->args[sets[i].argument];

        if (at && task_read(task, found->words[i], at, set_size(task)))
            return false;
    }
    return true;
}

static unsigned events_of(const struct fd_sets *in, unsigned fd)
{
    unsigned events = 0;

    for (unsigned i = 0; i < NR_SETS; i++)
        if (has(in->words[i], fd))
            events |= (unsigned)sets[i].event;
    return events;
}

bool begin_select(struct watch *w, struct task *task, struct watched_call *call)
{
    json_object *list = json_object_new_array();
    struct fd_sets asked;
    bool ours = false;

    json_object_object_add(call->event.json, "fds", list);
    if (!read_sets(task, &asked))
        return false;
    for (unsigned fd = 0; fd < nr_fds(task); fd++) {
        unsigned events = events_of(&asked, fd), file;
        json_object *one;

        if (!events)
            continue;
        call->selected[fd / 64] |= 1ull << fd % 64;
        one = json_object_new_object();
        file = file_of(w, task, (int)fd);
        if (file)
            add_number(one, "file", file);
        add_number(one, "events", events);
        json_object_array_add(list, one);
        ours |= file;
    }
    return ours;
}

void answer_select(struct watch *w, struct task *task, struct watched_call *call)
{
    struct fd_sets answer;
    json_object *list;
    size_t n = 0;

    (void)w;
    task_skip(task);
    memset(&answer, 0, sizeof answer);
    if (event_recorded_result(call->event.answer) < 0 ||
        !json_object_object_get_ex(call->event.answer, "revents", &list))
        return;
    for (unsigned fd = 0; fd < nr_fds(task); fd++) {
        int revents = has(call->selected, fd)
                        ? json_object_get_int(json_object_array_get_idx(list, n++))
                        : 0;

        for (unsigned i = 0; i < NR_SETS; i++)
            if (revents & sets[i].event)
                answer.words[i][fd / 64] |= 1ull << fd % 64;
    }
    for (unsigned i = 0; i < NR_SETS; i++)
        if (task->args[sets[i].argument])
            task_write(task, task->args[sets[i].argument], answer.words[i], set_size(task));
}

void end_select(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    json_object *list = json_object_new_array();
    struct fd_sets ready;

    (void)w;
    event_result(call->event.json, result);
    json_object_object_add(call->event.json, "revents", list);
    if (result < 0 || !read_sets(task, &ready))
        return;
    for (unsigned fd = 0; fd < nr_fds(task); fd++)
        if (has(call->selected, fd))
            json_object_array_add(list, json_object_new_int((int)events_of(&ready, fd)));
}
