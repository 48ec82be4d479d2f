/* SPDX-License-Identifier: MIT */
/*
 * Times an event's round trip between two processes of domain 1, for bench/run.
 *
 * events socket - ROUNDS OPERATIONS
 *     over the library; over pipes; and over a server that does nothing, with the hand-overs that
 *     our library and its machine make: "EVENT-NS PIPE-NS LIMIT-NS" per round
 * events device DIR ROUNDS OPERATIONS
 *     over the device files; over pipes; and over a null FUSE file system in DIR, with the same
 *     calls: "EVENT-NS PIPE-NS LIMIT-NS" per round
 *
 * In a round trip each end waits in poll, takes the event, has its port unmasked and notifies the
 * other end.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>

#include "follow.h"
#include "measure.h"

#define DOMID 1

enum kind { EVENT, PIPE, LIMIT, NR_KINDS };

/* One end of everything that is measured. */
struct end {
    xenevtchn_handle *evtchn;
    evtchn_port_t port;
    int from, to;                /* pipes */
    int bell_fd, asked;          /* the limit's: what becomes readable, where requests go */
    int other_bell;              /* of a FUSE file system: what the other end waits for */
};

static void wait_for(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    MUST(poll(&poll_fd, 1, -1) == 1);
}

/* ---- Events and pipes ------------------------------------------------------------------------ */

static void event_take(const struct end *end)
{
    wait_for(xenevtchn_fd(end->evtchn));
    MUST(xenevtchn_pending(end->evtchn) == (int)end->port &&
         !xenevtchn_unmask(end->evtchn, end->port));
}

static void event_give(const struct end *end)
{
    MUST(!xenevtchn_notify(end->evtchn, end->port));
}

static void pipe_take(const struct end *end)
{
    char byte;

    MUST(read(end->from, &byte, 1) == 1);
}

static void pipe_give(const struct end *end)
{
    MUST(write(end->to, "x", 1) == 1);
}

/* ---- The limit of the socket way ------------------------------------------------------------- */

static void socket_take(const struct end *end)
{
    uint32_t port;

    wait_for(end->bell_fd);
    MUST(read(end->bell_fd, &port, sizeof port) == sizeof port);
}

static void socket_give(const struct end *end)
{
    follow_ask(end->asked);
}

static void start_server(struct end ends[2])
{
    struct follow follows[2];
    int fds[2][2], bells[2][2];

    for (int i = 0; i < 2; i++) {
        MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds[i]) &&
             !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bells[i]));
        ends[i].asked = fds[i][0];
        ends[i].bell_fd = bells[i][0];
    }
    for (int i = 0; i < 2; i++)
        follows[i] = (struct follow){ fds[i][1], bells[!i][1] };
    follow_start(follows, 2);
}

/* ---- The limit of the device files ----------------------------------------------------------- */

static void file_take(const struct end *end)
{
    char byte;

    wait_for(end->bell_fd);
    MUST(read(end->bell_fd, &byte, 1) == 0 && write(end->asked, &byte, 1) == 1);
}

static void file_give(const struct end *end)
{
    MUST(write(end->other_bell, "x", 1) == 1);
}

static int must_open(const char *dir, const char *name)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_RDWR);
    MUST(fd >= 0);
    return fd;
}

static void open_bells(struct end ends[2], const char *dir)
{
    static const char *const names[] = { "bell", "bell2" };

    for (int i = 0; i < 2; i++) {
        ends[i].bell_fd = must_open(dir, names[i]);
        ends[i].other_bell = must_open(dir, names[!i]);
        ends[i].asked = must_open(dir, "null");
    }
}

/* ---- Both ends ------------------------------------------------------------------------------- */

struct way {
    void (*take)(const struct end *end), (*give)(const struct end *end);
};

static double block(const struct way *way, const struct end *end, unsigned operations)
{
    double start = now_ns();

    for (unsigned i = 0; i < operations; i++) {
        way->give(end);
        way->take(end);
    }
    return (now_ns() - start) / operations;
}

static void answer(const struct way *way, const struct end *end, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        way->take(end);
        way->give(end);
    }
}

static void make_ends(struct end ends[2])
{
    int there[2], back[2], port;

    for (int i = 0; i < 2; i++) {
        ends[i].evtchn = xenevtchn_open(NULL, 0);
        MUST(ends[i].evtchn);
    }
    port = xenevtchn_bind_unbound_port(ends[0].evtchn, DOMID);
    MUST(port > 0);
    ends[0].port = (evtchn_port_t)port;
    port = xenevtchn_bind_interdomain(ends[1].evtchn, DOMID, ends[0].port);
    MUST(port > 0 && !pipe(there) && !pipe(back));
    ends[1].port = (evtchn_port_t)port;
    /* What binds a port to another one sends an event there. */
    for (int i = 0; i < 2; i++) {
        struct pollfd fd = { .fd = xenevtchn_fd(ends[i].evtchn), .events = POLLIN };

        if (poll(&fd, 1, 0) == 1)
            event_take(&ends[i]);
    }
    ends[0].to = there[1];
    ends[1].from = there[0];
    ends[1].to = back[1];
    ends[0].from = back[0];
}

int main(int argc, char **argv)
{
    struct way ways[NR_KINDS] = { { event_take, event_give }, { pipe_take, pipe_give },
                                  { socket_take, socket_give } };
    unsigned rounds, operations;
    struct end ends[2];
    int status;
    pid_t pid;

    MUST(argc == 5);
    rounds = (unsigned)atoi(argv[3]);
    operations = (unsigned)atoi(argv[4]);
    make_ends(ends);
    if (!strcmp(argv[1], "device")) {
        ways[LIMIT] = (struct way){ file_take, file_give };
        open_bells(ends, argv[2]);
    } else {
        start_server(ends);
    }
    pid = fork();
    MUST(pid >= 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i <= rounds; i++)
            for (int kind = 0; kind < NR_KINDS; kind++)
                answer(&ways[kind], &ends[1], operations);
        exit(0);
    }
    for (unsigned i = 0; i <= rounds; i++) {
        double took[NR_KINDS];

        for (int kind = 0; kind < NR_KINDS; kind++)
            took[kind] = block(&ways[kind], &ends[0], operations);
        if (i)      /* the first is for the caches */
            printf("%.0f %.0f %.0f\n", took[EVENT], took[PIPE], took[LIMIT]);
    }
    MUST(waitpid(pid, &status, 0) == pid && !status);
    return 0;
}
