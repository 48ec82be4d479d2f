/* SPDX-License-Identifier: MIT */
/*
 * caged CMD...   becomes CMD where the calls are forbidden that a container's default seccomp
 * profile forbids: no namespaces, no mounts, no tracing, nobody else's memory. They answer EPERM,
 * for the command and all that it starts.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEW_NAMESPACES                                                                            \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

#define ANSWER(nr, errno_) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), \
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errno_))

static struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ANSWER(SYS_unshare, EPERM),
    ANSWER(SYS_setns, EPERM),
    ANSWER(SYS_mount, EPERM),
    ANSWER(SYS_umount2, EPERM),
    ANSWER(SYS_pivot_root, EPERM),
    ANSWER(SYS_fsopen, EPERM),
    ANSWER(SYS_open_tree, EPERM),
    ANSWER(SYS_move_mount, EPERM),
    ANSWER(SYS_ptrace, EPERM),
    ANSWER(SYS_process_vm_readv, EPERM),
    ANSWER(SYS_process_vm_writev, EPERM),
    ANSWER(SYS_kcmp, EPERM),
    ANSWER(SYS_pidfd_getfd, EPERM),
    ANSWER(SYS_userfaultfd, EPERM),
    ANSWER(SYS_clone3, ENOSYS),          /* its flags cannot be seen: callers fall back to clone */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

    if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("caged");
        return 125;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
