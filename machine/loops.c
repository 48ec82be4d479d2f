/* SPDX-License-Identifier: MIT */
/* Runs the server's loops in threads, and replaces a thread that a client holds up. */
#include "loops.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#define STUCK_NS (50 * 1000 * 1000L)
#define JOIN_SECONDS 30            /* for threads that no client holds */

struct loop {
    struct loops *pool;
    loop_step *step;
    loop_ended *when_ended;
    void *ctx;
    unsigned threads;            /* in it, stuck ones included */
    atomic_uint generation;      /* of the thread that owns the loop */
    atomic_ulong accesses;       /* odd while the owner touches client memory */
    unsigned long seen;          /* the guard's: accesses at its last look */
    bool ended, once;
    struct loop *prev, *next;
};

struct loops {
    pthread_mutex_t lock;
    pthread_cond_t wake;         /* the guard, and loops_join */
    struct loop *loops;
    unsigned threads;            /* of all loops, until their when_ended has returned */
    atomic_bool armed;           /* the guard is looking */
    bool stop;
    pthread_t guard;
};

/* What the current thread runs, if it is one of ours. */
static _Thread_local struct loop *current_loop;
static _Thread_local unsigned current_generation;

static int loop_spawn(struct loop *loop);

void loops_access_begin(void)
{
    struct loop *loop = current_loop;

    if (!loop || atomic_load(&loop->generation) != current_generation)
        return;
    unsigned long n = atomic_load(&loop->accesses);

    atomic_store(&loop->accesses, n + 1 + n % 2);
    if (!atomic_load(&loop->pool->armed)) {
        pthread_mutex_lock(&loop->pool->lock);
        atomic_store(&loop->pool->armed, true);
        pthread_cond_broadcast(&loop->pool->wake);
        pthread_mutex_unlock(&loop->pool->lock);
    }
}

void loops_access_end(void)
{
    struct loop *loop = current_loop;

    if (!loop || atomic_load(&loop->generation) != current_generation)
        return;
    unsigned long n = atomic_load(&loop->accesses);

    atomic_store(&loop->accesses, n + n % 2);
}

void loops_stay(void)
{
    current_loop = NULL;     /* nobody counts its accesses */
}

void loops_close(int fd)
{
    loops_access_begin();
    close(fd);
    loops_access_end();
}

/* Whichever generation is current goes on, the other one exits after its step. Two steps at once
 * are safe, because the machine's lock orders them. With the pool's lock. */
static void new_generation(struct loop *loop)
{
    if (loop->once)
        return;
    atomic_fetch_add(&loop->generation, 1);
    atomic_store(&loop->accesses, 0);
    if (loop_spawn(loop))
        atomic_fetch_sub(&loop->generation, 1);
}

void loops_hand_over(void)
{
    struct loop *loop = current_loop;

    if (!loop)
        return;
    pthread_mutex_lock(&loop->pool->lock);
    if (atomic_load(&loop->generation) == current_generation && !loop->ended)
        new_generation(loop);
    pthread_mutex_unlock(&loop->pool->lock);
}

/* Gives a loop that has been in one access since the last look a new thread. True: it did. */
static bool guard_look(struct loop *loop)
{
    unsigned long now = atomic_load(&loop->accesses);
    bool moved = now != loop->seen;

    if (!moved && now % 2 && !loop->ended) {
        new_generation(loop); /* the stuck thread may return this very moment */
        now = atomic_load(&loop->accesses);
        moved = true;
    }
    loop->seen = now;
    return moved || now % 2;
}

