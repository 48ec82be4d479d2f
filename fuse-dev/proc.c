/* SPDX-License-Identifier: MIT */
/* Reads what /proc says about a client's thread. */
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool proc_is_alone(pid_t tid)
{
    struct stat st;
    char path[32];

    snprintf(path, sizeof path, "/proc/%d/task", tid);
    return !stat(path, &st) && st.st_nlink == 3;
}

bool proc_is_running(pid_t tid, unsigned long *ticks)
{
    char path[32], line[512], state = 0;
    unsigned long user = 0, system = 0;
    const char *name_end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    file = fopen(path, "re");
    if (!file)
        return false;
    name_end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (name_end)
        sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &state, &user, &system);
    fclose(file);
    *ticks = user + system;
    return state == 'R';
}

struct lines {
    pid_t pid, parent;
    unsigned filters;
};

static void read_status(pid_t tid, struct lines *found)
{
    char path[32], line[128];
    FILE *file;

    *found = (struct lines){ tid, -1, UINT_MAX };       /* no filters: not known before Linux 5.9 */
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    while (file && found->filters == UINT_MAX && fgets(line, sizeof line, file)) {
        sscanf(line, "Tgid: %d", &found->pid);
        sscanf(line, "PPid: %d", &found->parent);
        sscanf(line, "Seccomp_filters: %u", &found->filters);
    }
    if (file)
        fclose(file);
}

bool proc_family(pid_t tid, pid_t *pid, pid_t *parent)
{
    struct lines found;

    read_status(tid, &found);
    *pid = found.pid;
    *parent = found.parent;
    return found.parent >= 0;
}

struct proc_status proc_status(pid_t tid)
{
    struct lines everybody, theirs;

    read_status(getpid(), &everybody);
    read_status(tid, &theirs);
    return (struct proc_status){ theirs.pid, everybody.filters == UINT_MAX ||
                                             theirs.filters > everybody.filters + 1 };
}

bool proc_signals(pid_t tid, struct proc_signals *signals)
{
    unsigned long long set;
    char path[32], line[128];
    FILE *file;

    *signals = (struct proc_signals){ 0 };
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "SigPnd: %llx", &set) == 1 || sscanf(line, "ShdPnd: %llx", &set) == 1)
            signals->pending |= set;
        else if (sscanf(line, "SigIgn: %llx", &set) == 1)
            signals->ignored = set;
        else if (sscanf(line, "SigCgt: %llx", &set) == 1)
            signals->caught = set;
    }
    fclose(file);
    return true;
}

int proc_calls_open(pid_t tid)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool proc_calls_read(int fd, struct proc_call *call)
{
    char line[192], *at = line, *end;
    ssize_t n = fd < 0 ? -1 : pread(fd, line, sizeof line - 1, 0);

    if (n <= 0)
        return false;
    line[n] = 0;
    /* of one that runs, or is in no call, the arguments are missing */
    call->nr = strtol(at, &end, 10);
    for (unsigned i = 0; i < 6 && end != at; i++)
        call->args[i] = strtoull(at = end, &end, 16);
    return end != at;
}

bool proc_call_of(pid_t tid, struct proc_call *call)
{
    int fd = proc_calls_open(tid);
    bool known = proc_calls_read(fd, call);

    if (fd >= 0)
        close(fd);
    call->tid = tid;
    return known;
}

/* The same of one process; depth: of children to ask, too. */
static bool any_thread(pid_t pid, unsigned depth, bool (*ask)(pid_t tid, void *ctx), void *ctx)
{
    struct dirent *entry;
    bool yes = false;
    char path[64];
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    while (tasks && !yes && (entry = readdir(tasks))) {
        pid_t tid = atoi(entry->d_name);
        FILE *children = NULL;
        int child;

        if (tid <= 0)
            continue;
        if (!depth) {
            yes = ask(tid, ctx);
            continue;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, tid);
        children = fopen(path, "re");
        while (children && !yes && fscanf(children, "%d", &child) == 1)
            yes = any_thread(child, depth - 1, ask, ctx);
        if (children)
            fclose(children);
    }
    if (tasks)
        closedir(tasks);
    return yes;
}

bool proc_any_thread(pid_t pid, bool (*ask)(pid_t tid, void *ctx), void *ctx)
{
    return any_thread(pid, 0, ask, ctx) || any_thread(pid, 1, ask, ctx);
}
