/* SPDX-License-Identifier: MIT */
/* Makes a stopped thread of a client execute system calls, by ptrace. */
#include "inject_i.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "code.h"

int inject_signal_of(int status)
{
    return status >> 8 == SIGSTOP ? SIGSTOP : 0;
}

/* A wait for the end of a traced thread takes its stops, too. */
bool inject_reap(pid_t tid)
{
    siginfo_t info = { .si_pid = 0 };

    return !waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid &&
           (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
            info.si_code == CLD_DUMPED) &&
           !waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL);
}

/*
 * As waitpid. While another thread that we trace has ended and nobody has waited for it, its
 * process's first thread never seems to: a kill may bring this about at any moment. So the wait is
 * for whatever happens, and what has ended is waited for.
 */
static pid_t wait_for(pid_t tid, int *status)
{
    const struct timespec moment = { .tv_nsec = 200000 };
    siginfo_t info;
    pid_t rc;

    while (!(rc = waitpid(tid, status, __WALL | WNOHANG))) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD) ||
            info.si_pid == tid)
            continue;
        if (!inject_reap(info.si_pid))
            nanosleep(&moment, NULL);      /* somebody's stop, who is seen to later */
    }
    return rc;
}

void inject_collect(struct inject *inject)
{
    int status;
    pid_t rc;

    inject->gone = true;
    for (;;) {
        rc = wait_for(inject->tid, &status);
        if (rc == inject->tid && WIFSTOPPED(status))
            ptrace(PTRACE_CONT, inject->tid, NULL, inject_signal_of(status));
        else
            break;
    }
}

static int seize(struct inject *inject, pid_t tid, long options)
{
    *inject = (struct inject){ .tid = tid, .may_outlive = !(options & PTRACE_O_EXITKILL) };
    return ptrace(PTRACE_SEIZE, tid, NULL, options) ? -errno : 0;
}

int inject_seize(struct inject *inject, pid_t tid)
{
    return seize(inject, tid, 0);
}

int inject_interrupt(struct inject *inject)
{
    int rc = ptrace(PTRACE_INTERRUPT, inject->tid, NULL, NULL) ? -errno : 0;

    if (rc)
        inject_collect(inject);
    return rc;
}

int inject_watch(struct inject *inject, pid_t tid)
{
    /* Its mmap may be answered, with half of an answer, before it stops and options can be set: as
     * in inject_begin. */
    return seize(inject, tid, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
}

int inject_begin_seized(struct inject *inject, pid_t tid, const struct held *held)
{
    int rc;

    *inject = (struct inject){ .tid = tid, .held = *held };
    pin_begin(&inject->pin, tid);     /* every stop is two switches */
    rc = inject_interrupt(inject);
    if (rc)
        pin_end(&inject->pin, tid, true);
    return rc;
}

int inject_begin(struct inject *inject, pid_t tid)
{
    /* A tracee whose tracer is killed runs on, with whatever registers it has: this one must not,
     * as the answer to its call may be half of one. */
    int rc = seize(inject, tid, PTRACE_O_EXITKILL);

    return rc ? rc : inject_begin_seized(inject, tid, &(struct held){ .signal_mask = 0 });
}

bool inject_wait_stop(struct inject *inject, int *status)
{
    pid_t rc = wait_for(inject->tid, status);

    if (rc == inject->tid && WIFSTOPPED(*status))
        return true;
    inject->gone = true;
    return false;
}

void inject_change(struct inject *inject, long from, long to)
{
    int status;

    /* The interrupt's own stop, or a group's, comes before any signal is looked at: what the kernel
     * does about the result, it does about ours. */
    if (!inject_wait_stop(inject, &status))
        return;
    if (arch_regs_read(inject->tid, &inject->regs) && arch_regs_result(&inject->regs) == from) {
        arch_regs_set_result(&inject->regs, to);
        arch_regs_write(inject->tid, &inject->regs);
    }
    if (ptrace(PTRACE_DETACH, inject->tid, NULL, inject_signal_of(status)))
        inject_collect(inject);
}

/* Reads the registers. From here on the thread dies with us. */
static bool begin_work(struct inject *inject)
{
    if ((inject->may_outlive && ptrace(PTRACE_SETOPTIONS, inject->tid, NULL, PTRACE_O_EXITKILL)) ||
        !arch_regs_read(inject->tid, &inject->regs))
        inject_collect(inject);
    inject->masked = inject->held.info.si_signo;
    if (inject->masked)
        inject->signal_mask = inject->held.signal_mask;
    return !inject->gone;
}

/*
 * Signals wait until we are done. if_needed: only if the thread blocks what its work may cause, of
 * which the kernel would reset the handler.
 */
static bool block_signals(struct inject *inject, bool if_needed)
{
    uint64_t all = ALL_SIGNALS;

    if (inject->gone || inject->masked)
        return !inject->gone;
    if (ptrace(PTRACE_GETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &inject->signal_mask)) {
        inject_collect(inject);
        return false;
    }
    inject->masked = !if_needed || inject->signal_mask & ~all;
    if (inject->masked && ptrace(PTRACE_SETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &all))
        inject_collect(inject);
    return !inject->gone;
}

/* Keeps the signal that the thread stopped for until we let go of it. */
static bool hold_signal(struct inject *inject)
{
    return !ptrace(PTRACE_GETSIGINFO, inject->tid, NULL, &inject->held.info) &&
           block_signals(inject, false);
}

bool inject_wait(struct inject *inject)
{
    int status;

    /* The interrupt's own stop comes before any signal is looked at. */
    return inject_wait_stop(inject, &status) && begin_work(inject);
}

bool inject_stopped(struct inject *inject, pid_t tid, int status, const struct held *held)
{
    *inject = (struct inject){ .tid = tid, .held = *held, .signal = inject_signal_of(status) };
    return begin_work(inject);
}

bool inject_can_call(const struct inject *inject)
{
    long code;

    if (!arch_regs_are_native(&inject->regs))
        return false;
    errno = 0;
    code = ptrace(PTRACE_PEEKTEXT, inject->tid, arch_regs_pc(&inject->regs) - ARCH_CALL_SIZE, NULL);
    return !errno && arch_is_kernel_call((uint64_t)code);
}

/* Lets the thread go on, with the registers of a call. */
static bool resume(struct inject *inject, struct arch_regs *regs, long nr,
                   const uint64_t args[6], enum __ptrace_request how)
{
    if (inject->gone)
        return false;
    arch_regs_prepare(regs, nr, args);
    if (!arch_regs_write(inject->tid, regs) ||
        ptrace(how, inject->tid, NULL, inject->signal))
        inject_collect(inject);
    inject->signal = 0;
    return !inject->gone;
}

/* Out of a stop that is not ours. */
static long go_on(struct inject *inject, enum __ptrace_request how, int status)
{
    return ptrace(how, inject->tid, NULL, inject_signal_of(status));
}

/*
 * Whether the signal that the thread stopped with was sent by somebody, not caused by what it did.
 */
static bool is_sent(pid_t tid)
{
    siginfo_t info;

    return !ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) && info.si_code <= 0;
}

