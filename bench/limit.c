/* SPDX-License-Identifier: MIT */
/*
 * Measures the least that a map + unmap can cost where another process answers system calls.
 *
 * limit NULL-FILE ROUNDS OPERATIONS
 *
 * It times, in alternating blocks, three null ioctls on NULL-FILE and five system calls that a
 * seccomp filter reports. Four of these are answered at once. The other one, like the mmap, is
 * completed by the shortest trace: stop the caller, have it make one call, stop it, let it go. The
 * program looks at nothing and copies nothing, on one processor. It prints "LIMIT-NS NULL-NS" per
 * round.
 *
 * limit NULL-FILE ROUNDS OPERATIONS HANDED-FILE
 *
 * The same with the hand-overs of the device way: an ioctl that one thread of its server hands to
 * another (HANDED-FILE), a reported call completed by a trace that makes an mmap, a null ioctl, a
 * munmap of that, and a null ioctl. The server of the files is on the same processor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define CALLS 5
#define SYSCALL_INSN_SIZE 2

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS                      /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)      /* Linux 5.19 */
#endif

enum what { ANSWER, TRACE, QUIT };

/* A page of the caller's, where nothing else is. */
#define AREA  ((void *)0x10000000ul)
#define PAGE  4096ul

/* ---- The caller ------------------------------------------------------------------------------ */

/* The kernel's old call that nobody makes. */
static void reported(enum what what)
{
    MUST(!syscall(SYS_remap_file_pages, what, 0, 0, 0, 0));
}

static void null_ioctl(int fd)
{
    MUST(!ioctl(fd, _IO('n', 0), 0));
}

static void operation(int fd, int handed)
{
    if (handed < 0) {
        for (unsigned i = 0; i < CALLS; i++)
            reported(i == 1 ? TRACE : ANSWER);
        return;
    }
    null_ioctl(handed);
    reported(TRACE);
    null_ioctl(fd);
    MUST(!munmap(AREA, PAGE));
    null_ioctl(fd);
}

static void caller(const char *path, const char *handed_path, unsigned rounds, unsigned operations)
{
    int fd = open(path, O_RDWR), handed = handed_path ? open(handed_path, O_RDWR) : -1;

    MUST(fd >= 0 && (!handed_path || handed >= 0));
    for (unsigned i = 0; i <= rounds; i++) {
        double start = now_ns(), nulls;

        for (unsigned j = 0; j < 3 * operations; j++)
            null_ioctl(fd);
        nulls = now_ns() - start;
        start = now_ns();
        for (unsigned j = 0; j < operations; j++)
            operation(fd, handed);
        if (i)      /* the first is for the caches */
            printf("%.0f %.0f\n", (now_ns() - start) / operations, nulls / operations);
    }
    reported(QUIT);
}

/* ---- Who answers ----------------------------------------------------------------------------- */

static int install_filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_remap_file_pages, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };

    MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV |
                        SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
}

static void answer(int listener, uint64_t id)
{
    struct seccomp_notif_resp resp = { .id = id };

    MUST(!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp));
}

static void wait_stop(pid_t pid)
{
    int status;

    MUST(waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status));
}

/* maps: what the thread is made to call. Otherwise that does nothing. */
static void trace(int listener, uint64_t id, pid_t pid, bool maps)
{
    struct user_regs_struct regs, call;

    MUST(!ptrace(PTRACE_SEIZE, pid, NULL, NULL) && !ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
    answer(listener, id);
    wait_stop(pid);
    MUST(!ptrace(PTRACE_GETREGS, pid, NULL, &regs));
    call = regs;
    call.rip -= SYSCALL_INSN_SIZE;
    call.orig_rax = (unsigned long long)-1;
    call.rax = maps ? SYS_mmap : SYS_getppid;
    call.rdi = (uintptr_t)AREA;
    call.rsi = PAGE;
    call.rdx = PROT_READ | PROT_WRITE;
    call.r10 = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
    call.r8 = (unsigned long long)-1;
    call.r9 = 0;
    MUST(!ptrace(PTRACE_SETREGS, pid, NULL, &call) && !ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL));
    wait_stop(pid);
    MUST(!ptrace(PTRACE_SETREGS, pid, NULL, &regs) && !ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

static void serve(int listener, pid_t pid, bool maps)
{
    enum what what = ANSWER;

    while (what != QUIT) {
        struct seccomp_notif notif;

        memset(&notif, 0, sizeof notif);
        MUST(!ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif));
        what = (enum what)notif.data.args[0];
        if (what == TRACE)
            trace(listener, notif.id, pid, maps);
        else
            answer(listener, notif.id);
    }
}

int main(int argc, char **argv)
{
    cpu_set_t one;
    int listener, status;
    pid_t pid;

    MUST(argc == 4 || argc == 5);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    MUST(!sched_setaffinity(0, sizeof one, &one));
    listener = install_filter();
    MUST(listener >= 0);
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    pid = fork();
    MUST(pid >= 0);
    if (!pid) {
        MUST(!prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
        caller(argv[1], argv[4], atoi(argv[2]), atoi(argv[3]));
        return 0;
    }
    serve(listener, pid, argc == 5);
    MUST(waitpid(pid, &status, 0) == pid && !status);
    return 0;
}
