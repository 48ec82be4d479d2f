/* SPDX-License-Identifier: MIT */
/* Puts a handler into processes that says of what they die, and hears it. */
#include "fault.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "context.h"
#include "dev_fs.h"
#include "fuse_way_i.h"
#include "proc.h"
#include "saying.h"
#include "space_i.h"
#include "stub.h"
#include "supervisor_i.h"
#include "user_mem.h"

static const int signals[] = { SIGSEGV, SIGBUS };

void fault_prepare(struct space *space, struct inject *inject)
{
    struct proc_signals theirs;

    if (space->explains || !machine_is_watched(space->machine))
        return;
    space->explains = true;
    if (!stub_prepare(inject))
        return;
    proc_signals(inject->tid, &theirs);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!((theirs.caught | theirs.ignored) >> (signals[i] - 1) & 1))
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
    struct machine *m = notice->supervisor->machine;
    struct user_mem user_mem = { .machine = m, .tid = notice->tid };
    struct user_memory mem = user_mem_of(&user_mem);
    ucontext_t context = { 0 };
    siginfo_t info;
    bool known;

    machine_lock_only(m);
    known = !mem.ops->read(mem.ctx, &info, notice->args[2], sizeof info) &&
            !mem.ops->read(mem.ctx, &context, notice->args[3], offsetof(ucontext_t, uc_sigmask));
    machine_unlock_only(m);
    if (known && info.si_code > 0)
        tell(notice, &info, &context);
    else if (known)              /* somebody sent it, and it would not come again */
        syscall(SYS_tgkill, proc_status(notice->tid).pid, notice->tid, info.si_signo);
    answer_error(notice, -EBADF);
}
