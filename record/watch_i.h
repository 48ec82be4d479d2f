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
struct watched_call {
    struct event event;
    const struct kernel_ioctl *row;
    unsigned file;
    const struct watched *watched;
    bool quiet;                             /* nothing that a record has */
    uint64_t selected[MAX_FDS / 64];        /* select: the descriptors that it asks about */
};

/* Whether it is one of a device, and then its event in call->event.json. */
typedef bool watch_begin(struct watch *w, struct task *task, struct watched_call *call);
/* Replay: gives the recorded answer, or has a harmless call be made in its place. */
typedef void watch_answer(struct watch *w, struct task *task, struct watched_call *call);
/* When it is over. */
typedef void watch_end(struct watch *w, struct task *task, struct watched_call *call, long result);

struct watched {
    long nr;
    const char *name;
    watch_begin *begin;
    watch_answer *answer;
    watch_end *end;
};

/* watch.c */
struct memory memory_of(struct task *task);
void add_number(json_object *json, const char *name, uint64_t value);
const char *text_of(json_object *json, const char *name);
const char *device_of_path(const char *path);
unsigned next_number(const struct watched_call *call, const char *name, unsigned last);
void name_file(struct watch *w, unsigned number, const char *device);
unsigned file_of(struct watch *w, const struct task *task, int fd);
watch_begin begin_file;
/* Of a call that only changes what is known of the process. */
watch_begin begin_quietly;
json_object *new_event(const struct task *task, const char *call);
/* An event that is no call of its own; json is given up. */
void watch_report(struct watch *w, struct task *task, const char *name, json_object *json);

/* watch_files.c */
watch_begin begin_open, begin_close, begin_close_range, begin_dup, begin_transfer, begin_seek,
    begin_poll;
watch_answer answer_open, answer_transfer, answer_result, answer_poll;
watch_end end_open, end_close, end_close_range, end_dup, end_transfer, end_result, end_poll;

/* watch_select.c */
watch_begin begin_select;
watch_answer answer_select;
watch_end end_select;

/* watch_epoll.c */
watch_begin begin_epoll_wait;
watch_answer answer_epoll_wait;
watch_end end_epoll_create, end_epoll_ctl, end_epoll_wait;

/* watch_maps.c: ioctl, mmap and munmap. */
watch_begin begin_ioctl, begin_mmap, begin_munmap;
watch_answer answer_ioctl, answer_mmap;
watch_end end_ioctl, end_mmap, end_munmap;
void take_pieces(struct watch *w, pid_t tgid, uint64_t start, uint64_t end, json_object *list);

#endif
