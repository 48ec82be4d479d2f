/* SPDX-License-Identifier: MIT */
/* Keeps trace events and passes them on: the ring, the file and subscribers. */
#include "trace_i.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

#include "faults.h"
#include "machine.h"
#include "outlet.h"

#define RING_BYTES (8u << 20)
#define RING_EVENTS (1u << 16)
#define LONGEST_KEPT 65536u          /* a longer event is in the file only */
#define QUEUE_BYTES (8u << 20)       /* of events that are not in the file yet */
#define FLUSH_MS 20                  /* an event is in the file after this time at the latest */

/* ---- The ring -------------------------------------------------------------------------------- */

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
    *kept(t,
          t->next) = (struct kept){ .at = (uint32_t)at, .size = (uint32_t)size, .detail = detail };
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

/* ---- The file -------------------------------------------------------------------------------- */

/* In the outlet's thread. */
static void file_failed(void *ctx, int error)
{
    machine_log(ctx, "cannot write the trace: %s; it ends here", strerror(error));
}

/* A pipe without a reader yet is one whose reader is slow: the machine begins all the same. */
static int open_for_writing(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666);

    return fd < 0 && errno == ENXIO ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : fd;
}

int trace_to_file(struct machine *m, const char *path)
{
    struct outlet_config config = {
        .capacity = QUEUE_BYTES, .delay_ms = FLUSH_MS, .lost_format = "{\"lost\":%llu}\n",
        .failed = file_failed, .ctx = m
    };
    struct outlet *file;
    int rc;

    config.fd = open_for_writing(path);
    if (config.fd < 0)
        return -errno;
    rc = outlet_create(&file, &config);
    if (rc) {
        close(config.fd);
        return rc;
    }
    machine_lock(m);
    m->trace->file = file;
    trace_switch(m, true);
    machine_unlock(m);
    return 0;
}

void trace_unlocked(const struct machine *m)
{
    if (m->trace && m->trace->file)
        outlet_wait(m->trace->file);
}

/* ---- Subscribers ----------------------------------------------------------------------------- */

void trace_subscribe(struct machine *m, struct trace_subscriber *subscriber)
{
    DL_PREPEND(m->trace->subscribers, subscriber);
}

void trace_unsubscribe(struct machine *m, struct trace_subscriber *subscriber)
{
    if (!subscriber->prev)
        return;
    DL_DELETE(m->trace->subscribers, subscriber);
    subscriber->prev = NULL;
}

/* ---- Events ---------------------------------------------------------------------------------- */

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
    if (t->file)
        outlet_put(t->file, line->text, line->used);
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

/* ---- Life ------------------------------------------------------------------------------------ */

bool trace_is_on(const struct machine *m)
{
    return m->trace->on;
}

void trace_set_format(struct machine *m, unsigned format)
{
    m->trace->format = format;
}

void trace_switch(struct machine *m, bool on)
{
    if (on && !m->trace->on)
        trace_machine(m);
    m->trace->on = on;
    trace_listen(m);
}

static void hear_hypercall(void *ctx, const struct hv_point *point, long result)
{
    struct machine *m = ctx;

    if (m->trace->on)
        trace_hypercall(m, point, result);
    if (m->watched)
        PARTS_TELL(m, hypercall_over, m, point, result);
}

void trace_listen(struct machine *m)
{
    bool wanted = m->trace->on;

    for (unsigned i = 0; i < m->nr_parts; i++)
        wanted |= m->parts[i]->hypercall_over != NULL;
    hv_set_trace(m->hv, wanted ? hear_hypercall : NULL);
}

int trace_create(struct machine *m)
{
    struct trace *t = calloc(1, sizeof *t);

    m->trace = t;
    if (!t)
        return -ENOMEM;
    t->format = TRACE_FORMAT;
    t->bytes = malloc(RING_BYTES);
    t->index = malloc(RING_EVENTS * sizeof *t->index);
    return t->bytes && t->index ? 0 : -ENOMEM;
}

void trace_destroy(struct machine *m)
{
    struct trace *t = m->trace;

    if (!t)
        return;
    m->trace_error = outlet_finish(t->file);
    if (m->trace_error == ETIMEDOUT)
        machine_log(m, "the end of the trace was read by nobody");
    while (t->subscribers)
        trace_unsubscribe(m, t->subscribers);
    free(t->bytes);
    free(t->index);
    free(t->line.text);
    free(t);
    m->trace = NULL;
}
