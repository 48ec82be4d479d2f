/* SPDX-License-Identifier: MIT */
/* Waits for timers, ended mappings, the order to stop, and other parts' descriptors. */
#include "main_loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loops.h"
#include "machine.h"
#include "maps.h"

#define NR_WATCHES 4

int machine_watch(struct machine *m, struct watch *watch, unsigned events)
{
    struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = watch };

    return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) ? -errno : 0;
}

void machine_rearm(struct machine *m, struct watch *watch, unsigned events)
{
    struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = watch };

    epoll_ctl(m->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void machine_unwatch(struct machine *m, struct watch *watch)
{
    epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static void timer_ready(void *ctx, unsigned events)
{
    struct machine *m = ctx;
    uint64_t count;

    (void)events;
    if (read(m->timer_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    machine_rearm(m, &m->watches[0], EPOLLIN);
    machine_lock(m);
    clock_fired(m);
    machine_unlock(m);
}

static void look_later(struct machine *m)
{
    struct itimerspec soon = { .it_value.tv_nsec = 1000 * 1000 };

    timerfd_settime(m->moment_fd, 0, &soon, NULL);
}

/*
 * machine_lock is all there is to do. Whoever makes an operation sees the end of mappings by
 * itself; this is for those that end while nobody does.
 */
static void maps_ready(void *ctx, unsigned events)
{
    struct machine *m = ctx;

    (void)events;
    machine_lock(m);
    machine_unlock(m);
    maps_have_news(m->maps);     /* what this look found says nothing of others */
    look_later(m);
}

/*
 * While operations see mappings end, this waits: to be woken would cost the thread that unmaps more
 * than its munmap.
 */
static void moment_ready(void *ctx, unsigned events)
{
    struct machine *m = ctx;
    uint64_t count;

    (void)events;
    if (read(m->moment_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    machine_rearm(m, &m->watches[3], EPOLLIN);
    if (maps_have_news(m->maps))
        look_later(m);
    else
        machine_rearm(m, &m->watches[1], EPOLLIN);
}

static void stop_ready(void *ctx, unsigned events)
{
    (void)ctx;
    (void)events;
}

static bool main_step(void *ctx)
{
    struct machine *m = ctx;
    struct epoll_event event;
    struct watch *watch;

    if (atomic_load(&m->stopping))
        return false;
    if (epoll_wait(m->epoll_fd, &event, 1, -1) == 1) {
        watch = event.data.ptr;
        watch->ready(watch->ctx, event.events);
    }
    return !atomic_load(&m->stopping);
}

void machine_request_stop(struct machine *m)
{
    uint64_t one = 1;

    atomic_store(&m->stopping, true);
    if (write(m->stop_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

int main_loop_create(struct machine *m)
{
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    m->moment_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    m->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return m->epoll_fd < 0 || m->timer_fd < 0 || m->moment_fd < 0 || m->stop_fd < 0 ? -errno : 0;
}

int main_loop_start(struct machine *m)
{
    struct watch *w = calloc(NR_WATCHES, sizeof *w);
    int rc;

    if (!w)
        return -ENOMEM;
    m->watches = w;
    w[0] = (struct watch){ m->timer_fd, timer_ready, m };
    w[1] = (struct watch){ maps_inotify_fd(m->maps), maps_ready, m };
    w[2] = (struct watch){ m->stop_fd, stop_ready, m };
    w[3] = (struct watch){ m->moment_fd, moment_ready, m };
    for (unsigned i = 0; i < NR_WATCHES; i++) {
        rc = machine_watch(m, &w[i], EPOLLIN);
        if (rc)
            return rc;
    }
    return loops_start(m->loops, main_step, NULL, m);
}

void main_loop_destroy(struct machine *m)
{
    free(m->watches);
    close(m->epoll_fd);
    close(m->timer_fd);
    close(m->moment_fd);
    close(m->stop_fd);
}
