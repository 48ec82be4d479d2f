/* SPDX-License-Identifier: MIT */
/* The verbs of `gntsim ctl` that go on until something is so in the store. */
#ifndef GNTSIM_CLI_CTL_FOLLOW_H
#define GNTSIM_CLI_CTL_FOLLOW_H

#include <json-c/json.h>

#include "options.h"
#include "verbs.h"

struct ctl_call {
    const struct verb *verb;
    const struct options *options;
    int fd;                         /* the control connection */
    json_object *request;           /* what was asked */
    json_object *result;            /* and answered */
};

/* The exit status, or CTL_NONSENSE: the answer is not what the verb's answers are. */
#define CTL_NONSENSE (-1)
int ctl_follow_events(struct ctl_call *call);
int ctl_follow_wait(struct ctl_call *call);
int ctl_follow_detach(struct ctl_call *call);
int ctl_follow_device(struct ctl_call *call);

/* The bytes that the characters of a text from the store stand for. Returns how many. */
size_t ctl_bytes(json_object *text, char *out);

#endif
