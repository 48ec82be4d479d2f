/* SPDX-License-Identifier: MIT */
/* Puts a handler into processes that says of what they die, and hears it. */
#include "fault.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "context.h"
#include "dev_fs.h"
#include "fuse_way_i.h"
#include "loops.h"
#include "proc.h"
#include "saying.h"
#include "space_i.h"
#include "stub.h"
#include "supervisor_i.h"

static const int signals[] = { SIGSEGV, SIGBUS };

/* A set of the thread's signals, from /proc. */
static uint64_t read_signals(pid_t tid, const char *format)
{
    unsigned long long set = 0;
    char path[40], line[128];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, format, &set) == 1)
            break;
    if (file)
        fclose(file);
    return set;
}

void fault_prepare(struct space *space, struct inject *inject)
{
    uint64_t taken;

    if (space->explains || !machine_is_watched(space->machine))
        return;
    space->explains = true;
    if (!stub_prepare(inject))
        return;
    taken = read_signals(inject->tid, "SigCgt: %llx") | read_signals(inject->tid, "SigIgn: %llx");
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!(taken >> (signals[i] - 1) & 1))
            stub_handle(inject, signals[i]);
}

void fault_prepare_stopped(struct machine *m, struct inject *inject)
{
    struct proc_status status = proc_status(inject->tid);
    struct space *space = space_get(m, inject, &status, false);

    if (!space)
        return;
    fault_prepare(space, inject);
    space_put(m, space);
}

bool fault_is_told(const struct notice *notice)
{
    return (unsigned)notice->args[1] == STUB_FAULT && (int)notice->args[0] == -1;
}

static bool read_memory(pid_t tid, uint64_t from, void *to, size_t size)
{
    struct iovec local = { to, size }, remote = { (void *)(uintptr_t)from, size };
    ssize_t n;

    loops_access_begin();
    n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    loops_access_end();
    return n == (ssize_t)size;
}

static void tell(const struct notice *notice, const siginfo_t *info, const ucontext_t *context)
{
    struct machine *m = notice->supervisor->machine;
    const struct machine_registers where = { arch_context_pc(context), arch_context_sp(context),
                                             arch_context_fp(context) };
    struct process_saying saying = {
        .word = PROCESS_FAULTS,
        .tid = notice->tid,
        .value = (uintptr_t)info->si_addr,
        .fault = { info->si_signo, info->si_code,
                   arch_context_writes(context) },
        .witness = machine_witness_at(m, notice->tid, &where),
    };

    dev_fs_catch_up(fuse_of(m)->fs);
    machine_process_says(m, &saying);
}

void fault_serve(struct notice *notice)
{
    ucontext_t context = { 0 };
    siginfo_t info;

    if (read_memory(notice->tid, notice->args[2], &info, sizeof info) &&
        read_memory(notice->tid, notice->args[3], &context, offsetof(ucontext_t, uc_sigmask))) {
        if (info.si_code > 0)
            tell(notice, &info, &context);
        else                     /* somebody sent it, and it would not come again */
            syscall(SYS_tgkill, proc_status(notice->tid).pid, notice->tid, info.si_signo);
    }
    answer_error(notice, -EBADF);
}
