/* SPDX-License-Identifier: MIT */
#include "trace_line.h"

#include <stdlib.h>
#include <string.h>

static char *room(struct line *line, size_t size)
{
    if (line->capacity - line->used < size) {
        size_t capacity = line->capacity ? line->capacity * 2 : 1024;
        char *text;

        while (capacity - line->used < size)
            capacity *= 2;
        text = realloc(line->text, capacity);
        if (!text) {
            line->failed = true;
            return NULL;
        }
        line->text = text;
        line->capacity = capacity;
    }
    return line->text + line->used;
}

static void put(struct line *line, const char *text, size_t size)
{
    char *to = room(line, size);

    if (!to)
        return;
    memcpy(to, text, size);
    line->used += size;
}

void line_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

void line_unsigned(struct line *line, uint64_t value)
{
    char digits[20], *p = digits + sizeof digits;

    do
        *--p = (char)('0' + value % 10);
    while (value /= 10);
    put(line, p, (size_t)(digits + sizeof digits - p));
}

void line_number(struct line *line, int64_t value)
{
    if (value < 0)
        line_text(line, "-");
    line_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void line_key(struct line *line, const char *key)
{
    if (line->used && line->text[line->used - 1] != '{')
        line_text(line, ",");
    line_text(line, "\"");
    line_text(line, key);
    line_text(line, "\":");
}

void line_field(struct line *line, const char *key, int64_t value)
{
    line_key(line, key);
    line_number(line, value);
}

void line_field_unsigned(struct line *line, const char *key, uint64_t value)
{
    line_key(line, key);
    line_unsigned(line, value);
}

void line_field_string(struct line *line, const char *key, const char *value)
{
    line_key(line, key);
    line_text(line, "\"");
    line_text(line, value);
    line_text(line, "\"");
}

void line_field_hex(struct line *line, const char *key, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    char *to;

    line_field_string(line, key, "");
    to = room(line, 2 * size + 1);
    if (!to)
        return;
    to--;                        /* the closing quote */
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '"';
    line->used += 2 * size;
}