/*
 * The thread stopped for a signal, which it gets when we let go of it. False: its own code caused
 * it. The client took away that code, or forbids calls from there.
 */
static bool may_go_on(struct inject *inject, int sig)
{
    bool is_fault = sig == SIGSEGV || sig == SIGBUS || sig == SIGSYS;

    if (is_fault && !is_sent(inject->tid))
        return false;
    if (sig == SIGSYS)
        inject->late = SIGSYS;
    else if (sig != SIGSTOP && sig != SIGTRAP && !inject->masked)
        return hold_signal(inject);
    return true;
}

/* Waits until the thread has stopped at pc, and returns the result of a call that is there. */
static long wait_at(struct inject *inject, uint64_t pc, enum __ptrace_request how)
{
    struct arch_regs regs;
    unsigned long message;
    int status;

    while (!inject->gone) {
        if (!inject_wait_stop(inject, &status))
            break;
        if (!arch_regs_read(inject->tid, &regs)) {
            inject_collect(inject);
            break;
        }
        if (status >> 16 == PTRACE_EVENT_CLONE &&
            !ptrace(PTRACE_GETEVENTMSG, inject->tid, NULL, &message))
            inject->started = (pid_t)message;
        if (status >> 8 == SIGTRAP && arch_regs_pc(&regs) == pc) {
            inject->stepped = true;
            return arch_regs_result(&regs);
        }
        if (!(status >> 16) && !may_go_on(inject, WSTOPSIG(status)))
            return inject->gone ? -ESRCH : -EFAULT;
        /* A SIGSTOP of somebody's cannot be masked. Its stop may come before the step, or after it
         * and before the step's own, which must not be left behind: it would kill the thread later.
         * A further step collects it. */
        if (go_on(inject, how, status))
            inject_collect(inject);
    }
    return -ESRCH;
}

bool inject_call_begin(struct inject *inject, long nr, const uint64_t args[6])
{
    struct arch_regs regs = inject->regs;

    /* The thread came through a syscall instruction: step over it again. */
    arch_regs_set_pc(&regs, arch_regs_pc(&regs) - ARCH_CALL_SIZE);
    return block_signals(inject, false) && resume(inject, &regs, nr, args, PTRACE_SINGLESTEP);
}

long inject_call_end(struct inject *inject)
{
    return wait_at(inject, arch_regs_pc(&inject->regs), PTRACE_SINGLESTEP);
}

long inject_run(struct inject *inject, struct arch_regs *regs, long nr, const uint64_t args[6],
                uint64_t end)
{
    return block_signals(inject, true) && resume(inject, regs, nr, args, PTRACE_CONT)
               ? wait_at(inject, end, PTRACE_CONT)
               : -ESRCH;
}

long inject_call(struct inject *inject, long nr, const uint64_t args[6])
{
    long result = -ESRCH;

    /* A group stop under way makes clone and others ask for a restart, which nobody but us can
     * give. Its stop passes with the next step. */
    for (int tries = 0; tries < 100; tries++) {
        result = inject_call_begin(inject, nr, args) ? inject_call_end(inject) : -ESRCH;
        if (result != -ERESTARTNOINTR && result != -ERESTARTSYS)
            break;
    }
    return result;
}

