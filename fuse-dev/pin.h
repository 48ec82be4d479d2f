/* SPDX-License-Identifier: MIT */
/*
 * Keeps a client's thread and the thread that serves it on one processor for a moment. A switch
 * between them is a direct hand-over there. Across processors it wakes an idle one, several times
 * slower in a virtual machine.
 */
#ifndef GNTSIM_FUSE_DEV_PIN_H
#define GNTSIM_FUSE_DEV_PIN_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct pin {
    bool theirs_set, ours_set;
    cpu_set_t theirs, ours;
};

/* Until pin_end: thread tid on our processor, and ours there. */
void pin_begin(struct pin *pin, pid_t tid);
void pin_end(struct pin *pin, pid_t tid, bool gone);

/*
 * For a thread of ours that waits for requests of anybody: around the reply to tid. While one client's thread makes call after
 * call, both stay on the processor cpu, where a third one may be (PIN_HERE: where we are); with several, the scheduler decides.
 */
#define PIN_HERE (-1)
#define PIN_NOWHERE (-2)
void pin_reply_begin(struct pin *pin, pid_t tid, int cpu);
void pin_reply_end(struct pin *pin, pid_t tid);
/* Instead of a reply to tid, which another thread of ours makes: the processor for that. */
int pin_pass(pid_t tid);
/* Where we stay; PIN_NOWHERE: anywhere. */
int pin_place(void);

#endif
