/* SPDX-License-Identifier: MIT */
/* What tracing (tracer.c) and releasing a thread (release.c) share. */
#ifndef GNTSIM_RECORD_TRACER_I_H
#define GNTSIM_RECORD_TRACER_I_H

#include <sys/ptrace.h>

#include "tracer.h"

#define TRACE_OPTIONS                                                                         \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
     PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

/*
 * At the stop before a call: it is made without us, and the thread stops behind it. False: it is
 * lost, and killed if need be.
 */
bool task_make_call_alone(struct task *task, long *result);

#endif
