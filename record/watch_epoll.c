/* SPDX-License-Identifier: MIT */
/* Records epoll_wait as a poll of what was asked for when it began, in the order of addition. */
#include "watch_i.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "json_add.h"

/* What poll does not have. */
#define MODES (EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP)

/* ---- What is asked for ----------------------------------------------------------------------- */

void end_epoll_create(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    (void)call;
    if (result >= 0)
        space_drop_epoll(&w->space, task->tgid, (int)result);
}

void end_epoll_ctl(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    struct interest asked = { .tgid = task->tgid,
                              .epoll = (int)task->args[0],
                              .fd = (int)task->args[2] };
    struct epoll_event event;

    (void)call;
    if (result)
        return;
    if ((int)task->args[1] == EPOLL_CTL_DEL) {
        space_drop_interest(&w->space, &asked);
    } else if (!task_read(task, &event, task->args[3], sizeof event)) {
        asked.file = file_of(w, task, asked.fd);
        asked.events = event.events;
        asked.data = event.data.u64;
        space_set_interest(&w->space, &asked);
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void free_interest(json_object *json, void *interest)
{
    (void)json;
    free(interest);
}

bool begin_epoll_wait(struct watch *w, struct task *task, struct watched_call *call)
{
    json_object *list = json_object_new_array();
    bool ours = false;

    json_object_object_add(call->event.json, "fds", list);
    for (const struct interest *i = w->space.interests; i; i = i->next) {
        json_object *one;
        struct interest *copy;

        if (i->tgid != task->tgid || i->epoll != (int)task->args[0])
            continue;
        one = json_object_new_object();
        copy = malloc(sizeof *copy);
        if (!one || !copy)
            abort();
        *copy = *i;
        json_object_set_userdata(one, copy, free_interest);
        if (i->file)
            add_number(one, "file", i->file);
        add_number(one, "events", i->events & ~MODES);
        json_object_array_add(list, one);
        ours |= i->file;
    }
    if (task->nr != SYS_epoll_pwait2)
        json_add_int(call->event.json, "timeout", (int)task->args[3]);
    return ours;
}

static const struct interest *interest_at(const struct watched_call *call, size_t i)
{
    return json_object_get_userdata(
        json_object_array_get_idx(json_object_object_get(call->event.json, "fds"), i));
}

static size_t nr_interests(const struct watched_call *call)
{
    return json_object_array_length(json_object_object_get(call->event.json, "fds"));
}

static size_t room_of(const struct task *task)
{
    return (int)task->args[2] < 0 ? 0 : (unsigned)task->args[2];
}

void answer_epoll_wait(struct watch *w, struct task *task, struct watched_call *call)
{
    json_object *list;
    size_t n = 0;

    (void)w;
    task_skip(task);
    if (!json_object_object_get_ex(call->event.answer, "revents", &list) ||
        !json_object_is_type(list, json_type_array))
        return;
    for (size_t i = 0;
         i < nr_interests(call) && i < json_object_array_length(list) && n < room_of(task); i++) {
        struct epoll_event event = { .events = (uint32_t)json_object_get_int(
                                         json_object_array_get_idx(list, i)),
                                     .data.u64 = interest_at(call, i)->data };

        if (event.events)
            task_write(task, task->args[1] + n++ * sizeof event, &event, sizeof event);
    }
}

/* The events of an interest among those that came, which are told apart by their data. */
static uint32_t take_events(struct epoll_event *events, long n, const struct interest *interest)
{
    uint32_t found;

    for (long i = 0; i < n; i++) {
        found = events[i].events;
        if (!found || events[i].data.u64 != interest->data ||
            found & ~(interest->events | EPOLLERR | EPOLLHUP))
            continue;
        events[i].events = 0;
        return found;
    }
    return 0;
}

/* Another one with the same data: which of them an event is of, nobody can tell. */
static bool has_twin(const struct watched_call *call, size_t i)
{
    for (size_t k = 0; k < nr_interests(call); k++)
        if (k != i && interest_at(call, k)->data == interest_at(call, i)->data)
            return true;
    return false;
}

void end_epoll_wait(struct watch *w, struct task *task, struct watched_call *call, long result)
{
    json_object *list = json_object_new_array();
    struct epoll_event events[MAX_FDS];
    long n = result > (long)MAX_FDS ? (long)MAX_FDS : result, told = 0;

    (void)w;
    if (n > 0 && task_read(task, events, task->args[1], (size_t)n * sizeof *events))
        n = 0;
    for (size_t i = 0; result >= 0 && i < nr_interests(call); i++) {
        const struct interest *interest = interest_at(call, i);
        uint32_t found = take_events(events, n, interest);
        /* It may be ready all the same: told before, or there was no room. */
        bool unknown = !found && (interest->events & (EPOLLET | EPOLLONESHOT) ||
                                  (size_t)result == room_of(task) || has_twin(call, i));

        told += found != 0;
        json_object_array_add(list, unknown ? NULL : json_object_new_int((int)found));
    }
    json_object_object_add(call->event.json, "revents", list);
    event_result(call->event.json, result < 0 ? result : told);
}
