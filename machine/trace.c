/* SPDX-License-Identifier: MIT */
/* Keeping events: the ring, the file, subscribers. What events say is in trace_events.c. */
#include "trace_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "faults.h"
#include "machine.h"

#define RING_BYTES (8u << 20)
#define RING_EVENTS (1u << 16)
#define LONGEST_KEPT 65536u          /* a longer event is in the file only */
#define FILE_BUFFER (256u << 10)
#define FLUSH_NS 20000000            /* an event is in the file after this time at the latest */

/* ---- The ring --------------------------------------------------------------------------------- */

static struct kept *kept(const struct trace *t, uint64_t seq)
{
    return &t->index[seq % RING_EVENTS];
}

uint64_t trace_first(const struct machine *m)
{
    return m->trace->first;
}

uint64_t trace_next(const struct machine *m)
{
    return m->trace->next;
}

/* Lets go of old events until size bytes are free in one piece; returns where. */
static size_t make_room(struct trace *t, size_t size)
{
    size_t at = t->head;

    if (t->next - t->first == RING_EVENTS)
        t->first++;
    if (at + size > RING_BYTES)
        at = 0;
    while (t->first != t->next) {
        const struct kept *oldest = kept(t, t->first);
        size_t end = oldest->at + oldest->size;
        bool behind_head = at == 0 && t->head != 0 && oldest->at >= t->head;

        if (!behind_head && (oldest->at >= at + size || end <= at))
            break;
        t->first++;
    }
    return at;
}

static void keep(struct trace *t, const char *text, size_t size, bool detail)
{
    size_t at = make_room(t, size);

    memcpy(t->bytes + at, text, size);
    *kept(t, t->next) = (struct kept){ .at = (uint32_t)at, .size = (uint32_t)size, .detail = detail };
    t->next++;
    t->head = at + size;
}

const char *trace_line(const struct machine *m, uint64_t *seq, bool detail, size_t *size)
{
    const struct trace *t = m->trace;

    if (*seq < t->first)
        *seq = t->first;
    for (; *seq < t->next; ++*seq) {
        const struct kept *event = kept(t, *seq);

        if (event->detail && !detail)
            continue;
        *size = event->size;
        return t->bytes + event->at;
    }
    return NULL;
}

/* ---- The file --------------------------------------------------------------------------------- */

static void file_failed(struct machine *m)
{
    machine_log(m, "cannot write the trace: %s; it ends here", strerror(errno));
    close(m->trace->fd);
    m->trace->fd = -1;
}

