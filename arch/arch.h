/* SPDX-License-Identifier: MIT */
/*
 * What is different on each processor that gntsim runs on, as far as it takes no code. registers.h
 * and code.h have the rest.
 */
#ifndef GNTSIM_ARCH_ARCH_H
#define GNTSIM_ARCH_ARCH_H

#include <linux/audit.h>
#include <stddef.h>

#if defined(__x86_64__)

#define ARCH_NAME "x86-64"
#define ARCH_COMPAT AUDIT_ARCH_I386 /* of 32-bit programs, which the same kernel runs */
/* Why no machine serves device files here; NULL: it does. */
#define ARCH_NO_DEVICE_FILES NULL

/* The numbers of registers in DWARF: frame pointer, stack pointer, return address. */
#define ARCH_DWARF_FP 6
#define ARCH_DWARF_SP 7
#define ARCH_DWARF_RA 16

/* Registers that perf_event_open(2) can note: all general ones, stack pointer, program counter. */
#define ARCH_PERF_REGISTERS 0xff01ffull
#define ARCH_NR_PERF_REGISTERS 17u

/* For a loop that waits for another processor. */
static inline void arch_relax(void)
{
    __builtin_ia32_pause();
}

#elif defined(__aarch64__)

#define ARCH_NAME "arm64"
#define ARCH_COMPAT AUDIT_ARCH_ARM
/*
 * An arm64 kernel prepares a call's repetition before a tracer sees the thread, so a tracer cannot
 * change what becomes of a call that a signal ended. The device way needs that (hold.c, inject.c).
 */
#define ARCH_NO_DEVICE_FILES "device files are not served on arm64 yet; use --way socket"

#define ARCH_DWARF_FP 29
#define ARCH_DWARF_SP 31
#define ARCH_DWARF_RA 30

#define ARCH_PERF_REGISTERS 0x1ffffffffull
#define ARCH_NR_PERF_REGISTERS 33u

static inline void arch_relax(void)
{
    __asm__ volatile("yield");
}

#else
#error "gntsim runs on x86-64 and arm64: add this processor to arch/"
#endif

#endif
