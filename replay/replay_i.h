/* SPDX-License-Identifier: MIT */
/* What the order of a replay, its inputs, its device calls and their objects share. */
#ifndef GNTSIM_REPLAY_REPLAY_I_H
#define GNTSIM_REPLAY_REPLAY_I_H

#include <json-c/json.h>
#include <pthread.h>
#include <uthash.h>

#include "machine.h"
#include "replay.h"
#include "trace.h"

/* Objects are numbered kernel by kernel. */
struct replay_key {
    uint32_t domain, what;
    uint64_t number;
};
enum { REPLAY_FILE, REPLAY_VMA, REPLAY_CALL };

struct replay_object {
    struct replay_key key;
    void *object;
    UT_hash_handle hh;
};

/* A device call: its request, which may outlive it. */
struct replay_call {
    struct replay *replay;
    domid_t domain;
    uint64_t number;
    struct kreq kreq;
    struct vma *vma;
    void *buf;
    struct replay_call *next;
};

/* An input being carried out by a thread of its own: it may stop in the middle, at its caller's
 * memory, and others come first. */
struct replay_worker {
    struct replay *replay;
    json_object *event;
    pthread_t thread;
    bool running;                /* it is this one's turn */
    bool ended;
    domid_t at_domain;           /* waits at the memory of this call */
    uint64_t at_call;
    struct replay_worker *next;
};

struct replay {
    struct machine machine;
    char *text;                  /* the file */
    char **lines;                /* its events */
    size_t nr, at;               /* the next one that must happen */
    bool over;                   /* what still happens is nobody's business */
    struct replay_result *result;
    struct trace_subscriber subscriber;
    struct replay_object *objects;
    struct replay_call *calls;
    struct file **orphan_files;  /* of dead kernels */
    struct vma **orphan_vmas;
    size_t nr_orphan_files, nr_orphan_vmas;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct replay_worker *workers;     /* that wait at their callers' memory, or run */
};

/* The recorded event that comes next, parsed; NULL: none. The caller's. */
json_object *replay_next(struct replay *r);

/* An input that is carried out. */
struct replay_step {
    struct replay *r;
    domid_t id;
    struct domain *d;            /* NULL: there is none */
    uint64_t call;
    json_object *args;
};

struct replay_handler {
    const char *op;
    bool (*carry_out)(const struct replay_step *in);
};

/* replay_input.c */
bool replay_is_input(const char *op);
/* Carries out an input. With the machine's lock. False: the trace makes no sense here. */
bool replay_input(struct replay *r, json_object *event);
const struct replay_handler *replay_handler_of(const struct replay_handler *handlers, size_t nr,
                                               const char *op);

/* replay_calls.c: a device call. */
bool replay_enter(const struct replay_step *in);

size_t replay_bytes(void *to, size_t size, const char *hex);

/* replay_store.c: what clients of the store did; ends with a NULL op. */
extern const struct replay_handler replay_store_inputs[];

/* replay_objects.c: NULL where there is none. */
void *replay_get(struct replay *r, int64_t domain, uint32_t what, int64_t number);
void replay_set(struct replay *r, int64_t domain, uint32_t what, uint64_t number, void *thing);
/* And forgets it. */
void *replay_take(struct replay *r, int64_t domain, uint32_t what, int64_t number);
/* What a dead kernel's programs have open is nobody's input any more. domain -1: of all. */
void replay_orphan(struct replay *r, int64_t domain);
/* A domain goes on under another number, with all that it has. */
void replay_rename(struct replay *r, domid_t from, domid_t to);
/* Lets go of everything, when nothing runs any more. */
void replay_objects_free(struct replay *r);

/* replay.c: for a worker that has reached its caller's memory. Others go on until its turn. */
void replay_wait_turn(struct replay *r, const struct replay_call *call);

/* Fields of an event. Missing: 0, NULL. */
int64_t replay_number(json_object *object, const char *key);
const char *replay_text(json_object *object, const char *key);

#endif
