/* SPDX-License-Identifier: MIT */
/* Waits for a command, and passes on to it the signals that gntsim gets meanwhile. */
#include "child.h"

#include <sys/wait.h>

static const int passed_on[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

void child_prepare(struct child_signals *signals)
{
    sigemptyset(&signals->waited);
    sigaddset(&signals->waited, SIGCHLD);
    for (unsigned i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&signals->waited, passed_on[i]);
    sigprocmask(SIG_BLOCK, &signals->waited, &signals->before);
}

void child_begin(const struct child_signals *signals)
{
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

/* Signals sent to us are for the command; those of the terminal have reached it already. */
int child_wait(pid_t child, const struct child_signals *signals)
{
    siginfo_t info;
    int status;

    for (;;) {
        if (sigwaitinfo(&signals->waited, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            if (info.si_code != SI_KERNEL)
                kill(child, info.si_signo);
        } else if (waitpid(child, &status, WNOHANG) == child) {
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
    }
}
