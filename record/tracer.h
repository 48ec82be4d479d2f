/* SPDX-License-Identifier: MIT */
/*
 * Runs a command and reports every system call that it and its descendants make. It uses ptrace, so
 * it needs no privilege and sees static programs, too.
 */
#ifndef GNTSIM_RECORD_TRACER_H
#define GNTSIM_RECORD_TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Names a thread by its ancestry, the same in every run: "1", its second child process "1.2", that
 * one's first thread "1.2t1".
 */
#define TASK_NAME 64

struct tracer;
struct task {
    struct tracer *tracer;
    pid_t tid, tgid;
    char name[TASK_NAME];
    unsigned nr_children, nr_threads;       /* begun by it */
    /* The call that is being made: */
    bool in_call;
    bool wanted;                            /* leave is to be called */
    bool alone;                             /* enter: let go of it for this call (see release.c) */
    bool interrupted, stepping;             /* by a signal; to its handler */
    bool skipped;                           /* not made, the result is ours */
    long nr;
    uint64_t args[6];
    void *call; /* the user's, freed with free() when the call is over */
    struct task *next;
};

struct trace_ops {
    /* About to make a call. True: leave is to be called when it is over. */
    bool (*enter)(void *ctx, struct task *task);
    void (*leave)(void *ctx, struct task *task, long result);
    /* It was interrupted, and will be made once more. */
    void (*dropped)(void *ctx, struct task *task);
    void (*began)(void *ctx, struct task *task, struct task *parent, bool is_thread);
    void (*executed)(void *ctx, struct task *task);
    void (*ended)(void *ctx, struct task *task, bool last_of_process);
};

/*
 * The exit status as a shell would have it; 126, 127 if the command cannot be run; negative errno
 * if it cannot be traced.
 */
int trace_run(char **argv, const struct trace_ops *ops, void *ctx);
/* Ends everything that is traced; trace_run returns soon. */
void trace_stop(struct task *task);

/* Of a stopped task. All or nothing: 0, -EFAULT. */
int task_read(const struct task *task, void *to, uint64_t from, size_t size);
int task_write(const struct task *task, uint64_t to, const void *from, size_t size);
/* Whether or not the task may write there. */
int task_force(const struct task *task, uint64_t to, const void *from, size_t size);
/* In enter: the call is not made and returns this. In leave as well: another result. */
void task_skip(struct task *task);
void task_set_result(struct task *task, long result);
void task_set_args(struct task *task, const uint64_t args[6]);
/* Some hundred bytes of its stack that it does not use. */
uint64_t task_scratch(const struct task *task);

#endif