/* ---- A stand-in ------------------------------------------------------------------------------ */

int inject_stand_in(struct inject *inject, struct inject *stand_in)
{
    /* Shares all that makes it a thread of the process, but not the descriptors. It never uses its
     * (our thread's) stack. */
    const uint64_t args[6] = { CLONE_VM | CLONE_SIGHAND | CLONE_THREAD };
    int status;
    long tid;

    *stand_in = (struct inject){ .gone = true };
    if (ptrace(PTRACE_SETOPTIONS, inject->tid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE)) {
        /* the new one gets both */
        inject_collect(inject);
        return -ESRCH;
    }
    tid = inject_call(inject, SYS_clone, args);
    if (!inject->gone)
        ptrace(PTRACE_SETOPTIONS, inject->tid, NULL, PTRACE_O_EXITKILL);
    if (tid < 0 && !inject->gone)
        return (int)tid;
    /* The number above is that of the client's namespace. */
    stand_in->tid = inject->started;
    if (!inject->started || inject->gone || !inject_wait_stop(stand_in, &status)) {
        if (inject->started && inject->gone)
            inject_collect(stand_in);
        if (!inject->gone)
            inject_collect(inject);
        return -ESRCH;
    }
    stand_in->gone = false;
    if (!arch_regs_read(stand_in->tid, &stand_in->regs)) {
        inject_collect(stand_in);
        return -ESRCH;
    }
    return 0;
}

bool inject_is_waiting(struct inject *inject)
{
    struct arch_regs regs;
    int status;

    if (inject->gone || waitpid(inject->tid, &status, __WALL | WNOHANG) != inject->tid)
        return !inject->gone;
    if (!WIFSTOPPED(status)) {
        inject->gone = true;
        return false;
    }
    /* Somebody's SIGSTOP came before the call: on with it. */
    if (!arch_regs_read(inject->tid, &regs)) {
        inject_collect(inject);
        return false;
    }
    /* The call is over, perhaps because of a SIGSTOP. */
    if (arch_regs_pc(&regs) == arch_regs_pc(&inject->regs)) {
        inject->signal = inject_signal_of(status);
        return false;
    }
    if (go_on(inject, PTRACE_SINGLESTEP, status))
        inject_collect(inject);
    return !inject->gone;
}

void inject_dismiss(struct inject *stand_in)
{
    if (inject_call_begin(stand_in, SYS_exit, (uint64_t[6]){ 0 }))
        inject_collect(stand_in);
}

/* The signal that was held is given as it came, at a stop for another one: a step's. 0: none. */
static int give_signal(struct inject *inject)
{
    int sig = inject->held.info.si_signo;

    if (!sig)
        return inject->late;
    if (!inject->stepped && inject_can_call(inject))
        inject_call(inject, SYS_getpid, (uint64_t[6]){ 0 });
    if (inject->late)
        syscall(SYS_tkill, inject->tid, inject->late);
    if (inject->stepped && !ptrace(PTRACE_SETSIGINFO, inject->tid, NULL, &inject->held.info))
        return sig;
    syscall(SYS_tkill, inject->tid, sig);
    return 0;
}

/* Lets go of the stopped thread, with the registers that we have of it. */
static void let_go(struct inject *inject)
{
    int sig = inject->gone ? 0 : give_signal(inject);

    if (!inject->gone) {
        arch_regs_write(inject->tid, &inject->regs);
        if (inject->masked)
            ptrace(PTRACE_SETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &inject->signal_mask);
        if (ptrace(inject->stays ? PTRACE_CONT : PTRACE_DETACH, inject->tid, NULL, sig))
            inject_collect(inject);
    }
    /* after it was woken here: otherwise it would be sent to another, idle processor */
    pin_end(&inject->pin, inject->tid, inject->gone);
}

void inject_end(struct inject *inject, long result)
{
    arch_regs_set_result(&inject->regs, result);
    arch_regs_drop_call(&inject->regs);
    let_go(inject);
}

/*
 * Calls that no real kernel interrupts: what ends one is that we were asked about it, or stopped
 * its thread.
 */
static bool is_never_interrupted(long nr)
{
    return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mremap || nr == SYS_mprotect ||
           nr == SYS_madvise;
}

bool inject_repeat(struct arch_regs *regs)
{
    long nr = arch_regs_call(regs), result = arch_regs_result(regs);

    if (nr >= 0 && result == -ERESTARTSYS && is_never_interrupted(nr))
        arch_regs_set_result(regs, -ERESTARTNOINTR);
    else if (nr >= 0 && result == -EINTR)
        arch_regs_set_result(regs, nr == SYS_read ? -ERESTARTSYS : -ERESTARTNOHAND);
    else
        return false;
    return true;
}

void inject_pass(struct inject *inject)
{
    inject_repeat(&inject->regs);
    let_go(inject);
}
