/* SPDX-License-Identifier: MIT */
/*
 * Makes another thread execute system calls, by a short trace. The thread waits in a seccomp
 * notification. The sequence is inject_begin, the answer to the notification, inject_wait, any
 * number of inject_call, inject_end. One thread must make all these calls, because it is the
 * tracer.
 */
#ifndef GNTSIM_FUSE_DEV_INJECT_H
#define GNTSIM_FUSE_DEV_INJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hold.h"
#include "pin.h"
#include "registers.h"

/*
 * The kernel's own errors; a program never sees them. The call is repeated, if no handler without
 * SA_RESTART runs; in any case.
 */
#define ERESTARTSYS    512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514          /* if no handler runs */

struct inject {
    pid_t tid;
    bool gone;                        /* it died meanwhile */
    bool may_outlive;                 /* us, as seized: a stop comes before it does */
    bool stays;                       /* traced when we let go of it, as from inject_watch on */
    struct arch_regs regs;            /* as it stopped */
    bool masked;                      /* its signals wait until we let go of it */
    uint64_t signal_mask;             /* the thread's own, then */
    struct held held;
    bool stepped;                     /* since then: at this stop a signal can be given */
    int late;                         /* a signal of somebody's, for when we let go of it */
    pid_t started;                    /* the thread that it has started */
    /* for when it goes on: somebody's SIGSTOP, which cannot be masked */
    int signal;
    struct pin pin;
};

/* Seizes the thread and asks it to stop as soon as its system call is answered. From here to
 * inject_end the thread is not itself: if we are killed, SIGKILL ends its process. -EPERM: somebody
 * else traces it. */
int inject_begin(struct inject *inject, pid_t tid);
/* Waits for a thread that somebody of us traces, if it has ended. False: it has not. */
bool inject_reap(pid_t tid);
/*
 * The two halves of inject_begin. The first waits while the process is in an execve, which waits
 * until this thread is gone.
 */
int inject_seize(struct inject *inject, pid_t tid);
int inject_interrupt(struct inject *inject);
/*
 * Behind a call of a thread that was interrupted: gives the result to instead of from, if it is
 * that, and lets go. No inject_end.
 */
void inject_change(struct inject *inject, long from, long to);
/* Of a thread that goes on meanwhile: seizes it. And as inject_begin, of such a one. */
int inject_watch(struct inject *inject, pid_t tid);
int inject_begin_seized(struct inject *inject, pid_t tid, const struct held *held);
/* Of one that stopped, as status says: as inject_wait. */
bool inject_stopped(struct inject *inject, pid_t tid, int status, const struct held *held);
/* Waits for the stop. False if the thread is gone. */
bool inject_wait(struct inject *inject);
/*
 * Whether the thread stopped behind a call of the kind that inject_call makes: not one of another
 * architecture.
 */
bool inject_can_call(const struct inject *inject);
/*
 * Executes one system call in the stopped thread and returns its result; -ESRCH if the thread is
 * gone.
 */
long inject_call(struct inject *inject, long nr, const uint64_t args[6]);
/*
 * The two halves of inject_call, for a call that the tracer has to answer in between. False,
 * -ESRCH: the thread is gone.
 */
bool inject_call_begin(struct inject *inject, long nr, const uint64_t args[6]);
long inject_call_end(struct inject *inject);
/* Has it go on at the program counter in regs, with the registers of a system call, to the
 * breakpoint that stops it at end. Returns the result that is there; -EFAULT: it could not; -ESRCH
 * as above. */
long inject_run(struct inject *inject, struct arch_regs *regs, long nr, const uint64_t args[6],
                uint64_t end);
/*
 * One instruction of a thread's own, at which it stopped: whether it is one that is not a call, and
 * the two halves of its execution. False: the thread is gone, or the instruction caused a signal,
 * which the thread gets when we let go of it.
 */
bool inject_can_step(const struct inject *inject);
bool inject_step_begin(struct inject *inject);
bool inject_step_end(struct inject *inject);
/*
 * Has the stopped thread start another one that shares its address space but has descriptors of its
 * own (a copy of the thread's): what is lent to it, no other thread can see. It runs nothing but
 * what inject_call makes it, until inject_dismiss, which must follow a 0. Negative errno: the
 * clone's. If inject is gone then, there may be a thread nevertheless: watched_adopt.
 */
int inject_stand_in(struct inject *inject, struct inject *stand_in);
void inject_dismiss(struct inject *stand_in);
/*
 * After inject_call_begin: whether the thread is on its way into the call or in it; without
 * waiting.
 */
bool inject_is_waiting(struct inject *inject);
/* Lets the thread go on as if its own system call had returned result. */
void inject_end(struct inject *inject, long result);
/*
 * Lets go of a thread that was stopped, but whose call was not answered: it goes on as if it had
 * not been.
 */
void inject_pass(struct inject *inject);
/*
 * Of a thread that stopped behind a call, before any handler runs: a call on memory that was
 * interrupted before its notification was received is repeated in any case; one that our own
 * tracing woke is repeated unless a handler runs, which is when it would have said EINTR. True:
 * changed.
 */
bool inject_repeat(struct arch_regs *regs);

#endif
