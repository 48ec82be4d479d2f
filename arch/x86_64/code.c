/* SPDX-License-Identifier: MIT */
/* Instructions of x86-64 that gntsim looks for, and those that it executes in programs. */
#include "code.h"

#include <string.h>
#include <sys/syscall.h>

#include "registers.h"

static const uint8_t kernel_call[ARCH_CALL_SIZE] = { 0x0f, 0x05 };

bool arch_is_kernel_call(uint64_t word)
{
    return !memcmp(&word, kernel_call, sizeof kernel_call);
}

bool arch_enters_kernel(uint64_t word)
{
    uint16_t code = (uint16_t)word;

    return code == 0x050f || code == 0x340f || code == 0x80cd; /* syscall, sysenter, int $0x80 */
}

size_t arch_find_kernel_call(const uint8_t *bytes, size_t size)
{
    const uint8_t *at = memmem(bytes, size, kernel_call, sizeof kernel_call);

    return at ? (size_t)(at - bytes) + sizeof kernel_call : 0;
}

uint64_t arch_endless_loop(uint64_t word)
{
    return (word & ~0xffffull) | 0xfeeb;
}

static uint64_t relative(uint64_t from, const uint8_t *bytes)
{
    int32_t distance;

    memcpy(&distance, bytes, sizeof distance);
    return from + (uint64_t)(int64_t)distance;
}

enum arch_callee arch_call_before(uint64_t at, const uint8_t *code, uint64_t *target)
{
    *target = 0;
    if (code[2] == 0xe8) {
        *target = relative(at, code + 3);
        return ARCH_CALLS;
    }
    if (code[1] == 0xff && code[2] == 0x15) {
        *target = relative(at, code + 3);
        return ARCH_CALLS_THROUGH;
    }
    /* Through a register, or memory that one points to. */
    return (code[5] == 0xff && (code[6] & 0xf8) == 0xd0) ||
                   (code[5] == 0xff && (code[6] & 0xf8) == 0x10) ||
                   (code[4] == 0xff && (code[5] & 0xf8) == 0x50) ||
                   (code[1] == 0xff && (code[2] & 0xf8) == 0x90)
             ? ARCH_CALLS_UNKNOWN
             : ARCH_NO_CALL;
}

uint64_t arch_plt_slot(uint64_t at, const uint8_t *code)
{
    static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
    unsigned skip = 0;

    if (!memcmp(code, endbr64, sizeof endbr64))
        skip = sizeof endbr64;
    if (code[skip] == 0xf2)
        skip++;
    if (code[skip] != 0xff || code[skip + 1] != 0x25)
        return 0;
    return relative(at + skip + 6, code + skip + 2);
}

/*
 * Entered with the registers of the mmap, and the advice in rbx. Linux keeps all registers but rax,
 * rcx and r11 over a call.
 */
/* Global, because link-time optimisation makes the code below a file of its own. */
__asm__(".globl stub_begin, stub_stop, stub_handler, stub_restorer, stub_end\n"
        ".hidden stub_begin, stub_stop, stub_handler, stub_restorer, stub_end\n"
        ".pushsection .rodata\n"
        ".balign 8\n"
        "stub_begin:\n"
        "    syscall\n"
        "    mov %rax, %r12\n"
        "    test %rax, %rax\n"
        "    js 1f\n"
        "    mov $28, %eax\n" /* madvise */
        "    mov %ebx, %edx\n"
        "    syscall\n"
        "    mov $3, %eax\n" /* close */
        "    mov %r8, %rdi\n"
        "    syscall\n"
        "1:  mov %r12, %rax\n"
        "    int3\n"
        "stub_stop:\n"
        "stub_handler:\n"
        "    mov %rdx, %r10\n"
        "    mov %rsi, %rdx\n"
        "    mov %rdi, %r8\n"
        "    mov $-1, %edi\n"
        "    mov $0x47fe, %esi\n"
        "    mov $16, %eax\n" /* ioctl */
        "    syscall\n"
        "    ret\n"
        "stub_restorer:\n"
        "    mov $15, %eax\n" /* rt_sigreturn */
        "    syscall\n"
        "stub_end:\n"
        "    .balign 8\n"
        ".popsection\n");
_Static_assert(SYS_madvise == 28 && SYS_close == 3 && ARCH_STUB_IOCTL == 0x47fe &&
                   SYS_ioctl == 16 && SYS_rt_sigreturn == 15,
               "what the code says");

void arch_stub_advice(struct arch_regs *regs, int advice)
{
    regs->user.rbx = (unsigned long long)advice;
}
