/* SPDX-License-Identifier: MIT */
/*
 * Tells a machine that listens when the process is about to die of SIGSEGV or SIGBUS: where, and at
 * which address. Then the process dies as it would have. A program that handles these signals
 * itself is left alone.
 */
#include "sock_says_i.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "context.h"
#include "sock_client_i.h"

#define PATIENCE_S 10       /* for the machine's answer */

/* -1: the machine is not there. */
static int reach(void)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    const char *path = sock_client_path();
    int fd = path ? sock_connect(path) : -1;

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The stack as it was before the handler: from the instruction on that could not access. */
static void cut(struct sock_stack *stack, uint64_t pc)
{
    size_t nr = (stack->header.size - sizeof stack->header) / sizeof *stack->addresses, first = 0;

    while (first < nr && stack->addresses[first] != pc)
        first++;
    if (first == nr) {           /* it went where no code is */
        stack->addresses[0] = pc;
        nr = 1;
    } else {
        nr -= first;
        memmove(stack->addresses, stack->addresses + first, nr * sizeof *stack->addresses);
    }
    stack->addresses[0]++;       /* the machine takes all for addresses behind calls */
    stack->header.size = (uint32_t)(sizeof stack->header + nr * sizeof *stack->addresses);
}

static void tell(int fd, const siginfo_t *info, const ucontext_t *context)
{
    struct sock_say say = { .header = { .size = sizeof say, .op = SOCK_SAY },
                            .word = SOCK_SAY_FAULTS,
                            .value = (uintptr_t)info->si_addr,
                            .index = SOCK_FAULT(info->si_signo, info->si_code,
                                                arch_context_writes(context)) };
    struct sock_reply reply;
    struct sock_stack stack;

    sock_says_where(&stack);
    cut(&stack, arch_context_pc(context));
    if (send(fd, &stack, stack.header.size, MSG_NOSIGNAL) > 0 &&
        send(fd, &say, sizeof say, MSG_NOSIGNAL) > 0)
        recv(fd, &reply, sizeof reply, 0);
}

/* The access is tried once more, and ends the process. Another handler may have called this one. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    int fd;

    signal(sig, SIG_DFL);
    if (info->si_code <= 0) {    /* somebody sent it, and it would not come again */
        raise(sig);
        return;
    }
    fd = reach();
    if (fd < 0)
        return;
    tell(fd, info, context);
    close(fd);
}

void sock_fault_begin(void)
{
    static const int signals[] = { SIGSEGV, SIGBUS };
    struct sigaction ours = { .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER | SA_ONSTACK,
                              .sa_sigaction = on_fault },
                     theirs;

    sigemptyset(&ours.sa_mask);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!sigaction(signals[i], NULL, &theirs) && !(theirs.sa_flags & SA_SIGINFO) &&
            theirs.sa_handler == SIG_DFL)
            sigaction(signals[i], &ours, NULL);
}
