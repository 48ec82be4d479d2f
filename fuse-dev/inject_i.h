/* SPDX-License-Identifier: MIT */
/* What calls (inject.c) and instructions (inject_step.c) of a stopped thread share. */
#ifndef GNTSIM_FUSE_DEV_INJECT_I_H
#define GNTSIM_FUSE_DEV_INJECT_I_H

#include "inject.h"

/* Of a stop: the signal that must not be lost. A SIGSTOP comes as a signal first; passed on, it
 * stops the process, and this thread once we let go of it. */
int inject_signal_of(int status);
/*
 * The thread is dying: collects it, or it would stay a traced zombie of ours and an execve of its
 * process would wait for it.
 */
void inject_collect(struct inject *inject);
/* Waits for any stop; false when the thread ended. */
bool inject_wait_stop(struct inject *inject, int *status);

#endif