void trace_flush(struct machine *m)
{
    struct trace *t = m->trace;
    size_t done = 0;

    while (t->fd >= 0 && done < t->unwritten) {
        ssize_t n = write(t->fd, t->buffer + done, t->unwritten - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            file_failed(m);
    }
    t->unwritten = 0;
}

static void flush_ready(void *ctx, unsigned events)
{
    struct machine *m = ctx;
    uint64_t count;

    (void)events;
    if (read(m->trace->flush.fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    machine_rearm(m, &m->trace->flush, EPOLLIN);
    machine_lock(m);
    trace_flush(m);
    machine_unlock(m);
}

static void to_file(struct machine *m, const char *text, size_t size)
{
    struct itimerspec soon = { .it_value.tv_nsec = FLUSH_NS };
    struct trace *t = m->trace;

    if (t->unwritten + size > FILE_BUFFER)
        trace_flush(m);
    if (size > FILE_BUFFER) {
        while (t->fd >= 0 && size) {
            ssize_t n = write(t->fd, text, size);

            if (n < 0 && errno != EINTR)
                file_failed(m);
            if (n > 0) {
                text += n;
                size -= (size_t)n;
            }
        }
        return;
    }
    if (!t->unwritten)
        timerfd_settime(t->flush.fd, 0, &soon, NULL);
    memcpy(t->buffer + t->unwritten, text, size);
    t->unwritten += size;
}

int trace_to_file(struct machine *m, const char *path)
{
    struct trace *t = m->trace;
    int rc;

    t->buffer = malloc(FILE_BUFFER);
    t->flush = (struct watch){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), flush_ready, m };
    if (!t->buffer || t->flush.fd < 0)
        return -ENOMEM;
    t->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (t->fd < 0)
        return -errno;
    rc = machine_watch(m, &t->flush, EPOLLIN);
    if (!rc)
        trace_switch(m, true);
    return rc;
}

/* ---- Subscribers ------------------------------------------------------------------------------ */

void trace_subscribe(struct machine *m, struct trace_subscriber *subscriber)
{
    struct trace *t = m->trace;

    subscriber->next = t->subscribers;
    subscriber->pprev = &t->subscribers;
    if (subscriber->next)
        subscriber->next->pprev = &subscriber->next;
    t->subscribers = subscriber;
}

void trace_unsubscribe(struct trace_subscriber *subscriber)
{
    if (!subscriber->pprev)
        return;
    *subscriber->pprev = subscriber->next;
    if (subscriber->next)
        subscriber->next->pprev = subscriber->pprev;
    subscriber->pprev = NULL;
}

/* ---- Events ----------------------------------------------------------------------------------- */

struct line *trace_begin(struct machine *m, int domain, int64_t process, const char *op)
{
    struct line *line = &m->trace->line;

    line->used = 0;
    line->failed = false;
    line_text(line, "{");
    line_field_unsigned(line, "seq", m->trace->next);
    line_field_unsigned(line, "time", m->clock.now);
    line_key(line, "domain");
    if (domain >= 0)
        line_number(line, domain);
    else
        line_text(line, "null");
    line_key(line, "pid");
    if (process)
        line_number(line, process);
    else
        line_text(line, "null");
    line_field_string(line, "op", op);
    return line;
}

void trace_end(struct machine *m, bool detail)
{
    struct trace *t = m->trace;
    struct line *line = &t->line;

    line_text(line, "}\n");
    if (line->failed)
        return;
    if (t->fd >= 0)
        to_file(m, line->text, line->used);
    for (struct trace_subscriber *s = t->subscribers, *next; s; s = next) {
        next = s->next;
        s->event(s, line->text, line->used, detail);
    }
    if (line->used <= LONGEST_KEPT) {
        keep(t, line->text, line->used, detail);
        return;
    }
    line->used = 0;
    line_text(line, "{");
    line_field_unsigned(line, "seq", t->next);
    line_field_unsigned(line, "time", m->clock.now);
    line_text(line, ",\"domain\":null,\"pid\":null,\"op\":\"too_long\"}\n");
    keep(t, line->text, line->used, detail);
}

/* ---- Life ------------------------------------------------------------------------------------- */

bool trace_is_on(const struct machine *m)
{
    return m->trace->on;
}

void trace_switch(struct machine *m, bool on)
{
    if (on && !m->trace->on)
        trace_machine(m);
    m->trace->on = on;
    hv_set_trace(m->hv, on ? trace_hypercall : NULL);
    faults_decided(m);
}

int trace_create(struct machine *m)
{
    struct trace *t = calloc(1, sizeof *t);

    m->trace = t;
    if (!t)
        return -ENOMEM;
    t->fd = -1;
    t->flush.fd = -1;
    t->bytes = malloc(RING_BYTES);
    t->index = malloc(RING_EVENTS * sizeof *t->index);
    return t->bytes && t->index ? 0 : -ENOMEM;
}

void trace_destroy(struct machine *m)
{
    struct trace *t = m->trace;

    if (!t)
        return;
    trace_flush(m);
    while (t->subscribers)
        trace_unsubscribe(t->subscribers);
    if (t->fd >= 0)
        close(t->fd);
    if (t->flush.fd >= 0)
        close(t->flush.fd);
    free(t->buffer);
    free(t->bytes);
    free(t->index);
    free(t->line.text);
    free(t);
    m->trace = NULL;
}
