/* SPDX-License-Identifier: MIT */
/* Waits for the threads of connections that nobody has the other end of any more. */
#include "ended.h"

#include <poll.h>
#include <time.h>

#include "machine.h"
#include "sock_i.h"

#define PATIENCE_S 2         /* a thread may wait for a driver's answer */

void ended_init(struct ended *ended)
{
    pthread_mutex_init(&ended->lock, NULL);
    pthread_cond_init(&ended->changed, NULL);
}

void ended_destroy(struct ended *ended)
{
    pthread_cond_destroy(&ended->changed);
    pthread_mutex_destroy(&ended->lock);
}

void ended_count(struct ended *ended)
{
    pthread_mutex_lock(&ended->lock);
    ended->nr++;
    pthread_cond_broadcast(&ended->changed);
    pthread_mutex_unlock(&ended->lock);
}

/* Whether some connection is over, and its thread has not seen it. *nr: ended before. */
static bool some_are_over(struct sock_server *server, uint64_t *nr)
{
    bool over = false;

    machine_lock_only(server->machine);
    pthread_mutex_lock(&server->ended.lock);
    *nr = server->ended.nr;
    pthread_mutex_unlock(&server->ended.lock);
    for (const struct sock_conn *conn = server->conns; conn && !over; conn = conn->next) {
        struct pollfd end = { conn->fd, POLLRDHUP, 0 };

        over = poll(&end, 1, 0) > 0 && end.revents & (POLLRDHUP | POLLHUP | POLLERR);
    }
    machine_unlock_only(server->machine);
    return over;
}

void ended_see(struct machine *m)
{
    struct sock_server *server = sock_of(m);
    struct ended *ended = &server->ended;
    struct timespec until;
    uint64_t nr;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (!rc && some_are_over(server, &nr)) {
        pthread_mutex_lock(&ended->lock);
        while (!rc && ended->nr == nr)
            rc = pthread_cond_timedwait(&ended->changed, &ended->lock, &until);
        pthread_mutex_unlock(&ended->lock);
    }
}
