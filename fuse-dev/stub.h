/* SPDX-License-Identifier: MIT */
/*
 * A page of code in a client: it makes a mapping's mmap, madvise and close in one go, and handles
 * signals that end the client. With
 * inject_call each call stops the thread once. The page is the client's own memory, so the server
 * checks it before each use. That suffices only in a process with one thread, where nobody can
 * change it afterwards.
 */
#ifndef GNTSIM_FUSE_DEV_STUB_H
#define GNTSIM_FUSE_DEV_STUB_H

#include <stdbool.h>
#include <stdint.h>

#include "code.h"
#include "inject.h"

/* Puts the page there if it is not. False: it cannot be, and nothing has happened. */
bool stub_prepare(struct inject *inject);
/*
 * The mmap with these arguments, and if it succeeds madvise of all its pages and the close of its descriptor. Returns what
 * inject_call would for the mmap.
 */
long stub_map(struct inject *inject, const uint64_t args[6], int advice);
/* The ioctl that a signal's handler in the page makes, of descriptor -1: its arguments are the
 * addresses of a siginfo_t and a ucontext_t, and the signal. */
#define STUB_FAULT ARCH_STUB_IOCTL
/* After stub_prepare: has the signal handled so the next time, and then by default. */
void stub_handle(struct inject *inject, int signal);

#endif
