/* SPDX-License-Identifier: MIT */
/* What the verbs share: the request being answered, its arguments, and the table of verbs. */
#ifndef GNTSIM_CONTROL_CONTROL_I_H
#define GNTSIM_CONTROL_CONTROL_I_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include <gntsim/hv.h>

#include "control.h"
#include "verbs_i.h"
#include "wire.h"

enum {
    FROM_OUTSIDE = -1,
    FROM_NOBODY = -2, /* the process that connected had ended before anybody could look */
};

/* A request being answered. A handler returns its result, or NULL with error set. */
struct request {
    struct machine *machine;
    const struct control_config *config;     /* NULL: a replay, which has no programs */
    struct wire *wire;           /* the connection, for descriptors that came with the request */
    json_object *args;
    int from; /* the domain that the client's process is in, or one of the following */
    char error[256];
    int fds[WIRE_MAX_FDS];       /* to be sent with the reply, which they belong to */
    unsigned nr_fds;
    bool subscribe, stream_detail; /* after the reply the connection carries trace events, from this
                                      number on */
    uint64_t stream_from;
};

/* Sets the error; NULL, to be returned. */
json_object *control_refuse(struct request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
json_object *control_no_domain(struct request *request, domid_t id);
/*
 * Sends a copy of fd with the reply: whose fd is may close it meanwhile. False: there are no more
 * descriptors.
 */
bool control_give(struct request *request, int fd);
/* An empty result. */
json_object *control_done(void);
/* An integer argument; absent: missing, unless that is below min. False after setting the error. */
bool control_int(struct request *request, const char *key, int64_t missing, int64_t min,
                 int64_t max, int64_t *out);
/* Whether an argument is there and true. */
bool control_is_true(struct request *request, const char *key);
/* The argument "domain". */
bool control_domid(struct request *request, domid_t *out);

#endif
