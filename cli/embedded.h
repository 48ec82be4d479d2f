/* SPDX-License-Identifier: MIT */
/* The files that a gntsim of one file has in itself: its own libraries. */
#ifndef GNTSIM_CLI_EMBEDDED_H
#define GNTSIM_CLI_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *name;
    const unsigned char *data;
    size_t size;
};
extern const struct embedded_file embedded_files[]; /* ends with a NULL name */

#endif
