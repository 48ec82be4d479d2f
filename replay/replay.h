/* SPDX-License-Identifier: MIT */
/*
 * Repeats what a trace tells, on a machine without programs. It performs every recorded input in
 * order: device calls with the caller's memory that they read, control requests, timers and
 * upcalls. It compares what the models do now with the record, event by event.
 */
#ifndef GNTSIM_REPLAY_REPLAY_H
#define GNTSIM_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

struct replay_result {
    size_t events;               /* that were as recorded */
    bool differs;
    char *was; /* the event at which the model differs; NULL: there was none any more */
    char *now;                   /* what the model does instead; NULL: nothing */
};

/* 0, or negative after a message: the file is no trace that can be replayed. */
int replay_file(const char *path, struct replay_result *result);
void replay_result_free(struct replay_result *result);

#endif
