/* SPDX-License-Identifier: MIT */
/*
 * Doing again what a trace tells, on a machine without programs: every input of the models (calls of device files with what they
 * read of their caller's memory, requests over the control socket, timers, upcalls) in the recorded order. What the models do
 * now is compared with what they did then, event by event.
 */
#ifndef GNTSIM_REPLAY_REPLAY_H
#define GNTSIM_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

struct replay_result {
    size_t events;               /* that were as recorded */
    bool differs;
    char *was;                   /* the event at which the model differs; NULL: there was none any more */
    char *now;                   /* what the model does instead; NULL: nothing */
};

/* 0, or negative after a message: the file is no trace that can be replayed. */
int replay_file(const char *path, struct replay_result *result);
void replay_result_free(struct replay_result *result);

#endif
