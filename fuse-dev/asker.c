/* SPDX-License-Identifier: MIT */
/* Finds out from /proc which system call a thread waits in while it looks up a name. */
#include "asker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "old_calls.h"

#ifndef SYS_fchmodat2                  /* Linux 6.6 */
#define SYS_fchmodat2 452
#endif

/* No call of a 32-bit program that opens a file has one of these numbers. */
static const long naming[] = {
    SYS_stat,       SYS_lstat,      SYS_newfstatat,  SYS_statx,        SYS_access,    SYS_faccessat,
    SYS_faccessat2, SYS_chmod,      SYS_fchmodat,    SYS_fchmodat2,    SYS_chown,     SYS_lchown,
    SYS_fchownat,   SYS_truncate,   SYS_utime,       SYS_utimes,       SYS_futimesat, SYS_utimensat,
    SYS_readlink,   SYS_readlinkat, SYS_getxattr,    SYS_lgetxattr,    SYS_setxattr,  SYS_lsetxattr,
    SYS_listxattr,  SYS_llistxattr, SYS_removexattr, SYS_lremovexattr,
};

/* One that has just asked may still be on its way to sleep, or preempted there. */
#define TRIES 500
static const struct timespec between = { .tv_nsec = 200000 };

/* The number of the call in which the thread waits; -1: unknown. */
static long waits_in(pid_t tid)
{
    char path[48], text[256], *end;
    long nr = -1;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (unsigned i = 0; i < TRIES; i++) {
        n = pread(fd, text, sizeof text - 1, 0);
        text[n < 0 ? 0 : n] = 0;
        if (n <= 0 || strncmp(text, "running", 7))
            break;
        nanosleep(&between, NULL);
    }
    close(fd);
    if (n > 0) {
        nr = strtol(text, &end, 10);
        if (end == text)
            nr = -1;
    }
    return nr;
}

bool asker_names_only(pid_t tid)
{
    long nr = tid > 0 ? waits_in(tid) : -1;

    for (unsigned i = 0; i < sizeof naming / sizeof *naming; i++)
        if (naming[i] == nr)
            return true;
    return false;
}
