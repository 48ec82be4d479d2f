/* SPDX-License-Identifier: MIT */
/* Sends SIGIO and the like to processes that asked for it with O_ASYNC. */
#include "async.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dev_fs_i.h"
#include "user_mem.h"

#ifndef SI_SIGIO
#define SI_SIGIO (-5)
#endif
#define NR_SIGNALS 64

struct async {
    bool on;
    int fd;                      /* as the program that switched it on calls it */
    int signal;                  /* F_SETSIG; 0: SIGIO */
    int type;                    /* F_OWNER_PID, F_OWNER_TID, F_OWNER_PGRP */
    pid_t owner;                 /* 0: nobody */
    int pidfd;                   /* of a process, or -1 */
    uid_t uid, euid;             /* who named the owner */
};

/* Real, effective and saved user of a process; false: there is none. */
static bool users_of(pid_t pid, uid_t uid[3])
{
    char path[48], line[256];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "Uid: %u %u %u", &uid[0], &uid[1], &uid[2]) == 3;
    if (file)
        fclose(file);
    return found;
}

/*
 * A process as thread tid numbers it. In a pid namespace of its own that is known for the process
 * itself only.
 */
static pid_t global_pid(pid_t tid, pid_t pid)
{
    char path[48], line[256];
    pid_t outer = 0, inner = 0;
    bool nested = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        int at = 0, next;
        pid_t number;

        if (strncmp(line, "NStgid:", 7))
            continue;
        for (at = 7; sscanf(line + at, "%d%n", &number, &next) == 1; at += next) {
            nested = outer != 0;
            outer = outer ? outer : number;
            inner = number;
        }
    }
    if (file)
        fclose(file);
    return !nested ? pid : pid == inner ? outer : 0;
}

static struct async *async_of(struct dev_file *file)
{
    if (!file->async) {
        file->async = calloc(1, sizeof *file->async);
        if (file->async)
            *file->async = (struct async){ .pidfd = -1 };
    }
    return file->async;
}

static void set_owner(struct async *async, pid_t tid, int type, pid_t pid)
{
    uid_t uid[3];

    if (async->pidfd >= 0)
        close(async->pidfd);
    async->pidfd = -1;
    async->owner = 0;
    if (pid <= 0 || !users_of(tid, uid))
        return;
    async->type = type;
    async->owner = type == F_OWNER_PGRP ? pid : global_pid(tid, pid);
    async->uid = uid[0];
    async->euid = uid[1];
    if (type == F_OWNER_PID && async->owner)
        async->pidfd = (int)syscall(SYS_pidfd_open, async->owner, 0);
}

void async_fcntl(struct dev_file *file, pid_t tid, int fd, int cmd, uint64_t arg)
{
    struct user_mem user_mem = { .machine = file->fs->machine, .tid = tid };
    struct user_memory mem = user_mem_of(&user_mem);
    struct async *async = async_of(file);
    struct f_owner_ex owner;

    if (!async)
        return;
    switch (cmd) {
    case F_SETFL:
        async_enable(file, fd, arg & O_ASYNC);
        break;
    case F_SETSIG:
        if (arg <= NR_SIGNALS)
            async->signal = (int)arg;
        break;
    case F_SETOWN:
        set_owner(async, tid, (int)arg < 0 ? F_OWNER_PGRP : F_OWNER_PID, abs((int)arg));
        break;
    case F_SETOWN_EX:
        if (!mem.ops->read(mem.ctx, &owner, arg, sizeof owner))
            set_owner(async, tid, owner.type, owner.pid);
        break;
    }
}

int async_getfl(const struct dev_file *file, pid_t tid, int fd)
{
    char path[64], line[128];
    int flags = -1;
    FILE *info;

    if (!file->async || !file->async->on)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", tid, fd);
    info = fopen(path, "re");
    while (info && fgets(line, sizeof line, info) &&
           sscanf(line, "flags: %o", (unsigned *)&flags) != 1)
        ;
    if (info)
        fclose(info);
    return flags < 0 ? -1 : (flags & ~O_CLOEXEC) | O_ASYNC;
}

void async_enable(struct dev_file *file, int fd, bool on)
{
    struct async *async = async_of(file);

    if (!async)
        return;
    async->on = on;
    async->fd = fd;
}

/* As the kernel decides it: who named the owner could have sent it a signal. */
static bool may_signal(const struct async *async)
{
    uid_t uid[3];

    if (async->type == F_OWNER_PGRP || async->euid == 0)
        return true;
    return users_of(async->owner, uid) && (async->euid == uid[2] || async->euid == uid[0] ||
                                           async->uid == uid[2] || async->uid == uid[0]);
}

void async_signal(const struct async *async)
{
    int sig = async && async->signal ? async->signal : SIGIO;
    siginfo_t info;

    if (!async || !async->on || !async->owner || !may_signal(async))
        return;
    memset(&info, 0, sizeof info);
    info.si_signo = sig;
    info.si_code = SI_SIGIO;
    info.si_band = POLLIN | POLLRDNORM;
    info.si_fd = async->fd;
    if (async->type == F_OWNER_PGRP)
        kill(-async->owner, sig);
    else if (async->type == F_OWNER_TID)
        syscall(SYS_tkill, async->owner, sig);
    else if (async->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, async->pidfd, sig, async->signal ? &info : NULL, 0);
}

void async_free(struct async *async)
{
    if (async && async->pidfd >= 0)
        close(async->pidfd);
    free(async);
}
