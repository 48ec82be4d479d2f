/* SPDX-License-Identifier: MIT */
/*
 * The machine's time, in nanoseconds since its start. A real clock follows the host's; one
 * operation happens at one time. A virtual clock stands still until somebody moves it. An automatic
 * one also jumps to the next deadline whenever a call in a kernel waits for one.
 */
#ifndef GNTSIM_MACHINE_CLOCK_H
#define GNTSIM_MACHINE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct domain;
struct machine;

struct clock {
    bool is_virtual, automatic;
    bool was_real;               /* moved by a replay, after a real one */
    bool running;                /* timers are being run by clock_advance */
    uint64_t now;
    uint64_t start;              /* of a real one, on CLOCK_MONOTONIC */
};

#define CLOCK_NEVER UINT64_MAX

void clock_start(struct clock *clock, bool is_virtual);

/* All of these need the machine's lock. */

/* An operation begins: a real clock is looked at. */
void clock_sample(struct machine *m);
/* The earliest deadline of any kernel, CLOCK_NEVER. */
uint64_t clock_next(const struct machine *m);
/* Runs the timers of one kernel that are due now. */
void clock_run_kernel(struct machine *m, struct domain *d);
/* Runs what is due now, in order of deadlines. */
void clock_run(struct machine *m);
/* Moves a virtual clock to the time, running what is due on the way, each at its deadline. */
void clock_advance(struct machine *m, uint64_t to);
/* In automatic mode: jumps while calls wait for time. */
void clock_jump(struct machine *m);
/* Arms the timer of the host that makes the main loop call clock_run, or clock_idle. */
void clock_arm(struct machine *m);
/* The timer of the host has fired. */
void clock_fired(struct machine *m);

#endif
