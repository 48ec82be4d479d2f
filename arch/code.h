/* SPDX-License-Identifier: MIT */
/* Code of this processor: calls of the kernel, calls of functions, and code for programs. */
#ifndef GNTSIM_ARCH_CODE_H
#define GNTSIM_ARCH_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define ARCH_CALL_SIZE 2u      /* bytes of the instruction that calls the kernel */
#define ARCH_BACKWARD_BYTES 7u /* what arch_call_before wants to see */
#define ARCH_PLT_BYTES 12u     /* what arch_plt_slot wants to see */
#else
#define ARCH_CALL_SIZE 4u
#define ARCH_BACKWARD_BYTES 4u
#define ARCH_PLT_BYTES 16u
#endif

/* ---- Calls of the kernel --------------------------------------------------------------------- */

/* Whether the word begins with the instruction that calls the kernel. */
bool arch_is_kernel_call(uint64_t word);
/* The first such instruction among the bytes: the offset behind it; 0: there is none. */
size_t arch_find_kernel_call(const uint8_t *bytes, size_t size);
/* Whether it begins with any instruction that enters the kernel, such as 32-bit programs use. */
bool arch_enters_kernel(uint64_t word);
/* The word with a jump to itself as its first instruction: a thread stays there. */
uint64_t arch_endless_loop(uint64_t word);

/* ---- Calls of functions ---------------------------------------------------------------------- */

enum arch_callee {
    ARCH_NO_CALL,       /* there is no call */
    ARCH_CALLS,         /* *target: the function */
    ARCH_CALLS_THROUGH, /* *target: where the function's address is */
    ARCH_CALLS_UNKNOWN  /* through a register */
};

/* What the instruction before address at calls, of which the ARCH_BACKWARD_BYTES bytes are. */
enum arch_callee arch_call_before(uint64_t at, const uint8_t *bytes, uint64_t *target);
/* Where the address is to which an entry of a procedure linkage table at address at leads, of which
 * the ARCH_PLT_BYTES bytes are. 0: it is no such entry. */
uint64_t arch_plt_slot(uint64_t at, const uint8_t *bytes);

/* ---- Code for programs ----------------------------------------------------------------------- */

struct arch_regs;

/*
 * Code for a page of a program. From its beginning it makes the mmap for which the registers are,
 * madvise and close, and stops at a breakpoint. Behind that is a handler of signals, which makes
 * ioctl(-1, ARCH_STUB_IOCTL, siginfo, ucontext, signal), and what it returns to.
 */
struct arch_stub {
    const uint8_t *code;
    size_t size;
    size_t stops_at; /* the offset that the program counter has at the breakpoint */
    size_t handler, restorer;
};
#define ARCH_STUB_IOCTL 0x47feu

struct arch_stub arch_stub(void);
/* Besides arch_regs_prepare: the advice of the madvise. */
void arch_stub_advice(struct arch_regs *regs, int advice);

#endif
