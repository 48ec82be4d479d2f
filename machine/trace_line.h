/* SPDX-License-Identifier: MIT */
/* Builds one line of JSON, field by field. */
#ifndef GNTSIM_MACHINE_TRACE_LINE_H
#define GNTSIM_MACHINE_TRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct line {
    char *text;
    size_t used, capacity;
    bool failed;                 /* out of memory: the line is incomplete */
};

/* Room for size more bytes; NULL: no memory. */
char *line_more_room(struct line *line, size_t size);

/* Inline, so that known texts have a known length: this is what a trace costs. */
static inline char *line_room(struct line *line, size_t size)
{
    return line->capacity - line->used >= size ? line->text + line->used
                                               : line_more_room(line, size);
}
static inline void line_put(struct line *line, const char *text, size_t size)
{
    char *to = line_room(line, size);

    if (!to)
        return;
    memcpy(to, text, size);
    line->used += size;
}
static inline void line_text(struct line *line, const char *text)
{
    line_put(line, text, strlen(text));
}
/* ,"key": without the comma at the beginning of an object */
static inline void line_key(struct line *line, const char *key)
{
    size_t size = strlen(key);
    char *to = line_room(line, size + 4);

    if (!to)
        return;
    if (line->used && to[-1] != '{') {
        *to++ = ',';
        line->used++;
    }
    *to++ = '"';
    memcpy(to, key, size);
    to[size] = '"';
    to[size + 1] = ':';
    line->used += size + 3;
}
void line_number(struct line *line, int64_t value);
void line_unsigned(struct line *line, uint64_t value);
static inline void line_field(struct line *line, const char *key, int64_t value)
{
    line_key(line, key);
    line_number(line, value);
}
static inline void line_field_unsigned(struct line *line, const char *key, uint64_t value)
{
    line_key(line, key);
    line_unsigned(line, value);
}
static inline void line_field_string(struct line *line, const char *key, const char *value)
{
    line_key(line, key);
    line_put(line, "\"", 1);
    line_text(line, value);
    line_put(line, "\"", 1);
}
/* Any bytes: what is no plain character of JSON is \u00XX. */
void line_field_escaped(struct line *line, const char *key, const void *data, size_t size);
void line_field_hex(struct line *line, const char *key, const void *data, size_t size);

#endif
