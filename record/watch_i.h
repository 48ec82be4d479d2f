/* SPDX-License-Identifier: MIT */
/* What the handlers of recorded calls share; watch.c has their table. */
#ifndef GNTSIM_RECORD_WATCH_I_H
#define GNTSIM_RECORD_WATCH_I_H

#include "ioctls.h"
#include "watch.h"

#define PAGE_SIZE 4096ul
#define MAX_TRANSFER 65536u
#define MAX_FDS 1024u
#define MAX_NUMBER 1000000u
/* Of the contents of a new mapping, so much is kept. */
#define MAX_CONTENTS (256u * 1024)

/* A call that is being watched. */
struct call {
    struct event event;
    const struct kernel_ioctl *row;
    unsigned file;
    const struct watched *watched;
    bool quiet;                             /* nothing that a record has */
    uint64_t selected[MAX_FDS / 64];        /* select: the descriptors that it asks about */
};

struct watched {
    long nr;
    const char *name;
    /* Whether it is one of a device, and then its event in call->event.json. */
    bool (*begin)(struct watch *w, struct task *task, struct call *call);
    /* Replay: gives the recorded answer, or has a harmless call be made in its place. */
    void (*answer)(struct watch *w, struct task *task, struct call *call);
    /* When it is over. */
    void (*end)(struct watch *w, struct task *task, struct call *call, long result);
};

/* watch.c */
struct memory memory_of(struct task *task);
void add_number(json_object *json, const char *name, uint64_t value);
const char *text_of(json_object *json, const char *name);
const char *device_of_path(const char *path);
unsigned next_number(const struct call *call, const char *name, unsigned last);
void name_file(struct watch *w, unsigned number, const char *device);
unsigned file_of(struct watch *w, const struct task *task, int fd);
bool begin_file(struct watch *w, struct task *task, struct call *call);
/* Of a call that only changes what is known of the process. */
bool begin_quietly(struct watch *w, struct task *task, struct call *call);
json_object *new_event(const struct task *task, const char *call);
/* An event that is no call of its own; json is given up. */
void report(struct watch *w, struct task *task, const char *name, json_object *json);

/* watch_files.c */
bool begin_open(struct watch *w, struct task *task, struct call *call);
void answer_open(struct watch *w, struct task *task, struct call *call);
void end_open(struct watch *w, struct task *task, struct call *call, long result);
bool begin_close(struct watch *w, struct task *task, struct call *call);
void end_close(struct watch *w, struct task *task, struct call *call, long result);
bool begin_close_range(struct watch *w, struct task *task, struct call *call);
void end_close_range(struct watch *w, struct task *task, struct call *call, long result);
bool begin_dup(struct watch *w, struct task *task, struct call *call);
void end_dup(struct watch *w, struct task *task, struct call *call, long result);
bool begin_transfer(struct watch *w, struct task *task, struct call *call);
void answer_transfer(struct watch *w, struct task *task, struct call *call);
void end_transfer(struct watch *w, struct task *task, struct call *call, long result);
bool begin_seek(struct watch *w, struct task *task, struct call *call);
void answer_result(struct watch *w, struct task *task, struct call *call);
void end_result(struct watch *w, struct task *task, struct call *call, long result);
bool begin_poll(struct watch *w, struct task *task, struct call *call);
void answer_poll(struct watch *w, struct task *task, struct call *call);
void end_poll(struct watch *w, struct task *task, struct call *call, long result);

/* watch_select.c */
bool begin_select(struct watch *w, struct task *task, struct call *call);
void answer_select(struct watch *w, struct task *task, struct call *call);
void end_select(struct watch *w, struct task *task, struct call *call, long result);

/* watch_epoll.c */
void end_epoll_create(struct watch *w, struct task *task, struct call *call, long result);
void end_epoll_ctl(struct watch *w, struct task *task, struct call *call, long result);
bool begin_epoll_wait(struct watch *w, struct task *task, struct call *call);
void answer_epoll_wait(struct watch *w, struct task *task, struct call *call);
void end_epoll_wait(struct watch *w, struct task *task, struct call *call, long result);

/* watch_maps.c: ioctl, mmap and munmap. */
bool begin_ioctl(struct watch *w, struct task *task, struct call *call);
void answer_ioctl(struct watch *w, struct task *task, struct call *call);
void end_ioctl(struct watch *w, struct task *task, struct call *call, long result);
bool begin_mmap(struct watch *w, struct task *task, struct call *call);
void answer_mmap(struct watch *w, struct task *task, struct call *call);
void end_mmap(struct watch *w, struct task *task, struct call *call, long result);
bool begin_munmap(struct watch *w, struct task *task, struct call *call);
void end_munmap(struct watch *w, struct task *task, struct call *call, long result);
void take_pieces(struct watch *w, pid_t tgid, uint64_t start, uint64_t end, json_object *list);

#endif
