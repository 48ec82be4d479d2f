/* SPDX-License-Identifier: MIT */
/* Translates between the ways and their names. */
#include "way_names.h"

#include <string.h>

static const char *const ways[] = {
    [WAY_AUTO] = "auto", [WAY_DEVICE] = "device", [WAY_SOCKET] = "socket"
};

const char *way_name(int way)
{
    return ways[way];
}

int parse_way(const char *text)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i], text))
            return (int)i;
    return -1;
}
