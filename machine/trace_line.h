/* SPDX-License-Identifier: MIT */
/* A line of JSON in the making. */
#ifndef GNTSIM_MACHINE_TRACE_LINE_H
#define GNTSIM_MACHINE_TRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
    char *text;
    size_t used, capacity;
    bool failed;                 /* out of memory: the line is incomplete */
};

void line_text(struct line *line, const char *text);
void line_number(struct line *line, int64_t value);
void line_unsigned(struct line *line, uint64_t value);
/* ,"key": without the comma at the beginning of an object */
void line_key(struct line *line, const char *key);
void line_field(struct line *line, const char *key, int64_t value);
void line_field_unsigned(struct line *line, const char *key, uint64_t value);
void line_field_string(struct line *line, const char *key, const char *value);
void line_field_hex(struct line *line, const char *key, const void *data, size_t size);

#endif
