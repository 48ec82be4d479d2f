/* SPDX-License-Identifier: MIT */
/* Traces a command and its descendants with ptrace, stopping at each system call. */
#include "tracer_i.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utlist.h>

#include "registers.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)

/* A thread may be seen before the event that tells whose child it is. */
struct early {
    pid_t tid;
    struct early *next;
};

struct tracer {
    const struct trace_ops *ops;
    void *ctx;
    struct task *tasks;
    struct early *early;
    pid_t first;
    bool begun; /* the command is running, no longer our own child before its exec */
    int status;
};

/* ---- A stopped task -------------------------------------------------------------------------- */

int task_read(const struct task *task, void *to, uint64_t from, size_t size)
{
    struct iovec ours = { to, size }, theirs = { (void *)(uintptr_t)from, size };

    return !size || process_vm_readv(task->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)size
        ? 0 : -EFAULT;
}

int task_write(const struct task *task, uint64_t to, const void *from, size_t size)
{
    struct iovec ours = { (void *)(uintptr_t)from, size }, theirs = { (void *)(uintptr_t)to, size };

    return !size || process_vm_writev(task->tid, &ours, 1, &theirs, 1, 0) == (ssize_t)size
             ? 0
             : -EFAULT;
}

int task_force(const struct task *task, uint64_t to, const void *from, size_t size)
{
    char path[64];
    ssize_t done;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/mem", task->tid);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    done = fd < 0 ? -1 : pwrite(fd, from, size, (off_t)to);
    if (fd >= 0)
        close(fd);
    return done == (ssize_t)size ? 0 : -EFAULT;
}

void task_skip(struct task *task)
{
    struct arch_regs regs;

    task->skipped = true;
    if (!arch_regs_read(task->tid, &regs))
        return;
    arch_regs_drop_call(&regs);
    arch_regs_write(task->tid, &regs);
}

void task_set_result(struct task *task, long result)
{
    struct arch_regs regs;

    if (!arch_regs_read(task->tid, &regs))
        return;
    arch_regs_set_result(&regs, result);
    arch_regs_write(task->tid, &regs);
}

/* 0: the task is gone. */
static uint64_t stack_pointer(const struct task *task)
{
    struct arch_regs regs;

    return arch_regs_read(task->tid, &regs) ? arch_regs_sp(&regs) : 0;
}

uint64_t task_scratch(const struct task *task)
{
    /* Below what the ABI lets a function use without saying so. */
    return (stack_pointer(task) - 1024) & ~15ull;
}

