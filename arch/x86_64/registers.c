/* SPDX-License-Identifier: MIT */
/* The registers of a stopped thread on x86-64. */
#include "registers.h"

#include <sys/ptrace.h>
#include <ucontext.h>

#include "code.h"

#define USER_CS 0x33 /* of 64-bit code */

typedef unsigned long long reg; /* as sys/user.h has them */

bool arch_regs_read(pid_t tid, struct arch_regs *regs)
{
    regs->call = -1;
    return !ptrace(PTRACE_GETREGS, tid, NULL, &regs->user);
}

bool arch_regs_write(pid_t tid, const struct arch_regs *regs)
{
    return !ptrace(PTRACE_SETREGS, tid, NULL, &regs->user);
}

bool arch_regs_are_native(const struct arch_regs *regs)
{
    return regs->user.cs == USER_CS;
}

uint64_t arch_regs_pc(const struct arch_regs *regs)
{
    return regs->user.rip;
}

void arch_regs_set_pc(struct arch_regs *regs, uint64_t pc)
{
    regs->user.rip = pc;
}

uint64_t arch_regs_sp(const struct arch_regs *regs)
{
    return regs->user.rsp;
}

long arch_regs_call(const struct arch_regs *regs)
{
    return (long)regs->user.orig_rax;
}

/* Where the registers of a call's arguments are. */
static const size_t places[6] = {
    offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
    offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, r10),
    offsetof(struct user_regs_struct, r8), offsetof(struct user_regs_struct, r9)
};

uint64_t arch_regs_arg(const struct arch_regs *regs, unsigned i)
{
    return *(const reg *)(const void *)((const char *)&regs->user + places[i]);
}

void arch_regs_set_arg(struct arch_regs *regs, unsigned i, uint64_t value)
{
    *(reg *)(void *)((char *)&regs->user + places[i]) = value;
}

long arch_regs_result(const struct arch_regs *regs)
{
    return (long)regs->user.rax;
}

void arch_regs_set_result(struct arch_regs *regs, long result)
{
    regs->user.rax = (reg)result;
}

void arch_regs_drop_call(struct arch_regs *regs)
{
    regs->user.orig_rax = (reg)-1;
}

void arch_regs_prepare(struct arch_regs *regs, long nr, const uint64_t args[6])
{
    arch_regs_drop_call(regs);
    regs->user.rax = (reg)nr;
    for (unsigned i = 0; i < 6; i++)
        arch_regs_set_arg(regs, i, args[i]);
}

void arch_regs_begin_again(struct arch_regs *regs)
{
    regs->user.rip -= ARCH_CALL_SIZE;
    regs->user.rax = regs->user.orig_rax;
    arch_regs_drop_call(regs);
}

size_t arch_frame_result(void)
{
    /* Above the address to which the handler returns. */
    return sizeof(void *) + offsetof(ucontext_t, uc_mcontext.gregs[REG_RAX]);
}
