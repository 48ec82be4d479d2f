/* SPDX-License-Identifier: MIT */
/* Instructions of arm64 that gntsim looks for, and those that it executes in programs. */
#include "code.h"

#include <string.h>
#include <sys/syscall.h>

#include "registers.h"

#define KERNEL_CALL 0xd4000001u
#define JUMP_TO_ITSELF 0x14000000u
#define ADVICE_REGISTER 20

static uint32_t instruction(const uint8_t *bytes)
{
    uint32_t code;

    memcpy(&code, bytes, sizeof code);
    return code;
}

/* The number in some bits of an instruction, with its sign. */
static int64_t signed_bits(uint32_t code, unsigned first, unsigned count)
{
    return (int64_t)((uint64_t)code << (64 - first - count)) >> (64 - count);
}

bool arch_is_kernel_call(uint64_t word)
{
    return (uint32_t)word == KERNEL_CALL;
}

bool arch_enters_kernel(uint64_t word)
{
    return ((uint32_t)word & 0xffe0001f) == KERNEL_CALL; /* svc with any number */
}

size_t arch_find_kernel_call(const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + ARCH_CALL_SIZE <= size; at += ARCH_CALL_SIZE)
        if (instruction(bytes + at) == KERNEL_CALL)
            return at + ARCH_CALL_SIZE;
    return 0;
}

uint64_t arch_endless_loop(uint64_t word)
{
    return (word & ~0xffffffffull) | JUMP_TO_ITSELF;
}

enum arch_callee arch_call_before(uint64_t at, const uint8_t *bytes, uint64_t *target)
{
    uint32_t code = instruction(bytes);

    *target = 0;
    if ((code & 0xfc000000) == 0x94000000) { /* bl */
        *target = at - 4 + (uint64_t)(signed_bits(code, 0, 26) * 4);
        return ARCH_CALLS;
    }
    /* blr, also with a check of the pointer (blraa and others) */
    return (code & 0xfefff000) == 0xd63f0000 ? ARCH_CALLS_UNKNOWN : ARCH_NO_CALL;
}

uint64_t arch_plt_slot(uint64_t at, const uint8_t *bytes)
{
    unsigned skip = instruction(bytes) == 0xd503245f ? 4 : 0; /* bti c */
    uint32_t page = instruction(bytes + skip), load = instruction(bytes + skip + 4);
    int64_t pages;

    /* adrp x16, page; ldr x17, [x16, offset] */
    if ((page & 0x9f00001f) != 0x90000010 || (load & 0xffc003ff) != 0xf9400211)
        return 0;
    pages = signed_bits(page, 5, 19) * 4 + (page >> 29 & 3);
    return ((at + skip) & ~0xfffull) + (uint64_t)(pages * 4096) + (load >> 10 & 0xfff) * 8;
}

/*
 * Entered with the registers of the mmap, and the advice in w20. Linux keeps all registers but x0
 * over a call.
 */
__asm__(".globl stub_begin, stub_stop, stub_handler, stub_restorer, stub_end\n"
        ".hidden stub_begin, stub_stop, stub_handler, stub_restorer, stub_end\n"
        ".pushsection .rodata\n"
        ".balign 8\n"
        "stub_begin:\n"
        "    svc #0\n"
        "    mov x19, x0\n"
        "    tbnz x0, #63, 1f\n"
        "    mov w2, w20\n"
        "    mov x8, #233\n" /* madvise */
        "    svc #0\n"
        "    mov x0, x4\n"
        "    mov x8, #57\n" /* close */
        "    svc #0\n"
        "1:  mov x0, x19\n"
        "stub_stop:\n"
        "    brk #0\n"
        "stub_handler:\n"
        "    mov x4, x0\n"
        "    mov x3, x2\n"
        "    mov x2, x1\n"
        "    mov w1, #0x47fe\n"
        "    mov x0, #-1\n"
        "    mov x8, #29\n" /* ioctl */
        "    svc #0\n"
        "    ret\n"
        "stub_restorer:\n"
        "    mov x8, #139\n" /* rt_sigreturn */
        "    svc #0\n"
        "stub_end:\n"
        "    .balign 8\n"
        ".popsection\n");
_Static_assert(SYS_madvise == 233 && SYS_close == 57 && ARCH_STUB_IOCTL == 0x47fe &&
                   SYS_ioctl == 29 && SYS_rt_sigreturn == 139,
               "what the code says");

void arch_stub_advice(struct arch_regs *regs, int advice)
{
    regs->user.regs[ADVICE_REGISTER] = (uint64_t)advice;
}
