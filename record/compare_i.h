/* SPDX-License-Identifier: MIT */
/* What the files of a comparison share: its progress, and the model's objects for recorded ones. */
#ifndef GNTSIM_RECORD_COMPARE_I_H
#define GNTSIM_RECORD_COMPARE_I_H

#include <stdbool.h>

#include "record.h"
#include "world.h"

/* A number that may differ from run to run, of the recorded domain. */
struct pair {
    uint32_t recorded, model;
    struct pair *next;
};

struct port {
    uint32_t recorded, model;
    domid_t remote;
    evtchn_port_t remote_port;          /* 0: nobody has bound it yet */
    struct port *next;
};

struct model_file {
    struct file *file;
    unsigned refs;                      /* 1 while a descriptor is open, 1 for each mapping */
    const char *device;
};

struct model_mapping {
    struct vma *vma;
    unsigned file;
    const char *owner;                  /* task that made it */
    uint64_t left;                      /* pages still in its address space */
    unsigned char *gone;
};

/* Where the caller's arguments lie in its memory. */
#define COMPARE_ARGUMENT (ARENA_START + 64)

struct comparison {
    const struct record *record;
    const char *path;
    FILE *out;
    struct world world;
    struct model_file *files;
    struct model_mapping *mappings;
    unsigned nr_files, nr_mappings;
    struct pair *refs;
    struct port *ports;
    size_t at;                          /* index of the event */
    size_t compared;
    long differences;
};

/* compare.c: answers are alike, or a difference is told. */
void compare_results(struct comparison *c, long recorded, long model);
void compare_numbers(struct comparison *c, const char *what, long long recorded, long long model);
/* The file of an event, NULL if the model has none. */
struct model_file *model_file_of(struct comparison *c, json_object *event);
struct kreq model_request(struct comparison *c);
/* What was not answered at once is a wait, which ends as if a signal had come. */
long model_settle(struct comparison *c, long result, struct kreq *req);

/* compare_pairs.c: numbers that may differ. */
uint32_t model_ref(const struct comparison *c, uint32_t recorded);
void learn_ref(struct comparison *c, uint32_t recorded, uint32_t model);
struct port *find_port(const struct comparison *c, uint32_t recorded);
uint32_t model_port(const struct comparison *c, uint32_t recorded);
void learn_port(struct comparison *c, uint32_t recorded, uint32_t model, domid_t remote,
                evtchn_port_t remote_port);
void forget_pairs(struct comparison *c);

/* compare_ioctl.c, compare_copy.c, compare_events.c: a recorded call is made and compared. */
void compare_ioctl(struct comparison *c, json_object *event, long recorded);
void compare_copy(struct comparison *c, struct file *file, unsigned request, json_object *event,
                  long recorded);
void compare_read(struct comparison *c, json_object *event, long recorded);
void compare_write(struct comparison *c, json_object *event, long recorded);
void compare_poll(struct comparison *c, json_object *event, long recorded);

#endif
