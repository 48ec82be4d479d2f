/* SPDX-License-Identifier: MIT */
/*
 * Runs a program and kills it at the N-th system call that it makes.
 *
 * sweep N MICROSECONDS churn DOMID      one round of churn.c
 * sweep N MICROSECONDS map DOMID PEER REF
 *     maps PEER's page with a notification on byte 0, sets it to 1, unmaps
 *
 * SIGKILL comes just before the call if MICROSECONDS is -1. Otherwise it comes so long after the
 * call's beginning, wherever the call and its server are then. If the program ends earlier, or N is
 * 0, it prints "calls K", the number of its system calls.
 *
 * Syscall user dispatch counts the calls: the kernel hands each one to a SIGSYS handler here, which
 * makes it from a stub. Unlike ptrace, this leaves the process free to be traced by the simulator.
 * Unlike seccomp, it stands in nobody's way.
 */
#define main churn_main
#include "churn.c"
#undef main

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif

/* The only place that makes system calls once dispatch is on. */
long stub_syscall(long nr, long a, long b, long c, long d, long e, long f);
void stub_restorer(void);
extern char stub_start[], stub_end[];
__asm__(".globl stub_syscall, stub_restorer, stub_start, stub_end\n"
        ".text\n"
        "stub_start:\n"
        "stub_syscall:\n"
        "    mov %rdi, %rax\n"
        "    mov %rsi, %rdi\n"
        "    mov %rdx, %rsi\n"
        "    mov %rcx, %rdx\n"
        "    mov %r8, %r10\n"
        "    mov %r9, %r8\n"
        "    mov 8(%rsp), %r9\n"
        "    syscall\n"
        "    ret\n"
        "stub_restorer:\n"
        "    mov $15, %eax\n"          /* rt_sigreturn */
        "    syscall\n"
        "    nop\n"
        "stub_end:\n");

struct kernel_sigaction {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static unsigned long calls, fatal_call;
static long delay_us;
static char selector;
static volatile int *fuse;              /* shared with the executioner: 1 lights it */

static void on_syscall(int sig, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    bool fatal = ++calls == fatal_call;

    (void)sig;
    (void)info;
    if (fatal && delay_us < 0)
        stub_syscall(SYS_kill, stub_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0, 0);
    if (fatal)
        *fuse = 1;
    regs[REG_RAX] = stub_syscall(regs[REG_RAX], regs[REG_RDI], regs[REG_RSI], regs[REG_RDX],
                                 regs[REG_R10], regs[REG_R8], regs[REG_R9]);
    while (fatal)
        stub_syscall(SYS_pause, 0, 0, 0, 0, 0, 0);
}

/* Another process, so that it runs whatever state this one is in. */
static void start_executioner(void)
{
    pid_t victim = getpid();
    struct timespec start, now;

    fuse = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(fuse != MAP_FAILED);
    switch (fork()) {
    case -1:
        must(!"fork");
        break;
    case 0:
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != victim)
            _exit(0);
        while (!*fuse)
            __builtin_ia32_pause();
        clock_gettime(CLOCK_MONOTONIC, &start);
        do
            clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - start.tv_sec) * 1000000 +
               (now.tv_nsec - start.tv_nsec) / 1000 < delay_us);
        kill(victim, SIGKILL);
        _exit(0);
    }
}

static void start_counting(void)
{
    struct kernel_sigaction action = { on_syscall,
                                       SA_SIGINFO |
                                       0x04000000 /* SA_RESTORER */, stub_restorer, 0 };

    must(!syscall(SYS_rt_sigaction, SIGSYS, &action, NULL, 8));
    selector = 1;
    must(!prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, stub_start, stub_end - stub_start,
                &selector));
}

static void stop_counting(void)
{
    selector = 0;
    must(!prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0));
}

static void map_once(uint32_t domid, uint32_t peer, uint32_t ref)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    volatile unsigned char *mapped;
    int port;

    must(gnttab && evtchn);
    port = xenevtchn_bind_unbound_port(evtchn, domid);
    must(port > 0);
    mapped = xengnttab_map_grant_ref_notify(gnttab, peer, ref, PROT_READ | PROT_WRITE, 0, port);
    must(mapped);
    mapped[0] = 1;
    must(!xengnttab_unmap(gnttab, (void *)mapped, 1));
    must(!xenevtchn_close(evtchn) && !xengnttab_close(gnttab));
}

int main(int argc, char **argv)
{
    struct worker w;

    must(argc >= 5);
    fatal_call = strtoul(argv[1], NULL, 0);
    delay_us = strtol(argv[2], NULL, 0);
    w = (struct worker){ .domid = atoi(argv[4]), .rounds = 1 };
    if (fatal_call && delay_us >= 0)
        start_executioner();
    start_counting();
    if (!strcmp(argv[3], "churn"))
        work(&w);
    else
        map_once(w.domid, atoi(argv[5]), atoi(argv[6]));
    stop_counting();
    printf("calls %lu\n", calls);
    return 0;
}
