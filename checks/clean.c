/* SPDX-License-Identifier: MIT */
/* Adds texts that come from programs to JSON, which takes UTF-8 only. */
#include <stdlib.h>
#include <string.h>

#include "finding_i.h"
#include "json_add.h"

/* How many bytes the character at text has, 0: it is none. */
static size_t length_of(const unsigned char *text)
{
    size_t length = text[0] < 0x80                    ? 1
                  : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                  : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                  : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                      : 0;

    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

json_object *clean_text(const char *text)
{
    char *copy = strdup(text ? text : "");
    json_object *json;
    size_t length;

    for (char *at = copy; at && *at; at += length) {
        length = length_of((unsigned char *)at);
        if (!length) {
            *at = '?';
            length = 1;
        }
    }
    json = json_object_new_string(copy ? copy : "");
    free(copy);
    return json;
}
