/* SPDX-License-Identifier: MIT */
/* Finds out whether a program looks at the status of a segment that failed. */
#ifndef GNTSIM_CHECKS_UNREAD_I_H
#define GNTSIM_CHECKS_UNREAD_I_H

#include "calls_i.h"

/* A copy has returned 0, and its segment has this status, at address of the process's memory. */
void unread_watch(struct checks *checks, const struct call *call, uint32_t segment, int16_t status,
                  uint64_t address);
/* A copy writes a status there: what nobody has read by now is lost. */
void unread_overwritten(struct checks *checks, unsigned process, uint64_t address);
/* Reports what the process can read no more, or, if it exits well, has not read. */
void unread_look(struct checks *checks, unsigned process, bool exits_well);
/* The thread sends an event to a peer. */
void unread_answered(struct checks *checks, unsigned process, pid_t thread);
/* The domain is gone (NULL: all): reports what could be read no more. */
void unread_drop(struct checks *checks, const struct domain *domain);

#endif
