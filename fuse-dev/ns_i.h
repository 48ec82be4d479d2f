/* SPDX-License-Identifier: MIT */
/* What making namespaces (ns.c) and joining them (ns_join.c) share. */
#ifndef GNTSIM_FUSE_DEV_NS_I_H
#define GNTSIM_FUSE_DEV_NS_I_H

#include "ns.h"

/* Says on stderr what went wrong, and errno's text; returns the negative errno. */
int ns_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ns_places.c */
/*
 * Shows one entry of the host's directory dir_fd in the directory target. Entries that cannot be
 * shown are left out.
 */
void ns_show_entry(int dir_fd, const char *name, const char *target);
/* Covers a directory with a tmpfs. Returns a descriptor of what it covers, or negative errno. */
int ns_cover(const char *path);
/* The same, and shows there what it covers, where is_shown says so (NULL: all). */
int ns_cover_showing(const char *path, bool (*is_shown)(const char *name));
/* Makes sure that path is a directory, on which something can be mounted. */
bool ns_make_room(const char *path);
/* Shows the directory what at place, which need not exist. 0 or negative errno. */
int ns_show(const char *what, const char *place);

#endif
