/* SPDX-License-Identifier: MIT */
/* Writes, checks and runs the page of code in a client. */
#include "stub.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "maps.h"
#include "proc.h"

#define STUB_SIZE 4096
#define STUB_ADDR (WINDOW_START - STUB_SIZE)

/*
 * Entered with the registers of the mmap, and the advice in rbx. Linux keeps all registers but rax,
 * rcx and r11 over a call.
 */
extern const unsigned char stub_begin[], stub_end[] __attribute__((visibility("hidden")));
/* Global, because link-time optimisation makes the code below a file of its own. */
__asm__(".globl stub_begin, stub_end\n"
        ".hidden stub_begin, stub_end\n"
        ".pushsection .rodata\n"
        ".balign 8\n"
        "stub_begin:\n"
        "    syscall\n"
        "    mov %rax, %r12\n"
        "    test %rax, %rax\n"
        "    js 1f\n"
        "    mov $28, %eax\n"          /* madvise */
        "    mov %ebx, %edx\n"
        "    syscall\n"
        "    mov $3, %eax\n"           /* close */
        "    mov %r8, %rdi\n"
        "    syscall\n"
        "1:  mov %r12, %rax\n"
        "    int3\n"
        "stub_end:\n"
        "    .balign 8\n"
        ".popsection\n");
_Static_assert(SYS_madvise == 28 && SYS_close == 3, "what the code says");

static size_t stub_size(void)
{
    return (size_t)(stub_end - stub_begin);
}

static bool is_there(pid_t tid)
{
    unsigned char code[STUB_SIZE];
    struct iovec local = { code, stub_size() },
                 remote = { (void *)(uintptr_t)STUB_ADDR, stub_size() };

    return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)stub_size() &&
           !memcmp(code, stub_begin, stub_size());
}

bool stub_prepare(struct inject *inject)
{
    const uint64_t args[6] = { STUB_ADDR, STUB_SIZE, PROT_READ | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t)-1 };

    if (is_there(inject->tid))
        return true;
    if (proc_status(inject->tid).sandboxed ||
        inject_call(inject, SYS_mmap, args) != (long)STUB_ADDR)
        return false;
    for (size_t at = 0; at < stub_size(); at += sizeof(long)) {
        long word;

        memcpy(&word, stub_begin + at, sizeof word);
        if (ptrace(PTRACE_POKETEXT, inject->tid, STUB_ADDR + at, word))
            return false;
    }
    return true;
}

long stub_map(struct inject *inject, const uint64_t args[6], int advice)
{
    struct user_regs_struct regs = inject->regs;

    regs.rip = STUB_ADDR;
    regs.rbx = (unsigned long long)advice;
    return inject_run(inject, &regs, SYS_mmap, args, STUB_ADDR + stub_size());
}
