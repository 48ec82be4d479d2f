/* SPDX-License-Identifier: MIT */
/* A server that does nothing: a thread for each client, which answers it on its own processor. */
#ifndef GNTSIM_BENCH_FOLLOW_H
#define GNTSIM_BENCH_FOLLOW_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

#define FOLLOW_REQUEST 60        /* bytes of a request, and of its reply */

struct follow {
    int asked, bell;             /* where requests come; what each rings, -1: nothing */
};

static inline void *follow_serve(void *arg)
{
    const struct follow *follow = arg;
    char request[FOLLOW_REQUEST];
    int last = -1, processor;
    uint32_t port = 1;

    while (recv(follow->asked, request, sizeof request, 0) == sizeof request) {
        memcpy(&processor, request, sizeof processor);
        MUST(follow->bell < 0 ||
             send(follow->bell, &port, sizeof port, 0) == sizeof port);
        MUST(send(follow->asked, request, sizeof request, 0) == sizeof request);
        if (processor != last) {
            cpu_set_t set;

            CPU_ZERO(&set);
            CPU_SET(processor, &set);
            sched_setaffinity(0, sizeof set, &set);
            last = processor;
        }
    }
    return NULL;
}

/* A process of its own, as the machine is; it ends with its client. */
static inline void follow_start(struct follow *follows, unsigned nr)
{
    pthread_t threads[2];
    pid_t pid = fork();

    MUST(pid >= 0 && nr <= 2);
    if (pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < nr; i++)
        MUST(!pthread_create(&threads[i], NULL, follow_serve, &follows[i]));
    for (unsigned i = 0; i < nr; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

/* One request and its reply. */
static inline void follow_ask(int fd)
{
    char request[FOLLOW_REQUEST] = { 0 };
    int processor = sched_getcpu();

    memcpy(request, &processor, sizeof processor);
    MUST(send(fd, request, sizeof request, 0) == sizeof request &&
         recv(fd, request, sizeof request, 0) == sizeof request);
}

#endif
