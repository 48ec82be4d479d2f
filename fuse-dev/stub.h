/* SPDX-License-Identifier: MIT */
/*
 * A page of code in a client that makes a mapping's mmap, madvise and close in one go. With
 * inject_call each call stops the thread once. The page is the client's own memory, so the server
 * checks it before each use. That suffices only in a process with one thread, where nobody can
 * change it afterwards.
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
