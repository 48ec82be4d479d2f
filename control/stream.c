/* SPDX-License-Identifier: MIT */
/* Sends trace events to a control connection that subscribed to them. */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "container_of.h"
#include "machine.h"
#include "main_loop.h"

#define CHUNK 65536u

/*
 * Under the lock, with each event: a slow reader only falls behind, and loses what the ring loses.
 */
static void on_event(struct trace_subscriber *subscriber, const char *line, size_t size,
                     bool detail)
{
    struct stream *stream = container_of(subscriber, struct stream, subscriber);

    (void)line;
    (void)size;
    if (stream->scheduled || (detail && !stream->detail))
        return;
    stream->scheduled = true;
    machine_rearm(stream->machine, stream->watch, EPOLLIN | EPOLLOUT);
}

struct stream *stream_create(struct machine *m, struct watch *watch, uint64_t from, bool detail)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return NULL;
    *stream = (struct stream){
        .machine = m, .watch = watch, .subscriber.event = on_event, .next = from, .detail = detail,
        .scheduled = true
    };
    trace_subscribe(m, &stream->subscriber);
    return stream;
}

void stream_destroy(struct stream *stream)
{
    if (!stream)
        return;
    /* When the machine has ended, so has the subscription, and there is no lock any more. */
    if (stream->subscriber.prev) {
        machine_lock_only(stream->machine);
        trace_unsubscribe(stream->machine, &stream->subscriber);
        machine_unlock_only(stream->machine);
    }
    free(stream->out);
    free(stream);
}

/* Takes the next events. False: there are none; with the lock. */
static bool fill(struct stream *stream)
{
    uint64_t first = trace_first(stream->machine),
             lost = stream->next < first ? first - stream->next : 0;
    const char *line;
    size_t size;

    stream->size = stream->sent = 0;
    if (lost)
        stream->size = (size_t)snprintf(stream->out, CHUNK, "{\"lost\":%llu}\n",
                                        (unsigned long long)lost);
    while ((line = trace_line(stream->machine, &stream->next, stream->detail, &size))) {
        if (stream->size && stream->size + size > CHUNK)
            break;
        if (size > CHUNK) {      /* is longer than any that is kept */
            stream->next++;
            continue;
        }
        memcpy(stream->out + stream->size, line, size);
        stream->size += size;
        stream->next++;
    }
    return stream->size != 0;
}

bool stream_ready(struct stream *stream)
{
    struct machine *m = stream->machine;
    char ignored[256];
    ssize_t n = recv(stream->watch->fd, ignored, sizeof ignored, MSG_DONTWAIT);

    if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    if (!stream->out && !(stream->out = malloc(CHUNK + 64)))
        return false;
    machine_lock_only(m);
    if (stream->sent == stream->size)
        fill(stream);
    machine_unlock_only(m);
    if (stream->sent < stream->size) {
        n = send(stream->watch->fd, stream->out + stream->sent, stream->size - stream->sent,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n > 0)
            stream->sent += (size_t)n;
    }
    machine_lock_only(m);
    stream->scheduled = stream->sent < stream->size || stream->next < trace_next(m);
    machine_rearm(m, stream->watch, stream->scheduled ? EPOLLIN | EPOLLOUT : EPOLLIN);
    machine_unlock_only(m);
    return true;
}
