/* SPDX-License-Identifier: MIT */
/* Finds the struct in which a member lies. */
#ifndef GNTSIM_UTIL_CONTAINER_OF_H
#define GNTSIM_UTIL_CONTAINER_OF_H

#include <stddef.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
