/* SPDX-License-Identifier: MIT */
/* `gntsim run`: runs a command in a domain of a private machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
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

int cmd_run(int argc, char **argv)
{
    struct options options;
    struct child_signals signals;
    pid_t machine, child;
    int rc, sockets[2], ready[2], status = 0;
    char byte;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.nr_rest)
        return usage_error("run needs a command: gntsim run [--domain N] -- CMD...");
    child_prepare(&signals);
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
    /* Meanwhile a signal ends us, as usual, and with us the machine. */
    child_begin(&signals);
    rc = (int)read(ready[0], &byte, 1);
    child_prepare(&signals);
    if (rc != 1) {              /* it has said why */
        waitpid(machine, &status, 0);
        return WIFSIGNALED(status)
                 ? failure("the machine was killed by signal %d", WTERMSIG(status))
                 : WEXITSTATUS(status);
    }
    close(ready[0]);
    child = fork();
    if (!child) {
        child_begin(&signals);
        _exit(client_exec(sockets[0], &(struct client_program){
                                          .domain = options.domain < 0 ? 0 : options.domain,
                                          .way = options.way,
                                          .argv = options.rest }));
    }
    rc = child < 0 ? failure("cannot start a process: %s", strerror(errno))
                   : child_wait(child, &signals);
    /* The machine ends with its last owner; what the command left running in it ends, too. */
    close(sockets[0]);
    waitpid(machine, &status, 0);
    return rc || !WIFEXITED(status) ? rc : WEXITSTATUS(status);
}