void task_set_args(struct task *task, const uint64_t args[6])
{
    struct arch_regs regs;

    if (!memcmp(args, task->args, sizeof task->args) || !arch_regs_read(task->tid, &regs))
        return;
    for (unsigned i = 0; i < 6; i++)
        arch_regs_set_arg(&regs, i, args[i]);
    arch_regs_write(task->tid, &regs);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static struct task *find_task(struct tracer *t, pid_t tid)
{
    struct task *task = t->tasks;

    while (task && task->tid != tid)
        task = task->next;
    return task;
}

static struct task *add_task(struct tracer *t, pid_t tid, struct task *parent, bool is_thread)
{
    struct task *task = calloc(1, sizeof *task);

    if (!task)
        abort();
    task->tracer = t;
    task->tid = tid;
    task->tgid = is_thread ? parent->tgid : tid;
    if (!parent)
        snprintf(task->name, sizeof task->name, "1");
    else if (is_thread)
        snprintf(task->name, sizeof task->name, "%.48st%u", parent->name, ++parent->nr_threads);
    else
        snprintf(task->name, sizeof task->name, "%.48s.%u", parent->name, ++parent->nr_children);
    LL_PREPEND(t->tasks, task);
    t->ops->began(t->ctx, task, parent, is_thread);
    return task;
}

static void end_task(struct tracer *t, pid_t tid)
{
    struct task *task = find_task(t, tid);
    bool last = true;

    if (!task)
        return;
    LL_DELETE(t->tasks, task);
    for (const struct task *other = t->tasks; other; other = other->next)
        last &= other->tgid != task->tgid;
    t->ops->ended(t->ctx, task, last);
    free(task->call);
    free(task);
}

static bool is_thread_of(pid_t tid, pid_t tgid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task/%d", tgid, tid);
    return !access(path, F_OK);
}

static void go_on(pid_t tid, int sig)
{
    ptrace(PTRACE_SYSCALL, tid, 0, sig);
}

static void new_task(struct tracer *t, struct task *parent)
{
    unsigned long tid = 0;
    struct early *seen;

    if (ptrace(PTRACE_GETEVENTMSG, parent->tid, 0, &tid))
        return;
    add_task(t, (pid_t)tid, parent, is_thread_of((pid_t)tid, parent->tgid));
    LL_SEARCH_SCALAR(t->early, seen, tid, (pid_t)tid);
    if (!seen)
        return;
    LL_DELETE(t->early, seen);
    free(seen);
    go_on((pid_t)tid, 0);
}

static void remember_early(struct tracer *t, pid_t tid)
{
    struct early *seen = calloc(1, sizeof *seen);

    if (!seen)
        abort();
    *seen = (struct early){ tid, t->early };
    t->early = seen;
}

/* All other threads are gone, and this one has the number of the first. */
static void executed(struct tracer *t, pid_t tid)
{
    unsigned long former = 0;
    struct task *task;

    ptrace(PTRACE_GETEVENTMSG, tid, 0, &former);
    if (former && (pid_t)former != tid) {
        end_task(t, tid);
        task = find_task(t, (pid_t)former);
        if (task)
            task->tid = tid;
    }
    task = find_task(t, tid);
    for (struct task *other = t->tasks, *next; task && other; other = next) {
        next = other->next;
        if (other != task && other->tgid == task->tgid)
            end_task(t, other->tid);
    }
    if (!task)
        return;
    if (!t->begun && tid == t->first) {
        /* Threads of before are a sanitizer's, in our own child: they get no numbers. */
        t->begun = true;
        task->nr_threads = task->nr_children = 0;
    }
    t->ops->executed(t->ctx, task);
}

/* ---- Stops ----------------------------------------------------------------------------------- */

/* The call is over when this returns. A thread that was lost is as good as one that was killed. */
static void call_alone(struct tracer *t, struct task *task)
{
    long result;

    task->in_call = false;
    if (!task_make_call_alone(task, &result)) {
        kill(task->tgid, SIGKILL);
        if (task->tid == t->first)
            t->status = 128 + SIGKILL;
        end_task(t, task->tid);
        return;
    }
    if (task->wanted)
        t->ops->leave(t->ctx, task, result);
    free(task->call);
    task->call = NULL;
}

/* What a call returns inside the kernel that a signal ended: it is made again, or answers EINTR. */
static bool is_interrupted(long result)
{
    return (result <= -512 && result >= -514) || result == -516;
}

static bool catches(const struct task *task, int sig)
{
    unsigned long long caught = 0;
    char path[64], line[1024];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", task->tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "SigCgt: %llx", &caught);
    if (file)
        fclose(file);
    return caught >> (sig - 1) & 1;
}

static void call_over(struct tracer *t, struct task *task, long result)
{
    if (task->wanted)
        t->ops->leave(t->ctx, task, result);
    free(task->call);
    task->call = NULL;
}

/* At a handler's first instruction: above its frame is what the call answers afterwards. */
static void in_handler(struct tracer *t, struct task *task)
{
    long result = 0;

    task->interrupted = task->stepping = false;
    task_read(task, &result, stack_pointer(task) + arch_frame_result(), sizeof result);
    if (result != -EINTR) {
        t->ops->dropped(t->ctx, task);      /* it is made again, and seen again */
        task->wanted = false;
    }
    call_over(t, task, -EINTR);
}

static void syscall_stop(struct tracer *t, struct task *task)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        task->in_call = true;
        if (task->interrupted &&
            (info.entry.nr == SYS_restart_syscall || (long)info.entry.nr == task->nr)) {
            task->interrupted = false;
            return;
        }
        task->skipped = false;
        task->nr = (long)info.entry.nr;
        memcpy(task->args, info.entry.args, sizeof task->args);
        task->alone = false;
        task->wanted = t->ops->enter(t->ctx, task);
        if (task->alone)
            call_alone(t, task);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->in_call) {
        task->in_call = false;
        task->interrupted = task->wanted && is_interrupted((long)info.exit.rval);
        if (!task->interrupted)
            call_over(t, task, (long)info.exit.rval);
    }
}

