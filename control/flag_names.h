/* SPDX-License-Identifier: MIT */
/* The names of the bits in the arguments that traces show. */
#ifndef GNTSIM_CONTROL_FLAG_NAMES_H
#define GNTSIM_CONTROL_FLAG_NAMES_H

#include <json-c/json.h>

/*
 * For each argument that is made of bits ("mmap.prot"), a list of objects with "name" and "value".
 * The caller puts it.
 */
json_object *flag_names(void);

#endif
