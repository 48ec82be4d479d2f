/* SPDX-License-Identifier: MIT */
/*
 * A page of code in a client's address space that does in one go what a mapping takes: mmap, madvise, close. By inject_call each of them
 * stops the thread. The page is of the client's own memory and looked at before each use, which is enough only for a
 * process with one thread: nobody changes it after that.
 */
#ifndef GNTSIM_FUSE_DEV_STUB_H
#define GNTSIM_FUSE_DEV_STUB_H

#include <stdbool.h>
#include <stdint.h>

#include "inject.h"

/* Puts the page there if it is not. False: it cannot be, and nothing has happened. */
bool stub_prepare(struct inject *inject);
/*
 * The mmap with these arguments, and if it succeeds madvise of all its pages and the close of its descriptor. Returns what
 * inject_call would for the mmap.
 */
long stub_map(struct inject *inject, const uint64_t args[6], int advice);

#endif