static void stopped(struct tracer *t, pid_t tid, int status)
{
    struct task *task = find_task(t, tid);
    int sig = WSTOPSIG(status), event = status >> 16;

    if (!task) {
        remember_early(t, tid);
        return;
    }
    switch (event) {
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        new_task(t, task);
        break;
    case PTRACE_EVENT_EXEC:
        executed(t, tid);
        break;
    case PTRACE_EVENT_STOP:
        if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) {
            ptrace(PTRACE_LISTEN, tid, 0, 0);
            return;
        }
        break;
    case 0:
        if (sig == SYSCALL_STOP) {
            syscall_stop(t, task);
            break;
        }
        if (task->stepping && sig == SIGTRAP) {
            in_handler(t, task);
            break;
        }
        task->stepping = task->interrupted && catches(task, sig);
        ptrace(task->stepping ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, tid, 0, sig);
        return;
    default:
        break;
    }
    go_on(tid, 0);
}

static void loop(struct tracer *t)
{
    pid_t tid;
    int status;

    while (t->tasks) {
        tid = waitpid(-1, &status, __WALL);
        if (tid < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (WIFSTOPPED(status)) {
            stopped(t, tid, status);
            continue;
        }
        if (tid == t->first)
            t->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        end_task(t, tid);
    }
}

/* ---- The beginning --------------------------------------------------------------------------- */

void trace_stop(struct task *task)
{
    for (const struct task *t = task->tracer->tasks; t; t = t->next)
        kill(t->tgid, SIGKILL);
}

static void child(char **argv, const int pipe_fds[2])
{
    char go;

    close(pipe_fds[1]);
    if (read(pipe_fds[0], &go, 1) != 1)
        _exit(126);
    execvp(argv[0], argv);
    fprintf(stderr, "gntsim: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

int trace_run(char **argv, const struct trace_ops *ops, void *ctx)
{
    struct tracer t = { .ops = ops, .ctx = ctx };
    struct sigaction ignore = { .sa_handler = SIG_IGN }, old_int, old_quit;
    int fds[2], rc = 0;

    if (pipe2(fds, O_CLOEXEC))
        return -errno;
    t.first = fork();
    if (!t.first)
        child(argv, fds);
    close(fds[0]);
    if (t.first < 0 || ptrace(PTRACE_SEIZE, t.first, 0, TRACE_OPTIONS))
        rc = -errno;
    if (rc) {
        close(fds[1]);
        if (t.first > 0)
            waitpid(t.first, NULL, 0);
        return rc;
    }
    /* What a terminal sends reaches the command, and ours is to note what it does then. */
    sigaction(SIGINT, &ignore, &old_int);
    sigaction(SIGQUIT, &ignore, &old_quit);
    add_task(&t, t.first, NULL, false);
    ptrace(PTRACE_INTERRUPT, t.first, 0, 0);
    if (write(fds[1], "", 1) != 1)
        rc = -errno;
    close(fds[1]);
    loop(&t);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGQUIT, &old_quit, NULL);
    while (t.early) {
        struct early *next = t.early->next;

        free(t.early);
        t.early = next;
    }
    return rc ? rc : t.status;
}
