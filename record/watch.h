/* SPDX-License-Identifier: MIT */
/*
 * Turns system calls of traced programs into events: what they do with /dev/xen, as JSON. `record`
 * writes them down, and `replay-device` looks up the answers (docs/record-format.md).
 */
#ifndef GNTSIM_RECORD_WATCH_H
#define GNTSIM_RECORD_WATCH_H

#include <json-c/json.h>

#include "space.h"
#include "tracer.h"

struct event {
    json_object *json;              /* the call; the answer is added to it when it is known */
    const char *call;               /* its name */
    struct task *task;
    json_object *answer;            /* replay: the recorded event */
};

struct watch {
    struct space space;
    char **devices;                 /* by number of the open file; 0 is none */
    unsigned nr_files, nr_mappings;
    /* Before a call is made. Not NULL: it is replaced by the recorded event that this returns; NULL
     * with *stop: end everything. */
    json_object *(*before)(void *ctx, struct event *event, bool *stop);
    /* After it. */
    void (*after)(void *ctx, struct event *event);
    void *ctx;
    bool replays;
    bool simulated;                 /* this is a simulated machine */
};

/* Runs a command; as trace_run. */
int watch_run(struct watch *watch, char **argv);

/* Sets "result", and "error" if it is a negative errno. */
void event_result(json_object *json, long result);
/* The result of a recorded event as the kernel gives it. */
long event_recorded_result(json_object *json);
/* The number that an error's name stands for, 0 if it is none. */
int errno_of(const char *name);

#endif
