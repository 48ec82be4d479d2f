/* SPDX-License-Identifier: MIT */
/* A control connection that has become a stream of trace events. */
#ifndef GNTSIM_CONTROL_STREAM_H
#define GNTSIM_CONTROL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

struct machine;
struct watch;

struct stream {
    struct machine *machine;
    struct watch *watch;         /* of the connection */
    struct trace_subscriber subscriber;
    uint64_t next;               /* number of the next event to send */
    bool detail;
    bool scheduled;              /* the main loop will look at it */
    char *out;                   /* not sent yet */
    size_t size, sent;
};

/* Needs the machine's lock. Events follow from number from on. */
struct stream *stream_create(struct machine *m, struct watch *watch, uint64_t from, bool detail);
void stream_destroy(struct stream *stream);
/* The connection is ready. False: it is to be closed. Without the lock. */
bool stream_ready(struct stream *stream);

#endif
