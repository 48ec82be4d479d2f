/* SPDX-License-Identifier: MIT */
#include "inject.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define SYSCALL_INSN_SIZE 2
#define KERNEL_SIGSET_SIZE 8

/*
 * Every stop is two context switches. On one processor they are direct hand-overs, on two each is a wake-up of an idle
 * one (several times slower in a virtual machine), so both threads share the tracer's processor for the moment.
 */
static void pin(struct inject *inject)
{
    cpu_set_t one;
    int cpu = sched_getcpu();

    CPU_ZERO(&one);
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    CPU_SET(cpu, &one);
    if (sched_getaffinity(inject->tid, sizeof inject->their_cpus, &inject->their_cpus) ||
        !CPU_ISSET(cpu, &inject->their_cpus) || sched_getaffinity(0, sizeof inject->our_cpus, &inject->our_cpus) ||
        sched_setaffinity(0, sizeof one, &one))
        return;
    inject->pinned = true;
    sched_setaffinity(inject->tid, sizeof one, &one);
}

static void unpin(struct inject *inject)
{
    if (!inject->pinned)
        return;
    if (!inject->gone)
        sched_setaffinity(inject->tid, sizeof inject->their_cpus, &inject->their_cpus);
    sched_setaffinity(0, sizeof inject->our_cpus, &inject->our_cpus);
    inject->pinned = false;
}

int inject_begin(struct inject *inject, pid_t tid)
{
    int rc;

    *inject = (struct inject){ .tid = tid };
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
        return -errno;
    pin(inject);
    if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL)) {
        rc = -errno;
        inject->gone = true;
        unpin(inject);
        return rc;
    }
    return 0;
}

/* Waits for any stop; false when the thread ended. */
static bool wait_stop(struct inject *inject, int *status)
{
    pid_t rc;

    do
        rc = waitpid(inject->tid, status, __WALL);
    while (rc < 0 && errno == EINTR);
    if (rc == inject->tid && WIFSTOPPED(*status))
        return true;
    inject->gone = true;
    return false;
}

bool inject_wait(struct inject *inject)
{
    uint64_t all = ~0ull;
    int status;

    if (!wait_stop(inject, &status))
        return false;
    /* The interrupt's own stop comes before any signal is looked at. From here on they wait until we are done. */
    if (ptrace(PTRACE_GETREGS, inject->tid, NULL, &inject->regs) ||
        ptrace(PTRACE_GETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &inject->signal_mask) ||
        ptrace(PTRACE_SETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &all))
        inject->gone = true;
    return !inject->gone;
}

long inject_call(struct inject *inject, long nr, const uint64_t args[6])
{
    struct user_regs_struct regs = inject->regs;
    int status;

    if (inject->gone)
        return -ESRCH;
    /* The thread came through a syscall instruction: step over it again. */
    regs.rip -= SYSCALL_INSN_SIZE;
    regs.orig_rax = (unsigned long long)-1;
    regs.rax = (unsigned long long)nr;
    regs.rdi = args[0];
    regs.rsi = args[1];
    regs.rdx = args[2];
    regs.r10 = args[3];
    regs.r8 = args[4];
    regs.r9 = args[5];
    if (ptrace(PTRACE_SETREGS, inject->tid, NULL, &regs))
        inject->gone = true;
    while (!inject->gone) {
        if (ptrace(PTRACE_SINGLESTEP, inject->tid, NULL, NULL)) {
            inject->gone = true;
            break;
        }
        if (!wait_stop(inject, &status))
            break;
        /* A SIGSTOP of somebody's cannot be masked and stops the thread before or after the step: see which. */
        if (ptrace(PTRACE_GETREGS, inject->tid, NULL, &regs)) {
            inject->gone = true;
            break;
        }
        if (regs.rip == inject->regs.rip)
            return (long)regs.rax;
        if (WSTOPSIG(status) == SIGSEGV || WSTOPSIG(status) == SIGBUS)
            return -EFAULT;      /* the client took away its own code */
    }
    return -ESRCH;
}

void inject_end(struct inject *inject, long result)
{
    if (!inject->gone) {
        inject->regs.rax = (unsigned long long)result;
        inject->regs.orig_rax = (unsigned long long)-1;      /* not to be restarted */
        ptrace(PTRACE_SETREGS, inject->tid, NULL, &inject->regs);
        ptrace(PTRACE_SETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &inject->signal_mask);
        ptrace(PTRACE_DETACH, inject->tid, NULL, NULL);
    }
    unpin(inject);      /* after it was woken here: otherwise it would be sent to another, idle processor */
}
