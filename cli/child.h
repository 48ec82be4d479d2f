/* SPDX-License-Identifier: MIT */
/* A command that runs as a child of gntsim, with the signals that gntsim gets. */
#ifndef GNTSIM_CLI_CHILD_H
#define GNTSIM_CLI_CHILD_H

#include <signal.h>
#include <sys/types.h>

struct child_signals {
    sigset_t waited, before;
};

/* Before the child is forked: its end, and signals that are for it, wait for child_wait. */
void child_prepare(struct child_signals *signals);
/* In the child: signals are as they were. */
void child_begin(const struct child_signals *signals);
/* Until the child has ended: its exit status, or 128 + n if signal n killed it. */
int child_wait(pid_t child, const struct child_signals *signals);

#endif
