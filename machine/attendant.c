/* SPDX-License-Identifier: MIT */
/* The attendant: a process that outlives a killed server and clears up after it. */
#include "attendant.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"
#include "receive.h"

#define DEATH_SIGNAL SIGUSR1
#define END_MS 10000             /* how long the end of a killed process may take */

struct attendant {
    pid_t pid;
    int socket;
    pthread_mutex_t lock;        /* one question at a time */
};

/* Both processes are the same program at the same addresses. */
struct question {
    attendant_work *work;
    uint64_t args[2];
    bool gives;                  /* a descriptor is sent along */
};

union control {
    char space[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr align;
};

/* At most two descriptors go along. */
static bool send_message(int socket, const void *from, size_t size, const int *fds, size_t nr)
{
    struct iovec iov = { (void *)from, size };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    union control control;
    struct cmsghdr *c;

    if (nr) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(nr * sizeof *fds);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(nr * sizeof *fds);
        memcpy(CMSG_DATA(c), fds, nr * sizeof *fds);
    }
    return sendmsg(socket, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

/* ---- The attendant's side -------------------------------------------------------------------- */

struct self {
    struct machine *machine;
    pid_t server;
    int socket, death, pidfd;
};

/* Nothing of the server's stays open here: a lock, a socket whose peers must see it closed. */
static bool be_apart(struct self *self)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t death;

    sigemptyset(&death);
    sigaddset(&death, DEATH_SIGNAL);
    /* What a terminal or kill(2) sends to the server's group is not for us. */
    setsid();
    prctl(PR_SET_NAME, "gntsim-attend");
    if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(self->socket, 3) < 0)
        return false;
    self->socket = 3;
    if (syscall(SYS_close_range, 4, ~0u, 0))
        return false;
    self->death = signalfd(-1, &death, SFD_CLOEXEC | SFD_NONBLOCK);
    self->pidfd = (int)syscall(SYS_pidfd_open, self->server, 0);
    return self->death >= 0 && self->pidfd >= 0 && !prctl(PR_SET_PDEATHSIG, DEATH_SIGNAL) &&
           getppid() == self->server;
}

/* Whether the death signal came because of the server, not from somebody else. */
static bool server_died(const struct self *self)
{
    struct signalfd_siginfo info;

    while (read(self->death, &info, sizeof info) == sizeof info)
        if ((pid_t)info.ssi_pid == self->server || !info.ssi_pid)
            return true;
    return false;
}

/* False: nobody asks any more. */
static bool answer_one(const struct self *self)
{
    struct attendant_answer answer = { .fds = { -1, -1 } };
    struct received with = { .fds = answer.fds, .room = 1 };
    struct question question;

    if (receive_message(self->socket, &question, sizeof question, &with) != sizeof question)
        return false;
    if (question.gives && !with.nr)
        answer.rc = -EMFILE;
    else
        question.work(question.args, &answer);
    send_message(self->socket, &answer, sizeof answer, answer.fds,
                 !answer.rc && answer.fds[0] >= 0 ? 2 : 0);
    for (unsigned i = 0; i < 2; i++)
        if (answer.fds[i] >= 0)
            close(answer.fds[i]);
    return true;
}

static void clear_up(const struct self *self)
{
    struct pollfd server = { self->pidfd, POLLIN, 0 };
    struct machine *m = self->machine;

    PARTS_TELL(m, bereaved, m);
    poll(&server, 1, END_MS);
    PARTS_TELL(m, clear_up, m);
    PARTS_TELL(m, outlive, m);
}

static void attend(struct self *self)
{
    struct pollfd fds[3];
    bool lives = be_apart(self);

    send(self->socket, "", 1, MSG_NOSIGNAL);
    fds[0] = (struct pollfd){ self->socket, POLLIN, 0 };
    fds[1] = (struct pollfd){ self->death, POLLIN, 0 };
    fds[2] = (struct pollfd){ self->pidfd, POLLIN, 0 };
    while (lives) {
        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[2].revents || (fds[1].revents && server_died(self)) ||
            (fds[0].revents && !answer_one(self)))
            lives = false;
    }
    clear_up(self);
}

/* ---- The server's side ----------------------------------------------------------------------- */

int attendant_start(struct machine *m)
{
    struct attendant *attendant = calloc(1, sizeof *attendant);
    struct self self = { .machine = m, .server = getpid() };
    sigset_t all, before;
    int sockets[2], rc;
    char apart;

    if (!attendant)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)) {
        rc = -errno;
        free(attendant);
        return rc;
    }
    /* It gets no signal but by its descriptor, from its first moment on. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    attendant->pid = fork();
    if (!attendant->pid) {
        self.socket = sockets[1];
        attend(&self);
        _exit(0);
    }
    rc = attendant->pid < 0 ? -errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(sockets[1]);
    attendant->socket = sockets[0];
    if (rc) {
        close(sockets[0]);
        free(attendant);
        return rc;
    }
    /* Until it is apart it holds our descriptors, as if the machine's directory were still
     * served. */
    while (recv(attendant->socket, &apart, 1, 0) < 0 && errno == EINTR)
        ;
    pthread_mutex_init(&attendant->lock, NULL);
    m->attendant = attendant;
    return 0;
}

static int receive_answer(int socket, struct attendant_answer *answer)
{
    int fds[2];
    struct received with = { .fds = fds, .room = 2 };
    ssize_t n = receive_message(socket, answer, sizeof *answer, &with);
    bool wants_fds = n == sizeof *answer && !answer->rc && answer->fds[0] >= 0;

    answer->fds[0] = answer->fds[1] = -1;       /* those are the attendant's numbers */
    if (n != sizeof *answer)
        return n < 0 ? (int)n : -EPIPE;
    if (!wants_fds)
        return answer->rc;
    if (with.nr == 2) {
        memcpy(answer->fds, fds, sizeof fds);
        return 0;
    }
    if (with.nr)
        close(fds[0]);           /* there was room for one only */
    return -EMFILE;
}

void attendant_give(struct machine *m, attendant_work *work, const uint64_t args[2], int fd,
                    struct attendant_answer *answer)
{
    struct question question = { work, { args[0], args[1] }, fd >= 0 };
    struct attendant *attendant = m->attendant;

    *answer = (struct attendant_answer){ .rc = -EPIPE, .fds = { -1, -1 } };
    pthread_mutex_lock(&attendant->lock);
    if (send_message(attendant->socket, &question, sizeof question, &fd, question.gives))
        answer->rc = receive_answer(attendant->socket, answer);
    pthread_mutex_unlock(&attendant->lock);
}

void attendant_ask(struct machine *m, attendant_work *work, const uint64_t args[2],
                   struct attendant_answer *answer)
{
    attendant_give(m, work, args, -1, answer);
}

void attendant_dismiss(struct machine *m)
{
    struct attendant *attendant = m->attendant;

    if (!attendant)
        return;
    kill(attendant->pid, SIGKILL);
    while (waitpid(attendant->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(attendant->socket);
    pthread_mutex_destroy(&attendant->lock);
    free(attendant);
    m->attendant = NULL;
}
