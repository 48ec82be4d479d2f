/* SPDX-License-Identifier: MIT */
/*
 * waiter HOW: a process of domain 1 with a channel to itself that learns of events in one of the
 * ways that programs have. Prints "ok".
 *   level, edge, oneshot   epoll
 *   both                   two descriptors of one event channel file, and another file, in one
 * epoll sigio                  O_ASYNC and F_SETOWN: SIGIO fioasync               the same with
 * ioctl(FIOASYNC) setsig                 F_SETSIG: a queued signal that names the descriptor thread
 * F_SETOWN_EX: to one thread group                  F_SETOWN with a process group off after O_ASYNC
 * was taken away: nothing others                 O_ASYNC on other files is as ever
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xenevtchn.h>

#include "must.h"

#define DOMID 1
#define PATIENCE 30000

/* A handle that receives at one port what another sends to it. */
struct channel {
    xenevtchn_handle *receiver, *sender;
    int port, from, fd;
};

static struct channel channel_open(void)
{
    struct channel c = { xenevtchn_open(NULL, 0), xenevtchn_open(NULL, 0), 0, 0, 0 };

    must(c.receiver && c.sender);
    c.port = xenevtchn_bind_unbound_port(c.receiver, DOMID);
    c.from = xenevtchn_bind_interdomain(c.sender, DOMID, c.port);
    must(c.port > 0 && c.from > 0);
    c.fd = xenevtchn_fd(c.receiver);
    return c;
}

static void notify(const struct channel *c)
{
    must(!xenevtchn_notify(c->sender, c->from));
}

static void take(const struct channel *c)
{
    must(xenevtchn_pending(c->receiver) == c->port && !xenevtchn_unmask(c->receiver, c->port));
}

/* ---- epoll ----------------------------------------------------------------------------------- */

static int epoll_of(int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    must(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return epoll;
}

static int wait_for(int epoll, int timeout)
{
    struct epoll_event event = { 0 };
    int n = epoll_wait(epoll, &event, 1, timeout);

    must(n >= 0);
    return n ? (int)event.events : 0;
}

/* Sends an event when the parent is (about to be) asleep. */
static pid_t notify_later(const struct channel *c)
{
    pid_t pid = fork();

    must(pid >= 0);
    if (!pid) {
        usleep(20000);
        notify(c);
        _exit(0);
    }
    return pid;
}

static void use_epoll(uint32_t mode)
{
    struct channel c = channel_open();
    int epoll = epoll_of(c.fd, EPOLLIN | mode);
    struct epoll_event again = { .events = EPOLLIN | mode, .data.fd = c.fd };
    pid_t pid;

    must(wait_for(epoll, 0) == 0);
    for (int round = 0; round < 5; round++) {
        pid = notify_later(&c);
        must(wait_for(epoll, PATIENCE) == EPOLLIN);
        /* What was not read is told again, or not. */
        must(wait_for(epoll, 0) == (mode ? 0 : EPOLLIN));
        take(&c);
        must(wait_for(epoll, 0) == 0);
        if (mode & EPOLLONESHOT)
            must(!epoll_ctl(epoll, EPOLL_CTL_MOD, c.fd, &again));
        must(waitpid(pid, NULL, 0) == pid);
    }
    /* One that is there before it is asked for. */
    notify(&c);
    close(epoll);
    epoll = epoll_of(c.fd, EPOLLIN | EPOLLOUT | mode);
    must(wait_for(epoll, PATIENCE) == (EPOLLIN | EPOLLOUT));
}

static void use_two(void)
{
    struct channel a = channel_open(), b = channel_open();
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u32 = 1 };
    int epoll = epoll_of(a.fd, EPOLLIN | EPOLLET), copy = dup(a.fd);

    must(copy >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, copy, &event));
    event.data.u32 = 2;
    must(!epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &event));
    for (int round = 0; round < 5; round++) {
        struct epoll_event events[4];
        unsigned seen = 0;

        notify(&a);
        notify(&b);
        while (seen != 7) {
            int n = epoll_wait(epoll, events, 4, PATIENCE);

            must(n > 0);
            while (n--)
                seen |= events[n].data.u32 == 1 ? 2 : events[n].data.u32 == 2 ? 4 : 1;
        }
        take(&a);
        take(&b);
    }
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void block(int sig)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    must(!sigprocmask(SIG_BLOCK, &set, NULL));
}

