/* SPDX-License-Identifier: MIT */
/*
 * Releases a thread from its tracer for one call. On a simulated machine, the server completes an
 * mmap by tracing the thread, and a thread has one tracer. The released thread runs into an endless
 * loop right behind the call, so that the recorder finds it again and misses nothing.
 */
#include "tracer_i.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "code.h"
#include "registers.h"

#define PATIENCE 30000                      /* ms */

/*
 * Time in user mode, in ticks, of a thread that nobody traces; -1 if it is traced, or not running;
 * -2 if it is gone.
 */
static long looping_ticks(pid_t tid)
{
    char path[64], line[1024], state = 0, *end;
    unsigned long ticks = 0;
    int tracer = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    if (!file)
        return -2;
    while (fgets(line, sizeof line, file))
        sscanf(line, "TracerPid: %d", &tracer);
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", tid, tid);
    file = fopen(path, "re");
    if (!file)
        return -2;
    line[0] = 0;
    end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    if (!end ||
        sscanf(end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu", &state, &ticks) != 2)
        return -2;
    if (state == 'Z' || state == 'X')
        return -2;
    return tracer || state != 'R' ? -1 : (long)ticks;
}

/* Only a loop in user mode takes whole ticks there; the way into and out of a call does not. */
static bool wait_for_loop(pid_t tid)
{
    long first = -1;

    for (int ms = 0; ms < PATIENCE; ms++) {
        long ticks = looping_ticks(tid);

        if (ticks == -2)
            return false;
        if (ticks >= 0 && first < 0)
            first = ticks;
        else if (ticks >= first + 2 && first >= 0)
            return true;
        usleep(1000);
    }
    return false;
}

bool task_make_call_alone(struct task *task, long *result)
{
    pid_t tid = task->tid;
    struct arch_regs regs;
    unsigned long code;
    uint64_t loop;
    int status;

    if (!arch_regs_read(tid, &regs))
        return false;
    loop = arch_regs_pc(&regs);
    errno = 0;
    code = (unsigned long)ptrace(PTRACE_PEEKTEXT, tid, loop, 0);
    if (errno || ptrace(PTRACE_POKETEXT, tid, loop, arch_endless_loop(code)))
        return false;
    ptrace(PTRACE_DETACH, tid, 0, 0);
    for (;;) {
        if (!wait_for_loop(tid) || ptrace(PTRACE_SEIZE, tid, 0, TRACE_OPTIONS))
            return false;
        ptrace(PTRACE_INTERRUPT, tid, 0, 0);
        if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status) ||
            !arch_regs_read(tid, &regs))
            return false;
        if (status >> 16 == PTRACE_EVENT_STOP && arch_regs_pc(&regs) == loop)
            break;
        /* A signal came, or its handler is what takes time; the call may not be made yet. */
        ptrace(PTRACE_DETACH, tid, 0, status >> 16 ? 0 : WSTOPSIG(status));
    }
    ptrace(PTRACE_POKETEXT, tid, loop, code);
    *result = arch_regs_result(&regs);
    return true;
}
