/* SPDX-License-Identifier: MIT */
/* The machine's time: real, virtual or automatic. */
#include "clock.h"

#include <sys/timerfd.h>
#include <time.h>

#include "machine.h"
#include "trace.h"

#define NSEC_PER_SEC 1000000000u
/* A wait that takes longer than this in one go is for nothing that comes. */
#define LONGEST_JUMP (3600ull * NSEC_PER_SEC)
/* Automatic: how long (in real time) nothing happens before time jumps to the next deadline. */
#define IDLE_NS 10000000

static uint64_t monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void clock_start(struct clock *clock, bool is_virtual)
{
    *clock = (struct clock){ .is_virtual = is_virtual, .start = monotonic() };
}

void clock_sample(struct machine *m)
{
    if (!m->clock.is_virtual)
        m->clock.now = monotonic() - m->clock.start;
}

/* Living kernels with timers, by deadline; those of one deadline by domain. */
static struct domain *next_domain(const struct machine *m)
{
    struct domain *next = NULL;

    for (struct domain *d = m->domains; d; d = d->next)
        if (!d->dead && kernel_next_timer(d->kernel) != CLOCK_NEVER &&
            (!next || kernel_next_timer(d->kernel) < kernel_next_timer(next->kernel)))
            next = d;
    return next;
}

uint64_t clock_next(const struct machine *m)
{
    const struct domain *d = next_domain(m);

    return d ? kernel_next_timer(d->kernel) : CLOCK_NEVER;
}

void clock_run_kernel(struct machine *m, struct domain *d)
{
    trace_timers(m, d->id);
    domain_enter(d);
    kernel_run_timers(d->kernel);
    domain_leave(d);
}

static void run_timers(struct machine *m, struct domain *d)
{
    clock_run_kernel(m, d);
    machine_settle(m);
}

void clock_run(struct machine *m)
{
    struct domain *d;

    m->timer_dirty = true;
    while ((d = next_domain(m)) && kernel_next_timer(d->kernel) <= m->clock.now)
        run_timers(m, d);
}

void clock_advance(struct machine *m, uint64_t to)
{
    struct domain *d;

    m->timer_dirty = true;
    while ((d = next_domain(m)) && kernel_next_timer(d->kernel) <= to) {
        if (kernel_next_timer(d->kernel) > m->clock.now)
            m->clock.now = kernel_next_timer(d->kernel);
        run_timers(m, d);
    }
    if (to > m->clock.now)
        m->clock.now = to;
}

static bool some_kernel(const struct machine *m, enum kernel_waiting at_least)
{
    for (struct domain *d = m->domains; d; d = d->next)
        if (!d->dead && kernel_waiting(d->kernel) >= at_least)
            return true;
    return false;
}

void clock_jump(struct machine *m)
{
    uint64_t from = m->clock.now;

    if (!m->clock.automatic || m->clock.running)
        return;
    m->clock.running = true;
    while (some_kernel(m, KERNEL_CALL_WAITS) && clock_next(m) != CLOCK_NEVER &&
           clock_next(m) <= from + LONGEST_JUMP)
        clock_advance(m, clock_next(m));
    m->clock.running = false;
}

void clock_arm(struct machine *m)
{
    struct itimerspec when = { .it_value.tv_nsec = 0 };
    uint64_t next = clock_next(m);

    m->timer_dirty = false;
    if (m->clock.is_virtual) {
        if (m->clock.automatic && some_kernel(m, KERNEL_SOMETHING_LATE))
            when.it_value.tv_nsec = IDLE_NS;
        timerfd_settime(m->timer_fd, 0, &when, NULL);
        return;
    }
    if (next != CLOCK_NEVER) {
        next += m->clock.start;
        when.it_value = (struct timespec){ (time_t)(next / NSEC_PER_SEC),
                                           (long)(next % NSEC_PER_SEC) };
    }
    timerfd_settime(m->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void clock_fired(struct machine *m)
{
    if (!m->clock.is_virtual)
        clock_run(m);
    else if (m->clock.automatic && some_kernel(m, KERNEL_SOMETHING_LATE) &&
             clock_next(m) != CLOCK_NEVER)
        clock_advance(m, clock_next(m));
    m->timer_dirty = true;
}