/* The signal if it came within so many milliseconds. */
static int receive(int sig, int timeout, siginfo_t *info)
{
    struct timespec limit = { timeout / 1000, timeout % 1000 * 1000000 };
    sigset_t set;
    int got;

    sigemptyset(&set);
    sigaddset(&set, sig);
    got = sigtimedwait(&set, info, &limit);
    must(got > 0 || errno == EAGAIN);
    return got > 0 ? got : 0;
}

static void async_on(int fd)
{
    must(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) && fcntl(fd, F_GETFL) & O_ASYNC);
}

static void use_signals(const char *how)
{
    struct channel c = channel_open();
    struct f_owner_ex owner = { F_OWNER_TID, gettid() };
    int sig = !strcmp(how, "setsig") ? SIGRTMIN + 3 : SIGIO, one = 1, none = 0;
    siginfo_t info;

    block(sig);
    if (!strcmp(how, "setsig"))
        must(!fcntl(c.fd, F_SETSIG, sig));
    if (!strcmp(how, "thread"))
        must(!fcntl(c.fd, F_SETOWN_EX, &owner));
    else if (!strcmp(how, "group"))
        must(!setpgid(0, 0) && !fcntl(c.fd, F_SETOWN, -getpid()));
    else
        must(!fcntl(c.fd, F_SETOWN, getpid()));
    notify(&c);
    must(receive(sig, 50, &info) == 0);          /* not asked for yet */
    take(&c);
    if (!strcmp(how, "fioasync"))
        must(!ioctl(c.fd, FIOASYNC, &one));
    else
        async_on(c.fd);
    for (int round = 0; round < 5; round++) {
        notify(&c);
        must(receive(sig, PATIENCE, &info) == sig);
        if (!strcmp(how, "setsig"))
            must(info.si_fd == c.fd && info.si_band & POLLIN);
        take(&c);
    }
    if (!strcmp(how, "fioasync"))
        must(!ioctl(c.fd, FIOASYNC, &none));
    else
        must(!fcntl(c.fd, F_SETFL, fcntl(c.fd, F_GETFL) & ~O_ASYNC));
    notify(&c);
    must(receive(sig, 50, &info) == 0);
    take(&c);
}

static void use_other_files(void)
{
    siginfo_t info;
    int pipe_fds[2], one = 1, gntdev = open("/dev/xen/gntdev", O_RDWR), bad = 1;

    block(SIGIO);
    must(!pipe(pipe_fds) && !fcntl(pipe_fds[0], F_SETOWN, getpid()));
    async_on(pipe_fds[0]);
    must(write(pipe_fds[1], "x", 1) == 1);
    must(receive(SIGIO, PATIENCE, &info) == SIGIO);
    must(ioctl(gntdev, FIOASYNC, &one) && errno == ENOTTY);
    must(ioctl(open("/dev/xen/evtchn", O_RDWR), FIOASYNC, NULL) && errno == EFAULT);
    must(fcntl(-1, F_SETFL, O_ASYNC) && errno == EBADF);
    must(fcntl(gntdev, F_SETSIG, 999) && errno == EINVAL);
    must(bad);
}

int main(int argc, char **argv)
{
    must(argc == 2);
    if (!strcmp(argv[1], "level"))
        use_epoll(0);
    else if (!strcmp(argv[1], "edge"))
        use_epoll(EPOLLET);
    else if (!strcmp(argv[1], "oneshot"))
        use_epoll(EPOLLONESHOT);
    else if (!strcmp(argv[1], "both"))
        use_two();
    else if (!strcmp(argv[1], "others"))
        use_other_files();
    else
        use_signals(argv[1]);
    puts("ok");
    return 0;
}
