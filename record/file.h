/* SPDX-License-Identifier: MIT */
/*
 * A record as a file: a line of JSON about the whole, then one for each event
 * (docs/record-format.md).
 */
#ifndef GNTSIM_RECORD_FILE_H
#define GNTSIM_RECORD_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#define RECORD_VERSION 1

struct record {
    json_object *header;
    json_object **events;           /* events[i] is on line i + 2 */
    size_t nr;
};

/* Reads and checks all of it. 0; -EINVAL with a message that names the line; another -errno. */
int record_load(struct record *record, const char *path, char *error, size_t size);
void record_free(struct record *record);

const char *record_text(json_object *event,
                        const char *name); /* NULL if it is not there, or no text */
long long record_number(json_object *event, const char *name, long long otherwise);
/* Of an array: its members, none if it is not there. */
size_t record_items(json_object *event, const char *name);
uint64_t record_item(json_object *event, const char *name, size_t i);

#endif
