/* SPDX-License-Identifier: MIT */
/*
 * The registers of a stopped thread that is traced, by what they are for. A thread's program
 * counter is behind the system call instruction when it stops in or behind a call.
 */
#ifndef GNTSIM_ARCH_REGISTERS_H
#define GNTSIM_ARCH_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct arch_regs {
    struct user_regs_struct user;
    int call; /* arm64: the number of the call that the thread is in, no register there */
};

/* False: the thread is gone. */
bool arch_regs_read(pid_t tid, struct arch_regs *regs);
bool arch_regs_write(pid_t tid, const struct arch_regs *regs);

/* Whether the thread runs code of this architecture, not that of a 32-bit program. */
bool arch_regs_are_native(const struct arch_regs *regs);

uint64_t arch_regs_pc(const struct arch_regs *regs);
void arch_regs_set_pc(struct arch_regs *regs, uint64_t pc);
uint64_t arch_regs_sp(const struct arch_regs *regs);

/* The number of the call in which, or behind which, the thread stopped; < 0: of none. */
long arch_regs_call(const struct arch_regs *regs);
uint64_t arch_regs_arg(const struct arch_regs *regs, unsigned i);
void arch_regs_set_arg(struct arch_regs *regs, unsigned i, uint64_t value);
long arch_regs_result(const struct arch_regs *regs);
void arch_regs_set_result(struct arch_regs *regs, long result);
/* At the stop before a call: it is not made. Behind one: the kernel does not repeat it. */
void arch_regs_drop_call(struct arch_regs *regs);
/* For a thread that goes on at a system call instruction: it makes this call. */
void arch_regs_prepare(struct arch_regs *regs, long nr, const uint64_t args[6]);
/* At the stop before a call: the thread makes the same call anew when it goes on. */
void arch_regs_begin_again(struct arch_regs *regs);

/* A handler of a signal begins with the interrupted thread's registers so many bytes above its
 * stack pointer: there is the result of the call that the signal ended. */
size_t arch_frame_result(void);

#endif
