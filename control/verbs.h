/* SPDX-License-Identifier: MIT */
/* The verbs of the control socket: what the server, gntsim ctl and a replay know of each. */
#ifndef GNTSIM_CONTROL_VERBS_H
#define GNTSIM_CONTROL_VERBS_H

#include <json-c/json.h>

struct request;

/* Who may ask. */
enum verb_by {
    BY_PRIVILEGED, /* programs of privileged domains, and all outside of domains */
    BY_ANYBODY,    /* it changes nothing, and shows no memory */
    BY_OUTSIDERS,  /* it gives what no domain has */
};

#define VERB_RECORDED 1u /* an input of the models by itself, which a replay repeats: others
                                  * look only, or what they do is recorded where it happens */
#define VERB_RECORDS 2u  /* the same, but the verb tells the trace in a form of its own */
#define VERB_PROFILE 4u  /* ctl takes --profile and --type for it */
#define VERB_DEVICE 16u  /* ctl takes --backend and --params for it */
#define VERB_DETACH 32u  /* the same of --force and --timeout */
#define VERB_TIMEOUT 64u /* the same of --timeout */
#define VERB_DETAIL 128u /* ctl --json asks for "detail" */
#define VERB_OF_PARTS 8u /* for gntsim's own parts: it goes with descriptors */

/* How ctl shows the answer. */
enum verb_answer {
    ANSWER_NOTHING,
    ANSWER_LIST,
    ANSWER_PARTS,
    ANSWER_FIELDS,
    ANSWER_POINTS,
    ANSWER_AUDIT,
    ANSWER_VALUE,
    ANSWER_TEXTS,
    /* ctl goes on until something is so. */
    ANSWER_EVENTS,
    ANSWER_WAIT,
    ANSWER_DETACH,
    ANSWER_DEVICE
};

struct verb {
    const char *name;                                /* NULL: the end of the list */
    json_object *(*handle)(struct request *request); /* called with the machine's lock */
    enum verb_by by;
    unsigned flags; /* VERB_* */
    /* Of ctl. words NULL: it is for programs only. */
    const char *words, *arguments;
    enum verb_answer answer;
    const char *help;
};

/* A verb that ctl has in two forms is there twice. */
extern const struct verb control_verbs[];
const struct verb *control_verb_find(const char *name);

#endif
