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

#include "code.h"
#include "maps.h"
#include "proc.h"

#define STUB_SIZE 4096
#define STUB_ADDR (WINDOW_START - STUB_SIZE)

/* As Linux takes it; behind the code. */
struct action {
    uint64_t handler, flags, restorer, mask;
};
#define SA_HAS_RESTORER 0x04000000u

static size_t code_size(void)
{
    return (arch_stub().size + 7) & ~(size_t)7;
}

/* What the page begins with. Its size. */
static size_t write_image(unsigned char image[STUB_SIZE])
{
    const struct arch_stub stub = arch_stub();
    const struct action action = { STUB_ADDR + stub.handler,
                                   SA_SIGINFO | SA_RESETHAND | SA_NODEFER | SA_ONSTACK |
                                       SA_HAS_RESTORER,
                                   STUB_ADDR + stub.restorer, 0 };

    memset(image, 0, code_size());
    memcpy(image, stub.code, stub.size);
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
    struct arch_regs regs = inject->regs;

    arch_regs_set_pc(&regs, STUB_ADDR);
    arch_stub_advice(&regs, advice);
    return inject_run(inject, &regs, SYS_mmap, args, STUB_ADDR + arch_stub().stops_at);
}

void stub_handle(struct inject *inject, int signal)
{
    const uint64_t args[6] = { (uint64_t)signal, STUB_ADDR + code_size(), 0, KERNEL_SIGSET_SIZE };

    inject_call(inject, SYS_rt_sigaction, args);
}
