/* SPDX-License-Identifier: MIT */
/* The errors of the store's protocol, whose replies name them as text. */
#ifndef GNTSIM_UTIL_XS_ERROR_H
#define GNTSIM_UTIL_XS_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* The errno of a name like "ENOENT"; EINVAL for one that the protocol has not, as libxenstore. */
int xs_error_number(const char *name);
/* The name of an errno; what the protocol has none for is an EINVAL, as a daemon says it. */
const char *xs_error_name(int number);
bool xs_error_has_name(int64_t number);

#endif
