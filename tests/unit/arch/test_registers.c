/* SPDX-License-Identifier: MIT */
/* Tests of the registers of a traced thread: a child of the test, stopped in its calls. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "code.h"
#include "registers.h"
#include "suite.h"

#define CALL_STOP (SIGTRAP | 0x80)
#define PAGE 4096u
#define FREE 0x566000000000     /* nothing is there */

/* A child that waits until it is traced, does what it is told, and ends with its result. */
static pid_t begin(int (*act)(void))
{
    int pipe_fds[2];
    pid_t pid;
    char go;

    if (pipe(pipe_fds))
        abort();
    pid = fork();
    if (!pid) {
        close(pipe_fds[1]);
        if (read(pipe_fds[0], &go, 1) == 1)
            _exit(act());
        _exit(99);
    }
    CU_ASSERT_EQUAL_FATAL(
        ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
    CU_ASSERT_EQUAL(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    waitpid(pid, NULL, __WALL);
    CU_ASSERT_EQUAL(write(pipe_fds[1], "", 1), 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return pid;
}

/* To the next stop. What waitpid(2) says. */
static int go_on(pid_t pid, enum __ptrace_request how, int sig)
{
    int status = 0;

    CU_ASSERT_EQUAL_FATAL(ptrace(how, pid, NULL, sig), 0);
    CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, __WALL), pid);
    return status;
}

/* To the stop before the child's next call of this number. */
static void reach(pid_t pid, long nr, struct arch_regs *regs)
{
    struct __ptrace_syscall_info info;

    do {
        CU_ASSERT_EQUAL_FATAL(WSTOPSIG(go_on(pid, PTRACE_SYSCALL, 0)), CALL_STOP);
        ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
    } while (info.op != PTRACE_SYSCALL_INFO_ENTRY || (long)info.entry.nr != nr);
    CU_ASSERT_FATAL(arch_regs_read(pid, regs));
}

/* To the stop behind the call. */
static void leave(pid_t pid, struct arch_regs *regs)
{
    CU_ASSERT_EQUAL_FATAL(WSTOPSIG(go_on(pid, PTRACE_SYSCALL, 0)), CALL_STOP);
    CU_ASSERT_FATAL(arch_regs_read(pid, regs));
}

static int end(pid_t pid)
{
    int status = go_on(pid, PTRACE_CONT, 0);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int seek(void)
{
    return (int)syscall(SYS_lseek, -77l, 0x12345678l, 2l, 4l, 5l, 6l) & 0x7f;
}

static int ask_parent(void)
{
    return (int)syscall(SYS_getppid) == 99 ? 1 : 0;
}

SUITE("registers");

TEST("before a call there are its number and its six arguments")
{
    static const uint64_t expected[6] = { (uint64_t)-77, 0x12345678, 2, 4, 5, 6 };
    struct arch_regs regs;
    pid_t pid = begin(seek);

    reach(pid, SYS_lseek, &regs);
    CU_ASSERT(arch_regs_are_native(&regs));
    CU_ASSERT_EQUAL(arch_regs_call(&regs), SYS_lseek);
    for (unsigned i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(arch_regs_arg(&regs, i), expected[i]);
    leave(pid, &regs);
    CU_ASSERT_EQUAL(arch_regs_result(&regs), -EBADF);
    CU_ASSERT_EQUAL(end(pid), 0x7f);
}

TEST("a call that is dropped is not made, and has the result that it is given")
{
    struct arch_regs regs;
    pid_t pid = begin(ask_parent);

    reach(pid, SYS_getppid, &regs);
    arch_regs_drop_call(&regs);
    CU_ASSERT(arch_regs_write(pid, &regs));
    leave(pid, &regs);
    arch_regs_set_result(&regs, 99);
    CU_ASSERT(arch_regs_write(pid, &regs));
    CU_ASSERT_EQUAL(end(pid), 1);
}

TEST("a call is made with the arguments that were changed before it")
{
    int file = memfd_create("file", MFD_CLOEXEC);
    struct arch_regs regs;
    pid_t pid = begin(seek);

    reach(pid, SYS_lseek, &regs);
    arch_regs_set_arg(&regs, 0, (uint64_t)file);
    arch_regs_set_arg(&regs, 1, 4321);
    arch_regs_set_arg(&regs, 2, SEEK_SET);
    CU_ASSERT(arch_regs_write(pid, &regs));
    leave(pid, &regs);
    CU_ASSERT_EQUAL(arch_regs_result(&regs), 4321);
    CU_ASSERT_EQUAL(end(pid), 4321 & 0x7f);
    close(file);
}

TEST("a call that begins again comes to the same stop with the same arguments")
{
    struct arch_regs regs;
    pid_t pid = begin(seek);
    uint64_t pc;

    reach(pid, SYS_lseek, &regs);
    pc = arch_regs_pc(&regs);
    arch_regs_begin_again(&regs);
    CU_ASSERT(arch_regs_write(pid, &regs));
    leave(pid, &regs);
    CU_ASSERT_EQUAL(arch_regs_pc(&regs), pc - ARCH_CALL_SIZE);
    reach(pid, SYS_lseek, &regs);
    CU_ASSERT_EQUAL(arch_regs_pc(&regs), pc);
    CU_ASSERT_EQUAL(arch_regs_arg(&regs, 1), 0x12345678);
    CU_ASSERT_EQUAL(end(pid), 0x7f);
}

TEST("a stopped thread makes another call by the instruction it came through, and goes on")
{
    static const uint64_t args[6];
    struct arch_regs regs, ours;
    pid_t pid = begin(seek);

    reach(pid, SYS_lseek, &regs);
    leave(pid, &regs);
    ours = regs;
    arch_regs_set_pc(&ours, arch_regs_pc(&regs) - ARCH_CALL_SIZE);
    arch_regs_prepare(&ours, SYS_getppid, args);
    CU_ASSERT(arch_regs_write(pid, &ours));
    CU_ASSERT_EQUAL(WSTOPSIG(go_on(pid, PTRACE_SINGLESTEP, 0)), SIGTRAP);
    CU_ASSERT_FATAL(arch_regs_read(pid, &ours));
    CU_ASSERT_EQUAL(arch_regs_pc(&ours), arch_regs_pc(&regs));
    CU_ASSERT_EQUAL(arch_regs_result(&ours), getpid());
    CU_ASSERT(arch_regs_write(pid, &regs));
    CU_ASSERT_EQUAL(end(pid), 0x7f);
}

static bool mapping_has(pid_t pid, uint64_t addr, const char *flag)
{
    char path[32], line[512], begins[32];
    bool here = false, has = false;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps", pid);
    snprintf(begins, sizeof begins, "%lx-", (unsigned long)addr);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            here = !strncmp(line, begins, strlen(begins));
        if (here && !strncmp(line, "VmFlags:", 8))
            has = strstr(line, flag);
    }
    if (file)
        fclose(file);
    return has;
}

TEST("the code that maps makes the three calls and stops at its breakpoint")
{
    const struct arch_stub stub = arch_stub();
    struct arch_regs regs, ours;
    uint64_t args[6] = { FREE, PAGE, PROT_READ, MAP_SHARED, 0, 0 };
    int memory = memfd_create("page", MFD_CLOEXEC);
    char path[40];
    uint8_t *code;
    pid_t pid;

    code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(memory >= 0 && code != MAP_FAILED && !ftruncate(memory, PAGE));
    memcpy(code, stub.code, stub.size);
    __builtin___clear_cache((char *)code, (char *)code + stub.size);
    pid = begin(seek);
    reach(pid, SYS_lseek, &regs);
    leave(pid, &regs);
    ours = regs;
    args[4] = (uint64_t)memory;
    arch_regs_set_pc(&ours, (uintptr_t)code);
    arch_regs_prepare(&ours, SYS_mmap, args);
    arch_stub_advice(&ours, MADV_DONTFORK);
    CU_ASSERT(arch_regs_write(pid, &ours));
    CU_ASSERT_EQUAL(WSTOPSIG(go_on(pid, PTRACE_CONT, 0)), SIGTRAP);
    CU_ASSERT_FATAL(arch_regs_read(pid, &ours));
    CU_ASSERT_EQUAL(arch_regs_pc(&ours), (uintptr_t)code + stub.stops_at);
    CU_ASSERT_EQUAL(arch_regs_result(&ours), FREE);
    CU_ASSERT(mapping_has(pid, FREE, " dc"));
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, memory);
    CU_ASSERT(access(path, F_OK));
    CU_ASSERT(arch_regs_write(pid, &regs));
    CU_ASSERT_EQUAL(end(pid), 0x7f);
    munmap(code, PAGE);
    close(memory);
}

static void nothing(int sig)
{
    (void)sig;
}

static int wait_for_signal(void)
{
    struct sigaction action = { .sa_handler = nothing };

    sigaction(SIGUSR1, &action, NULL);
    return (int)syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0) & 0x7f;
}

TEST("at the first instruction of a handler the result of the interrupted call is in its frame")
{
    struct arch_regs regs;
    pid_t pid = begin(wait_for_signal);
    long result = 0;

    reach(pid, SYS_ppoll, &regs);
    CU_ASSERT_EQUAL(kill(pid, SIGUSR1), 0);
    leave(pid, &regs);
    CU_ASSERT_EQUAL(WSTOPSIG(go_on(pid, PTRACE_CONT, 0)), SIGUSR1);
    CU_ASSERT_EQUAL(WSTOPSIG(go_on(pid, PTRACE_SINGLESTEP, SIGUSR1)), SIGTRAP);
    CU_ASSERT_FATAL(arch_regs_read(pid, &regs));
    errno = 0;
    result = ptrace(PTRACE_PEEKDATA, pid, arch_regs_sp(&regs) + arch_frame_result(), NULL);
    CU_ASSERT_EQUAL(errno, 0);
    CU_ASSERT_EQUAL(result, -EINTR);
    CU_ASSERT_EQUAL(end(pid), 0x7f);
}