static void *guard_main(void *arg)
{
    struct loops *pool = arg;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        struct timespec until;
        bool moved = false;

        if (!atomic_load(&pool->armed)) {
            pthread_cond_wait(&pool->wake, &pool->lock);
            for (struct loop *loop = pool->loops; loop; loop = loop->next)
                loop->seen = atomic_load(&loop->accesses);
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += STUCK_NS;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
        while (!pool->stop && pthread_cond_timedwait(&pool->wake, &pool->lock, &until) != ETIMEDOUT)
            ;
        for (struct loop *loop = pool->loops; loop; loop = loop->next)
            moved |= guard_look(loop);
        if (!moved)
            atomic_store(&pool->armed, false);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the pool's lock, which is let go of meanwhile. */
static void loop_remove(struct loop *loop)
{
    struct loops *pool = loop->pool;

    DL_DELETE(pool->loops, loop);
    pthread_mutex_unlock(&pool->lock);
    if (loop->when_ended)
        loop->when_ended(loop->ctx);
    free(loop);
    pthread_mutex_lock(&pool->lock);
}

struct spawn {
    struct loop *loop;
    unsigned generation;
};

static void *loop_main(void *arg)
{
    struct spawn spawn = *(struct spawn *)arg;
    struct loop *loop = spawn.loop;
    struct loops *pool = loop->pool;
    bool go_on = true;

    free(arg);
    current_loop = loop;
    current_generation = spawn.generation;
    while (go_on && atomic_load(&loop->generation) == spawn.generation)
        go_on = loop->step(loop->ctx) && !loop->once;
    pthread_mutex_lock(&pool->lock);
    if (!go_on)
        loop->ended = true;
    if (!--loop->threads && loop->ended)
        loop_remove(loop);
    pool->threads--;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Called with the pool's lock. */
static int loop_spawn(struct loop *loop)
{
    struct spawn *spawn = malloc(sizeof *spawn);
    sigset_t all, old;
    pthread_t thread;
    int rc;

    if (!spawn)
        return -ENOMEM;
    *spawn = (struct spawn){ loop, atomic_load(&loop->generation) };
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread, NULL, loop_main, spawn);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) {
        free(spawn);
        return -rc;
    }
    pthread_detach(thread);
    loop->threads++;
    loop->pool->threads++;
    return 0;
}

int loops_create(struct loops **out)
{
    struct loops *pool = calloc(1, sizeof *pool);
    pthread_condattr_t attr;
    sigset_t all, old;
    int rc;

    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->wake, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&pool->guard, NULL, guard_main, pool);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) {
        free(pool);
        return -rc;
    }
    *out = pool;
    return 0;
}

static int start(struct loops *pool, const struct loop *what)
{
    struct loop *loop = malloc(sizeof *loop);
    int rc;

    if (!loop)
        return -ENOMEM;
    *loop = *what;
    pthread_mutex_lock(&pool->lock);
    rc = loop_spawn(loop);
    if (!rc) {
        DL_PREPEND(pool->loops, loop);
    }
    pthread_mutex_unlock(&pool->lock);
    if (rc)
        free(loop);
    return rc;
}

int loops_start(struct loops *pool, loop_step *step, loop_ended *ended, void *ctx)
{
    return start(pool, &(struct loop){ .pool = pool, .step = step, .when_ended = ended,
                                       .ctx = ctx });
}

int loops_start_once(struct loops *pool, loop_step *step, void *ctx)
{
    return start(pool, &(struct loop){ .pool = pool, .step = step, .ctx = ctx, .once = true });
}

/*
 * Whether a thread is only slow to come to its end: not in a client's memory, which may hold it for
 * ever. With the pool's lock.
 */
static bool some_loop_goes_on(const struct loops *pool)
{
    for (const struct loop *loop = pool->loops; loop; loop = loop->next)
        if (!loop->ended && atomic_load(&loop->accesses) % 2 == 0)
            return true;
    return false;
}

bool loops_join(struct loops *pool)
{
    struct timespec until;
    unsigned waits = 0;

    if (!pool)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&pool->lock);
    while (pool->threads) {
        if (pthread_cond_timedwait(&pool->wake, &pool->lock, &until) != ETIMEDOUT)
            continue;
        if (++waits == JOIN_SECONDS || !some_loop_goes_on(pool))
            break;
        until.tv_sec++;
    }
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    bool stuck = pool->threads != 0;
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->guard, NULL);
    if (stuck)
        return false; /* a client's memory still holds a thread: it may wake into the pool, so leave
                         it */
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    return true;
}
