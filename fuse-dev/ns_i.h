/* SPDX-License-Identifier: MIT */
/* What making namespaces (ns.c) and joining them (ns_join.c) share. */
#ifndef GNTSIM_FUSE_DEV_NS_I_H
#define GNTSIM_FUSE_DEV_NS_I_H

#include "ns.h"

/* Says on stderr what went wrong, and errno's text; returns the negative errno. */
int ns_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
