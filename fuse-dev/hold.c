/* SPDX-License-Identifier: MIT */
/* Holds a signal back from a thread that is about to map. */
#include "hold.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "inject.h"

/* What the thread's own code can cause: the kernel kills one that blocks it. */
#define FAULTS (1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) | \
                1ull << (SIGILL - 1))

static bool block(pid_t tid, uint64_t mask)
{
    return !ptrace(PTRACE_SETSIGMASK, tid, KERNEL_SIGSET_SIZE, &mask);
}

bool hold_waits(const struct held *held)
{
    return held->info.si_signo && held->maps;
}

/* Whether the thread runs its own code when it goes on: it is behind the ioctl, or in no call. */
static bool is_between(const struct arch_regs *regs)
{
    long nr = arch_regs_call(regs);

    return nr < 0 || (nr == SYS_ioctl && arch_regs_result(regs) >= 0);
}

/* The thread stopped for a signal. True: it is held. */
static bool begin(struct held *held, pid_t tid)
{
    struct arch_regs regs;
    struct held now = { .given = false };

    if (!arch_regs_read(tid, &regs))
        return false;
    /* Interrupted before it was received, the mmap is repeated. */
    now.maps = arch_regs_call(&regs) == SYS_mmap && inject_repeat(&regs);
    if ((!now.maps && !is_between(&regs)) ||
        ptrace(PTRACE_GETSIGINFO, tid, NULL, &now.info) || now.info.si_signo == SIGSTOP ||
        (!now.maps && (FAULTS | ~ALL_SIGNALS) & 1ull << (now.info.si_signo - 1)) ||
        ptrace(PTRACE_GETSIGMASK, tid, KERNEL_SIGSET_SIZE, &now.signal_mask) ||
        (now.maps && !arch_regs_write(tid, &regs)) ||
        !block(tid, now.maps ? ALL_SIGNALS : ALL_SIGNALS & ~FAULTS))
        return false;
    *held = now;
    return true;
}

/* The thread stops for the signal once more, and gets it as it came. */
static void give(struct held *held, pid_t tid)
{
    held->given = true;
    block(tid, held->signal_mask);
    syscall(SYS_tkill, tid, held->info.si_signo);
}

/* The thread begins a call. If that is not the mmap, it begins it anew behind the signal. */
static void call(struct held *held, pid_t tid)
{
    struct arch_regs regs;

    if (!arch_regs_read(tid, &regs))
        return;
    if (arch_regs_call(&regs) == SYS_mmap &&
        filter_reports_mmap(arch_regs_arg(&regs, 3), arch_regs_arg(&regs, 4))) {
        held->maps = true;
        block(tid, ALL_SIGNALS);
        return;
    }
    arch_regs_begin_again(&regs);
    if (arch_regs_write(tid, &regs))
        give(held, tid);
}

/* Has the thread go on, to its next call if a signal is held for that. */
static bool go_on(const struct held *held, pid_t tid, int sig)
{
    bool stops = held->info.si_signo && !held->maps && !held->given;

    ptrace(stops ? PTRACE_SYSCALL : PTRACE_CONT, tid, NULL, sig);
    return true;
}

bool hold_stop(struct held *held, pid_t tid, int status, bool leaves)
{
    int event = status >> 16, sig = event ? 0 : WSTOPSIG(status);

    if (sig == CALL_STOP) {
        call(held, tid);
        return go_on(held, tid, 0);
    }
    if (!held->info.si_signo)
        return sig && begin(held, tid) && go_on(held, tid, 0);
    if (held->maps)
        return false;
    if (held->given && sig == held->info.si_signo) {
        ptrace(PTRACE_SETSIGINFO, tid, NULL, &held->info);
        *held = (struct held){ .given = false };
        return false;
    }
    /* Its own code may have caused another signal, whose handler must not find ours blocked. */
    if (!held->given && (leaves || (sig && sig != SIGSTOP)))
        give(held, tid);
    return go_on(held, tid, sig);
}
