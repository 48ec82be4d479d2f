/* SPDX-License-Identifier: MIT */
/*
 * The trace: everything that happens on a machine, one JSON object a line (docs/trace.md). The
 * machine keeps the latest events, and sends all to a file and to subscribers. Details are events
 * that a replay needs and people seldom do: starts of calls, programs' memory, timers, upcalls.
 *
 * All calls need the machine's lock, unless the comment says otherwise.
 */
#ifndef GNTSIM_MACHINE_TRACE_H
#define GNTSIM_MACHINE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gntsim/hv.h>
#include <gntsim/kernel.h>

struct domain;
struct domain_options;
struct machine;
struct trace;

/*
 * 2 has all of 1, and tells of each grant that a kernel makes and ends, and the names of processes.
 */
#define TRACE_FORMAT 2

int trace_create(struct machine *m);
void trace_destroy(struct machine *m);
void trace_switch(struct machine *m, bool on);
bool trace_is_on(const struct machine *m);
/* Writes what an older format has, and no more, so that its traces can be replayed. */
void trace_set_format(struct machine *m, unsigned format);
/* From now on the hypervisor tells what it did, if the trace is on or a part wants to know. */
void trace_listen(struct machine *m);
/* Everything from now on goes to the file, which is made anew; switches the trace on. What a reader at its other end is too slow for is
 * lost, and a line says how much. Without the lock. 0, negative errno. */
int trace_to_file(struct machine *m, const char *path);
/* Without the lock: waits while the file is far behind. */
void trace_unlocked(const struct machine *m);

/* The number of the next event. */
uint64_t trace_next(const struct machine *m);
/* The oldest event with a number >= *seq that is still there, details only if wanted; NULL: none. *seq is its number. Not ended
 * by 0, valid until the next event. */
const char *trace_line(const struct machine *m, uint64_t *seq, bool detail, size_t *size);
/* The oldest number that is still there. */
uint64_t trace_first(const struct machine *m);

/* Is told each event, its newline included, as it happens. It must not wait. */
struct trace_subscriber {
    void (*event)(struct trace_subscriber *subscriber, const char *line, size_t size, bool detail);
    struct trace_subscriber *prev, *next;        /* the trace's; prev NULL: no subscriber */
};
void trace_subscribe(struct machine *m, struct trace_subscriber *subscriber);
void trace_unsubscribe(struct machine *m, struct trace_subscriber *subscriber);

/* ---- What is told ----------------------------------------------------------------------------- */

/* Hooks of the hypervisor (ctx: the machine) and of kernels (ctx: the domain). */
void trace_hypercall(void *ctx, const struct hv_point *point, long result);
void trace_enter(struct machine *m, const struct kernel_point *point);
void trace_done(struct machine *m, const struct kernel_point *point, long result);
void trace_user(struct machine *m, const struct kernel_point *point, enum kernel_user op, const void *data, size_t size,
                const struct vma *vma, int rc);
/* The store. conn is the connection's number; bodies and paths are whatever a client sent. */
struct trace_store {
    const char *at;              /* the point's name */
    domid_t domain;
    unsigned process;            /* 0: none */
    uint64_t conn, rule;
    uint32_t type, tx;
    const char *path, *token;    /* path NULL: it has none; token: of an event */
    const void *body;
    size_t len;
};
/* A request comes in; it was answered, with an errno >= 0; an event is sent. */
void trace_store_asked(struct machine *m, const struct trace_store *store);
void trace_store_done(struct machine *m, const struct trace_store *store, int error);
void trace_store_event(struct machine *m, const struct trace_store *store);
void trace_store_connected(struct machine *m, const struct trace_store *store, bool there);
/* len bytes of what the store said were taken. */
void trace_store_taken(struct machine *m, const struct trace_store *store);
/*
 * The store looked at a domain's ring page: its indices now, the error field, and the bytes that
 * it put there, up to rsp_prod. reset: before that, it made all indices 0.
 */
struct trace_ring {
    bool reset, raises;          /* raises: an event on the domain's store port */
    uint32_t req_cons, rsp_prod, error;
    const void *bytes;
    size_t size;
};
void trace_store_ring(struct machine *m, domid_t id, const struct trace_ring *ring);
/* Inputs that are no calls. */
void trace_domain_create(struct machine *m, domid_t id, const struct kernel_profile *profile, const struct domain_options *options);
void trace_domain_destroy(struct machine *m, domid_t id);
void trace_domain_suspend(struct machine *m, domid_t id, domid_t as, unsigned grant_version);
void trace_timers(struct machine *m, domid_t id);
void trace_upcall(struct machine *m, domid_t id);
/* The host had no room for more of the memory. */
void trace_no_memory(struct machine *m);
/* A page is not shared, because a program that maps it cannot be stopped. */
void trace_not_followed(struct machine *m);
/* A process writes to a page that is shared. */
void trace_page_write(struct machine *m, domid_t id, uint64_t gfn);
/* Adversaries make the steps with hypercalls that they owe. */
void trace_steps(struct machine *m);
/* Frames that a process may see are held, or not any more. */
void trace_frames(struct machine *m, const struct vma_run *runs, size_t nr_runs, bool hold);
/* A process of this number appeared, whose program has this name. */
void trace_process(struct machine *m, unsigned number, const char *name);
/* A kernel granted a page (during this call, if any), or ended that: grant NULL. */
void trace_grant(struct machine *m, domid_t id, const struct kernel_point *call, grant_ref_t ref,
                 const struct kernel_grant *grant);
/* A request over the control socket that changes something; text: its JSON. */
void trace_verb(struct machine *m, const char *text);

#endif
