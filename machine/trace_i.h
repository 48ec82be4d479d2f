/* SPDX-License-Identifier: MIT */
/* What keeping events (trace.c) and writing them (trace_events.c) share. */
#ifndef GNTSIM_MACHINE_TRACE_I_H
#define GNTSIM_MACHINE_TRACE_I_H

#include "machine.h"
#include "trace.h"
#include "trace_line.h"

struct kept {
    uint32_t at;
    uint32_t size : 31, detail : 1;
};

struct trace {
    bool on;
    unsigned format;             /* TRACE_FORMAT, or an older one */
    struct line line;            /* the event being written */
    char *bytes;                 /* the ring: events from first to next - 1, each in one piece */
    struct kept *index;          /* by number */
    size_t head;                 /* where the next one goes */
    uint64_t first, next;
    struct outlet *file;         /* NULL: none */
    struct trace_subscriber *subscribers;
};

/* Begins an event; fields follow, then trace_end. domain -1, process 0: none. */
struct line *trace_begin(struct machine *m, int domain, int64_t process, const char *op);
void trace_end(struct machine *m, bool detail);
/* The first event: what the machine is. */
void trace_machine(struct machine *m);

#endif
