/* SPDX-License-Identifier: MIT */
/* Makes a stopped thread of a client execute one instruction of its own, by ptrace. */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "code.h"
#include "inject_i.h"

/* What an instruction may cause: the kernel resets the handler of such a one that is blocked. */
static bool is_of_instruction(int sig)
{
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP ||
           sig == SIGSYS;
}

bool inject_can_step(const struct inject *inject)
{
    long code;

    if (inject->gone || arch_regs_call(&inject->regs) >= 0)
        return false;
    errno = 0;
    code = ptrace(PTRACE_PEEKTEXT, inject->tid, arch_regs_pc(&inject->regs), NULL);
    return !errno && !arch_enters_kernel((uint64_t)code);
}

bool inject_step_begin(struct inject *inject)
{
    uint64_t mask = ~0ull;

    if (inject->gone)
        return false;
    for (int sig = 1; sig < 32; sig++)
        if (is_of_instruction(sig))
            mask &= ~(1ull << (sig - 1));
    if (!inject->masked &&
        ptrace(PTRACE_GETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &inject->signal_mask))
        inject_collect(inject);
    inject->masked = true;
    if (!inject->gone &&
        (ptrace(PTRACE_SETSIGMASK, inject->tid, KERNEL_SIGSET_SIZE, &mask) ||
         ptrace(PTRACE_SINGLESTEP, inject->tid, NULL, inject->signal)))
        inject_collect(inject);
    inject->signal = 0;
    return !inject->gone;
}

bool inject_step_end(struct inject *inject)
{
    int status;

    if (!inject_wait_stop(inject, &status))
        return false;
    if (!arch_regs_read(inject->tid, &inject->regs)) {
        inject_collect(inject);
        return false;
    }
    inject->signal = inject_signal_of(status);
    if (status >> 16 || inject->signal || WSTOPSIG(status) == SIGTRAP)
        return true;
    inject->late = WSTOPSIG(status);
    return false;
}
