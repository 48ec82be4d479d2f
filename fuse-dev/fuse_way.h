/* SPDX-License-Identifier: MIT */
/* The device way: files under /dev/xen for any program. */
#ifndef GNTSIM_FUSE_DEV_FUSE_WAY_H
#define GNTSIM_FUSE_DEV_FUSE_WAY_H

#include "machine.h"

extern const struct machine_way fuse_way;

#endif
