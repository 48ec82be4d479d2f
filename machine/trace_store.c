/* SPDX-License-Identifier: MIT */
/* Writes what trace events of the store say, in the format of docs/trace.md. */
#include <stdint.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#include "trace_i.h"

#define VALUE_SHOWN 64u

static struct line *begin(struct machine *m, const struct trace_store *store, const char *op)
{
    struct line *line = trace_begin(m, store->domain, store->process, op);

    line_key(line, "args");
    line_text(line, "{");
    line_field_unsigned(line, "conn", store->conn);
    return line;
}

static void put_text(struct line *line, const char *key, const char *text)
{
    line_field_escaped(line, key, text, strlen(text));
}

void trace_store_asked(struct machine *m, const struct trace_store *store)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin(m, store, "store_request");
    line_field_unsigned(line, "type", store->type);
    line_field_unsigned(line, "tx", store->tx);
    line_field_hex(line, "hex", store->body, store->len);
    line_text(line, "}");
    trace_end(m, true);
}

/* What is written, as far as people look; all of it is in the request. */
static void put_value(struct line *line, const struct trace_store *store)
{
    const char *body = store->body, *value = memchr(body, 0, store->len);
    size_t size = value ? store->len - (size_t)(value + 1 - body) : 0;

    if (value)
        line_field_escaped(line, "value", value + 1, size < VALUE_SHOWN ? size : VALUE_SHOWN);
}

static void put_rule(struct line *line, uint64_t rule)
{
    if (rule)
        line_field_unsigned(line, "rule", rule);
}

void trace_store_done(struct machine *m, const struct trace_store *store, int error)
{
    const char *name = error ? strerrorname_np(error) : NULL;
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin(m, store, store->at);
    if (store->tx)
        line_field_unsigned(line, "tx", store->tx);
    if (store->path)
        put_text(line, "path", store->path);
    if (store->type == XS_WRITE)
        put_value(line, store);
    line_text(line, "}");
    if (name)
        line_field_string(line, "result", name);
    else
        line_field(line, "result", error);
    put_rule(line, store->rule);
    trace_end(m, false);
}

void trace_store_event(struct machine *m, const struct trace_store *store)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin(m, store, store->at);
    put_text(line, "path", store->path);
    put_text(line, "token", store->token);
    line_text(line, "}");
    put_rule(line, store->rule);
    trace_end(m, false);
}

void trace_store_connected(struct machine *m, const struct trace_store *store, bool there)
{
    if (!m->trace->on)
        return;
    line_text(begin(m, store, there ? "store_connect" : "store_disconnect"), "}");
    trace_end(m, true);
}

void trace_store_taken(struct machine *m, const struct trace_store *store)
{
    struct line *line;

    if (!m->trace->on)
        return;
    line = begin(m, store, "store_taken");
    line_field_unsigned(line, "size", store->len);
    line_text(line, "}");
    trace_end(m, true);
}
