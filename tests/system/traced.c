/* SPDX-License-Identifier: MIT */
/*
 * traced syscalls|continued COMMAND...: runs the command under ptrace, stopped at every system call
 * as strace does it, or left alone except for signals as gdb does it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int request = argc > 1 && !strcmp(argv[1], "syscalls") ? PTRACE_SYSCALL : PTRACE_CONT, status;
    pid_t child = fork();

    if (argc < 3 || child < 0)
        return 2;
    if (!child) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0))
            _exit(126);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return 2;
    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (;;) {
        int sig = 0;

        if (WIFSTOPPED(status) && WSTOPSIG(status) != (SIGTRAP | 0x80) &&
            WSTOPSIG(status) != SIGTRAP)
            sig = WSTOPSIG(status);
        if (ptrace(request, child, 0, sig) && errno != ESRCH)
            return 2;
        if (waitpid(child, &status, 0) != child)
            return 2;
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (WIFSIGNALED(status))
            return 128 + WTERMSIG(status);
    }
}
