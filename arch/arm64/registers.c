/* SPDX-License-Identifier: MIT */
/* The registers of a stopped thread on arm64. */
#include "registers.h"

#include <elf.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "code.h"

#define CALL_REGISTER 8   /* has the number of the call that a program makes */
#define MODE_32_BIT 0x10u /* in pstate */

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif

static long transfer(enum __ptrace_request how, pid_t tid, unsigned set, void *data, size_t size)
{
    struct iovec part = { data, size };

    return ptrace(how, tid, (uintptr_t)set, &part);
}

bool arch_regs_read(pid_t tid, struct arch_regs *regs)
{
    return !transfer(PTRACE_GETREGSET, tid, NT_PRSTATUS, &regs->user, sizeof regs->user) &&
           !transfer(PTRACE_GETREGSET, tid, NT_ARM_SYSTEM_CALL, &regs->call, sizeof regs->call);
}

bool arch_regs_write(pid_t tid, const struct arch_regs *regs)
{
    struct arch_regs copy = *regs;

    return !transfer(PTRACE_SETREGSET, tid, NT_PRSTATUS, &copy.user, sizeof copy.user) &&
           !transfer(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &copy.call, sizeof copy.call);
}

bool arch_regs_are_native(const struct arch_regs *regs)
{
    return !(regs->user.pstate & MODE_32_BIT);
}

uint64_t arch_regs_pc(const struct arch_regs *regs)
{
    return regs->user.pc;
}

void arch_regs_set_pc(struct arch_regs *regs, uint64_t pc)
{
    regs->user.pc = pc;
}

uint64_t arch_regs_sp(const struct arch_regs *regs)
{
    return regs->user.sp;
}

long arch_regs_call(const struct arch_regs *regs)
{
    return regs->call;
}

uint64_t arch_regs_arg(const struct arch_regs *regs, unsigned i)
{
    return regs->user.regs[i];
}

void arch_regs_set_arg(struct arch_regs *regs, unsigned i, uint64_t value)
{
    regs->user.regs[i] = value;
}

long arch_regs_result(const struct arch_regs *regs)
{
    return (long)regs->user.regs[0];
}

void arch_regs_set_result(struct arch_regs *regs, long result)
{
    regs->user.regs[0] = (uint64_t)result;
}

void arch_regs_drop_call(struct arch_regs *regs)
{
    regs->call = -1;
}

void arch_regs_prepare(struct arch_regs *regs, long nr, const uint64_t args[6])
{
    arch_regs_drop_call(regs);
    regs->user.regs[CALL_REGISTER] = (uint64_t)nr;
    for (unsigned i = 0; i < 6; i++)
        regs->user.regs[i] = args[i];
}

void arch_regs_begin_again(struct arch_regs *regs)
{
    /* The register with the number is as the program left it, and so are the arguments. */
    regs->user.pc -= ARCH_CALL_SIZE;
    arch_regs_drop_call(regs);
}

size_t arch_frame_result(void)
{
    /* Above what sigaction(2) gives the handler of the signal. */
    return sizeof(siginfo_t) + offsetof(ucontext_t, uc_mcontext.regs[0]);
}
