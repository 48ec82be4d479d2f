/* SPDX-License-Identifier: MIT */
/*
 * The keeper: starts the store's daemon in domain 0, says how it ended, and outlives a killed
 * server to end the daemon.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "client.h"
#include "control.h"
#include "receive.h"
#include "way_names.h"

/* What the server says: start (with a connection to the control socket), or kill. */
#define WORD_START 's'
#define WORD_KILL  'k'

/* ---- The keeper's side ----------------------------------------------------------------------- */

struct self {
    int socket;
    char *path;
    pid_t child;                 /* 0: none */
    int pidfd;
};

/* Becomes the daemon. It writes nothing where the machine says that it is ready. */
static void be_daemon(const struct self *self, int control)
{
    char no_fork[] = "--no-fork", *argv[] = { self->path, no_fork, NULL };
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("XENSTORED_ROOTDIR", "/run/xenstored", 1);
    _exit(client_exec(control, &(struct client_program){ .way = WAY_DEVICE, .is_store = true,
                                                         .argv = argv }));
}

static void tell(const struct self *self, int status)
{
    send(self->socket, &status, sizeof status, MSG_NOSIGNAL);
}

static void start_child(struct self *self, int control)
{
    self->child = fork();
    if (!self->child)
        be_daemon(self, control);
    if (self->child < 0) {
        self->child = 0;
        tell(self, EXIT_CANNOT_RUN << 8);
        return;
    }
    self->pidfd = (int)syscall(SYS_pidfd_open, self->child, 0);
}

/* False: the server has gone. */
static bool hear(struct self *self)
{
    int control = -1;
    struct received with = { .fds = &control, .room = 1 };
    char word;

    if (receive_message(self->socket, &word, 1, &with) != 1)
        return false;
    if (word == WORD_KILL && self->child)
        kill(self->child, SIGKILL);
    if (word == WORD_START && with.nr && !self->child)
        start_child(self, control);
    if (with.nr)
        close(control);
    return true;
}

static void reap(struct self *self)
{
    int status;

    if (waitpid(self->child, &status, 0) != self->child)
        return;
    close(self->pidfd);
    self->child = 0;
    self->pidfd = -1;
    tell(self, status);
}

static void keep(struct self *self)
{
    struct pollfd fds[2] = { { self->socket, POLLIN, 0 } };
    bool lives = true;

    while (lives) {
        fds[1] = (struct pollfd){ self->pidfd, POLLIN, 0 };
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents && self->child)
            reap(self);
        if (fds[0].revents)
            lives = hear(self);
    }
    if (!self->child)
        return;
    kill(self->child, SIGKILL);
    waitpid(self->child, NULL, 0);
}

/* Nothing of the server's stays open here; and no signal of its terminal comes. */
static void be_keeper(int socket, const char *path)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct self self = { .socket = 3, .path = strdup(path), .pidfd = -1 };

    setsid();
    prctl(PR_SET_NAME, "gntsim-keeper");
    if (self.path && dup2(null, STDIN_FILENO) == STDIN_FILENO &&
        dup2(STDERR_FILENO, STDOUT_FILENO) == STDOUT_FILENO && dup2(socket, 3) == 3 &&
        !syscall(SYS_close_range, 4, ~0u, 0)) {
        fcntl(3, F_SETFD, FD_CLOEXEC);
        keep(&self);
    }
    _exit(0);
}

/* ---- The server's side ----------------------------------------------------------------------- */

static int say(const struct keeper *keeper, char word, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { &word, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct cmsghdr *c;

    if (fd >= 0) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control.space;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(keeper->base.fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int start(void *ctx)
{
    struct keeper *keeper = ctx;
    int ends[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -errno;
    rc = control_serve(keeper->control, ends[0]);
    if (!rc)
        rc = say(keeper, WORD_START, ends[1]);
    close(ends[1]);
    return rc;
}

static void kill_daemon(void *ctx)
{
    say(ctx, WORD_KILL, -1);
}

int keeper_start(struct keeper *keeper, const char *path)
{
    int ends[2];

    if (access(path, X_OK))
        return usage_error("cannot execute the store's daemon %s: %s (Debian's are in the package "
                           "xen-utils-4.17: /usr/lib/xen-4.17/bin/xenstored and oxenstored)",
                           path, strerror(errno));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return failure("cannot make a socket: %s", strerror(errno));
    keeper->pid = fork();
    if (!keeper->pid)
        be_keeper(ends[1], path);
    close(ends[1]);
    if (keeper->pid < 0) {
        keeper->pid = 0;
        close(ends[0]);
        return failure("cannot start a process: %s", strerror(errno));
    }
    keeper->base = (struct store_keeper){ ends[0], path, start, kill_daemon, keeper };
    return 0;
}

void keeper_end(struct keeper *keeper)
{
    if (!keeper->pid)
        return;
    close(keeper->base.fd);
    while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    keeper->pid = 0;
}
