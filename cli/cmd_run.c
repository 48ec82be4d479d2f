/* SPDX-License-Identifier: MIT */
/* `gntsim run`: runs a command in a domain of a private machine. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "host.h"
#include "options.h"

static void say_ready(void *ctx)
{
    int *fd = ctx;

    if (write(*fd, "", 1) == 1)
        close(*fd);
}

/*
 * The machine's process: out of reach of the terminal's signals, ends when the other end of fd
 * does. Writes a byte to ready_fd when it serves.
 */
static int be_machine(int fd, int ready_fd, const struct options *options)
{
    struct host_config config = {
        .listen_fd = -1, .owner_fd = fd, .options = options, .ready = say_ready, .ctx = &ready_fd
    };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        close(null);
    }
    return host_machine(&config);
}

static const int passed_on[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };

/*
 * Waits for the command. Signals sent to us are for it; those of the terminal have reached it
 * already.
 */
static int wait_for(pid_t child, const sigset_t *waited)
{
    siginfo_t info;
    int status;

    for (;;) {
        if (sigwaitinfo(waited, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            if (info.si_code != SI_KERNEL)
                kill(child, info.si_signo);
        } else if (waitpid(child, &status, WNOHANG) == child) {
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
    }
}

int cmd_run(int argc, char **argv)
{
    struct options options;
    sigset_t waited, before;
    pid_t machine, child;
    int rc, sockets[2], ready[2], status = 0;
    char byte;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.nr_rest)
        return usage_error("run needs a command: gntsim run [--domain N] -- CMD...");
    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    for (unsigned i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&waited, passed_on[i]);
    sigprocmask(SIG_BLOCK, &waited, &before);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) || pipe2(ready, O_CLOEXEC))
        return failure("cannot make a socket: %s", strerror(errno));
    machine = fork();
    if (!machine) {
        close(sockets[0]);
        close(ready[0]);
        exit(be_machine(sockets[1], ready[1], &options));
    }
    close(sockets[1]);
    close(ready[1]);
    if (machine < 0)
        return failure("cannot start a process: %s", strerror(errno));
    if (read(ready[0], &byte, 1) != 1) {    /* it has said why */
        waitpid(machine, &status, 0);
        return WIFSIGNALED(status)
                 ? failure("the machine was killed by signal %d", WTERMSIG(status))
                 : WEXITSTATUS(status);
    }
    close(ready[0]);
    child = fork();
    if (!child) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        _exit(client_exec(sockets[0], options.domain < 0 ? 0 : options.domain, NULL, options.way,
                          options.rest));
    }
    rc = child < 0 ? failure("cannot start a process: %s", strerror(errno))
                   : wait_for(child, &waited);
    /* The machine ends with its last owner; what the command left running in it ends, too. */
    close(sockets[0]);
    waitpid(machine, &status, 0);
    return rc || !WIFEXITED(status) ? rc : WEXITSTATUS(status);
}
