/* SPDX-License-Identifier: MIT */
/* Writes, checks and runs the page of code in a client. */
#include "stub.h"

#include <signal.h>
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
extern const unsigned char stub_begin[], stub_mapped[], stub_fault[], stub_restore[], stub_end[]
    __attribute__((visibility("hidden")));
/* Global, because link-time optimisation makes the code below a file of its own. */
__asm__(".globl stub_begin, stub_mapped, stub_fault, stub_restore, stub_end\n"
        ".hidden stub_begin, stub_mapped, stub_fault, stub_restore, stub_end\n"
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
        "stub_mapped:\n"
        /* A signal's handler: ioctl(-1, STUB_FAULT, siginfo, ucontext, signal). */
        "stub_fault:\n"
        "    mov %rdx, %r10\n"
        "    mov %rsi, %rdx\n"
        "    mov %rdi, %r8\n"
        "    mov $-1, %edi\n"
        "    mov $0x47fe, %esi\n"
        "    mov $16, %eax\n"
        "    syscall\n"
        "    ret\n"
        "stub_restore:\n"
        "    mov $15, %eax\n"         /* rt_sigreturn */
        "    syscall\n"
        "stub_end:\n"
        "    .balign 8\n"
        ".popsection\n");
_Static_assert(SYS_madvise == 28 && SYS_close == 3, "what the code says");
_Static_assert(STUB_FAULT == 0x47fe && SYS_ioctl == 16 && SYS_rt_sigreturn == 15,
               "what the code says");

/* As Linux takes it; behind the code. */
struct action {
    uint64_t handler, flags, restorer, mask;
};
#define SA_HAS_RESTORER 0x04000000u

static size_t code_size(void)
{
    return (size_t)(stub_end - stub_begin + 7) & ~(size_t)7;
}

static uint64_t address_of(const unsigned char *code)
{
    return STUB_ADDR + (uint64_t)(code - stub_begin);
}

/* What the page begins with. Its size. */
static size_t write_image(unsigned char image[STUB_SIZE])
{
    const struct action action = { address_of(stub_fault),
                                   SA_SIGINFO | SA_RESETHAND | SA_NODEFER | SA_ONSTACK |
                                       SA_HAS_RESTORER,
                                   address_of(stub_restore), 0 };

    memset(image, 0, code_size());
    memcpy(image, stub_begin, (size_t)(stub_end - stub_begin));
    memcpy(image + code_size(), &action, sizeof action);
    return code_size() + sizeof action;
}

static bool is_there(pid_t tid)
{
    unsigned char code[STUB_SIZE], image[STUB_SIZE];
    size_t size = write_image(image);
    struct iovec local = { code, size }, remote = { (void *)(uintptr_t)STUB_ADDR, size };

    return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)size &&
           !memcmp(code, image, size);
}

bool stub_prepare(struct inject *inject)
{
    const uint64_t args[6] = { STUB_ADDR, STUB_SIZE, PROT_READ | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t)-1 };
    unsigned char image[STUB_SIZE];
    size_t size = write_image(image);

    if (is_there(inject->tid))
        return true;
    if (proc_status(inject->tid).sandboxed ||
        inject_call(inject, SYS_mmap, args) != (long)STUB_ADDR)
        return false;
    for (size_t at = 0; at < size; at += sizeof(long)) {
        long word;

        memcpy(&word, image + at, sizeof word);
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
    return inject_run(inject, &regs, SYS_mmap, args, address_of(stub_mapped));
}

void stub_handle(struct inject *inject, int signal)
{
    const uint64_t args[6] = { (uint64_t)signal, STUB_ADDR + code_size(), 0, KERNEL_SIGSET_SIZE };

    inject_call(inject, SYS_rt_sigaction, args);
}
