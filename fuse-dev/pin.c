/* SPDX-License-Identifier: MIT */
/* Keeps a client's thread and ours on one processor for a moment. */
#include "pin.h"

#include <stdint.h>
#include <time.h>

#define STAY_NS (50 * 1000 * 1000)

/* Where the current thread waits for its client's next request. */
struct stay {
    pid_t tid;                   /* whom it served last */
    bool pinned;
    int cpu;
    uint64_t since;
    cpu_set_t before;
};
static _Thread_local struct stay stay;

/* The set of a processor alone; false if there is none. */
static bool only(cpu_set_t *one, int cpu)
{
    CPU_ZERO(one);
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return false;
    CPU_SET(cpu, one);
    return true;
}

static bool pin_them(struct pin *pin, pid_t tid, const cpu_set_t *one)
{
    cpu_set_t both;

    pin->theirs_set = false;
    if (sched_getaffinity(tid, sizeof pin->theirs, &pin->theirs))
        return false;
    CPU_AND(&both, &pin->theirs, one);
    if (!CPU_EQUAL(&both, one))
        return false;
    pin->theirs_set = !CPU_EQUAL(&pin->theirs, one) && !sched_setaffinity(tid, sizeof *one, one);
    return true;
}

void pin_begin(struct pin *pin, pid_t tid)
{
    cpu_set_t one;

    *pin = (struct pin){ 0 };
    if (!only(&one, sched_getcpu()) || sched_getaffinity(0, sizeof pin->ours, &pin->ours))
        return;
    pin->ours_set = !CPU_EQUAL(&pin->ours, &one) && !sched_setaffinity(0, sizeof one, &one);
    if (!pin_them(pin, tid, &one))
        pin_end(pin, tid, false);
}

void pin_end(struct pin *pin, pid_t tid, bool gone)
{
    if (pin->theirs_set && !gone)
        sched_setaffinity(tid, sizeof pin->theirs, &pin->theirs);
    if (pin->ours_set)
        sched_setaffinity(0, sizeof pin->ours, &pin->ours);
    pin->theirs_set = pin->ours_set = false;
}

static uint64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Now and then the scheduler chooses anew. */
static void move_on(void)
{
    if (stay.pinned)
        sched_setaffinity(0, sizeof stay.before, &stay.before);
    stay.pinned = false;
}

void pin_reply_begin(struct pin *pin, pid_t tid, int cpu)
{
    bool again = tid == stay.tid;
    cpu_set_t one;

    pin->theirs_set = pin->ours_set = false;
    stay.tid = tid;
    if (!again || cpu == PIN_NOWHERE || (stay.pinned && now() - stay.since > STAY_NS)) {
        move_on();
        return;
    }
    cpu = cpu == PIN_HERE ? sched_getcpu() : cpu;
    if (!only(&one, cpu) ||
        (!stay.pinned && sched_getaffinity(0, sizeof stay.before, &stay.before)))
        return;
    if (!stay.pinned || stay.cpu != cpu) {
        if (!stay.pinned)
            stay.since = now();
        stay.pinned = !sched_setaffinity(0, sizeof one, &one);
        stay.cpu = cpu;
    }
    if (stay.pinned && !pin_them(pin, tid, &one))
        move_on();
}

void pin_reply_end(struct pin *pin, pid_t tid)
{
    pin_end(pin, tid, false);
}

int pin_place(void)
{
    return stay.pinned ? stay.cpu : PIN_NOWHERE;
}

int pin_pass(pid_t tid)
{
    bool again = tid == stay.tid;

    stay.tid = tid;
    if (!again)
        move_on();
    return again ? sched_getcpu() : PIN_NOWHERE;
}
