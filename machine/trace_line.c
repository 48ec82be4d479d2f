/* SPDX-License-Identifier: MIT */
/* Builds one line of JSON, field by field. */
#include "trace_line.h"

#include <stdlib.h>
#include <string.h>

char *line_more_room(struct line *line, size_t size)
{
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
    return line->text + line->used;
}

void line_unsigned(struct line *line, uint64_t value)
{
    char digits[20], *p = digits + sizeof digits;

    do
        *--p = (char)('0' + value % 10);
    while (value /= 10);
    line_put(line, p, (size_t)(digits + sizeof digits - p));
}

void line_number(struct line *line, int64_t value)
{
    if (value < 0)
        line_text(line, "-");
    line_unsigned(line, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void line_field_hex(struct line *line, const char *key, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    char *to;

    line_field_string(line, key, "");
    to = line_room(line, 2 * size + 1);
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

void line_field_escaped(struct line *line, const char *key, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;

    line_key(line, key);
    line_put(line, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        char escaped[] = "\\u00..";

        escaped[4] = digits[bytes[i] >> 4];
        escaped[5] = digits[bytes[i] & 15];
        if (bytes[i] < ' ' || bytes[i] >= 0x7f || bytes[i] == '"' || bytes[i] == '\\')
            line_put(line, escaped, 6);
        else
            line_put(line, (const char *)&bytes[i], 1);
    }
    line_put(line, "\"", 1);
}
