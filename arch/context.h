/* SPDX-License-Identifier: MIT */
/* The registers of a thread at the moment of a signal, as its handler has them. */
#ifndef GNTSIM_ARCH_CONTEXT_H
#define GNTSIM_ARCH_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#if defined(__aarch64__)
#include <asm/sigcontext.h>
#endif

static inline uint64_t arch_context_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uint64_t)context->uc_mcontext.gregs[REG_RIP];
#else
    return context->uc_mcontext.pc;
#endif
}

static inline uint64_t arch_context_sp(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uint64_t)context->uc_mcontext.gregs[REG_RSP];
#else
    return context->uc_mcontext.sp;
#endif
}

static inline uint64_t arch_context_fp(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uint64_t)context->uc_mcontext.gregs[REG_RBP];
#else
    return context->uc_mcontext.regs[29];
#endif
}

/* Whether the thread faulted when it wrote to memory. */
static inline bool arch_context_writes(const ucontext_t *context)
{
#if defined(__x86_64__)
    const greg_t *registers = context->uc_mcontext.gregs;

    return registers[REG_TRAPNO] == 14 && registers[REG_ERR] & 2; /* of a page fault */
#else
    const char *at = (const char *)context->uc_mcontext.__reserved;
    const char *end = at + sizeof context->uc_mcontext.__reserved - sizeof(struct esr_context);

    /* One of the records that the kernel keeps there has what the processor said. */
    while (at <= end) {
        const struct esr_context *record = (const void *)at;

        if (record->head.magic == ESR_MAGIC)
            return record->esr >> 27 == 0x24 >> 1 && record->esr & 1u << 6; /* data abort, WnR */
        if (!record->head.magic || record->head.size < sizeof record->head)
            break;
        at += record->head.size;
    }
    return false;
#endif
}

#endif
