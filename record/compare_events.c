/* SPDX-License-Identifier: MIT */
/* Compares reads, writes and polls of event channels, and delivers recorded events. */
#include "compare_i.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "ioctls.h"

#define BUFFER (ARENA_START + 1024 * 1024)

/* An event that came from another domain comes. */
static void provoke(struct comparison *c, uint32_t recorded)
{
    struct port *p = find_port(c, recorded);
    struct evtchn_bind_interdomain bind = { .remote_dom = c->world.self,
                                            .remote_port = p ? p->model : 0 };
    struct evtchn_send send;

    if (!p || p->remote == c->world.self || !world_kernel(&c->world, p->remote))
        return;
    if (!p->remote_port &&
        !hv_event_channel_op(c->world.hv, p->remote, EVTCHNOP_bind_interdomain, &bind))
        p->remote_port = bind.local_port;
    send.port = p->remote_port;
    if (send.port)
        hv_event_channel_op(c->world.hv, p->remote, EVTCHNOP_send, &send);
    world_settle(&c->world);
}

/* Makes the events come that a recorded read answers, if they come from others. */
static void provoke_all(struct comparison *c, json_object *event)
{
    uint32_t ports[16384];
    json_object *data;
    long size;

    if (!json_object_object_get_ex(event, "data", &data))
        return;
    size = bytes_of_json(data, ports, sizeof ports);
    for (long i = 0; i < size / (long)sizeof *ports; i++)
        provoke(c, ports[i]);
}

static bool is_readable(struct model_file *f)
{
    return kernel_poll(f->file) & (POLLIN | POLLERR);
}

void compare_read(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = model_file_of(c, event);
    unsigned char *buffer = c->world.arena + (BUFFER - ARENA_START);
    uint64_t size = (uint64_t)record_number(event, "size", 0);
    struct kreq req = model_request(c);
    uint32_t got[16384];
    json_object *data;
    long rc, n;

    if (!f || size > sizeof got)
        return;
    if (!strcmp(f->device, "evtchn") && recorded > 0 && !is_readable(f))
        provoke_all(c, event);
    rc = model_settle(c, kernel_read(f->file, buffer, size, &req), &req);
    if (recorded == -EINTR && rc == KERNEL_PENDING)
        rc = -EINTR;
    compare_results(c, recorded, rc);
    if (rc <= 0 || rc != recorded || !json_object_object_get_ex(event, "data", &data))
        return;
    n = bytes_of_json(data, got, sizeof got) / (long)sizeof *got;
    for (long i = 0; i < n; i++) {
        uint32_t wanted = model_port(c, got[i]), found = 0;

        /* Those that were pending at once come in any order. */
        for (long k = 0; k < n && !found; k++) {
            uint32_t port;

            memcpy(&port, buffer + k * (long)sizeof port, sizeof port);
            found = port == wanted;
        }
        compare_numbers(c, "the event of a port", 1, found);
    }
}

void compare_write(struct comparison *c, json_object *event, long recorded)
{
    struct model_file *f = model_file_of(c, event);
    uint32_t ports[16384];
    json_object *data;
    long size, rc;

    if (!f || !json_object_object_get_ex(event, "data", &data) || !data)
        return;
    size = bytes_of_json(data, ports, sizeof ports);
    if (size < 0 || size != record_number(event, "size", -1))
        return;
    for (long i = 0; i < size / (long)sizeof *ports; i++)
        ports[i] = model_port(c, ports[i]);
    rc = kernel_write(f->file, ports, (size_t)size);
    world_settle(&c->world);
    compare_results(c, recorded, rc);
}

/* The events of a poll are told by the next read. */
static json_object *next_read(const struct comparison *c, long long file)
{
    for (size_t i = c->at; i < c->record->nr; i++)
        if (!strcmp(record_text(c->record->events[i], "call"), "read") &&
            record_number(c->record->events[i], "file", 0) == file)
            return c->record->events[i];
    return NULL;
}

void compare_poll(struct comparison *c, json_object *event, long recorded)
{
    json_object *fds, *revents;

    json_object_object_get_ex(event, "fds", &fds);
    json_object_object_get_ex(event, "revents", &revents);
    for (size_t i = 0; recorded >= 0 && i < json_object_array_length(fds) &&
                       i < json_object_array_length(revents);
         i++) {
        json_object *one = json_object_array_get_idx(fds, i);
        json_object *told = json_object_array_get_idx(revents, i);
        int got = json_object_get_int(told), model;
        struct model_file *f = model_file_of(c, one);

        if (!f || !told)
            continue;
        if (got & POLLIN && !is_readable(f) && next_read(c, record_number(one, "file", 0)))
            provoke_all(c, next_read(c, record_number(one, "file", 0)));
        model = (int)kernel_poll(f->file) &
                ((int)record_number(one, "events", 0) | POLLERR | POLLHUP);
        compare_numbers(c, "revents", got, model);
    }
}
