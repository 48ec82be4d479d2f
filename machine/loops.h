/* SPDX-License-Identifier: MIT */
/*
 * The server's loops, and the guard that keeps them going. A client can make an access to its
 * memory block for ever (userfaultfd, a file system that hangs, our own files). The blocked thread
 * has released the machine's lock. After a moment the guard gives its loop to a fresh thread. The
 * blocked thread finishes its request when the access ends, and exits.
 */
#ifndef GNTSIM_MACHINE_LOOPS_H
#define GNTSIM_MACHINE_LOOPS_H

#include <stdbool.h>

struct loops;

/* Does one thing, waiting for it if need be; false ends the loop for good. What makes it return
 * false must last: after a change of threads two of them may be in it for a while, and each is
 * asked. */
typedef bool loop_step(void *ctx);
/* The loop has ended and no thread is in it any more. */
typedef void loop_ended(void *ctx);

int loops_create(struct loops **out);
/* Runs step in threads of the pool until it is false, then ended (may be NULL). 0 or -errno. */
int loops_start(struct loops *loops, loop_step *step, loop_ended *ended, void *ctx);
/* Runs step once, whatever it returns, in a thread that nobody takes over: it may free ctx. */
int loops_start_once(struct loops *loops, loop_step *step, void *ctx);
/* The calling thread's loop is not given to another one, whatever it waits for. */
void loops_stay(void);
/* Waits until every loop has ended, a second at most for stuck threads; frees. False: some stay. */
bool loops_join(struct loops *loops);

/* Around an access to a client's memory, by any thread. */
void loops_access_begin(void);
void loops_access_end(void);
/* The calling thread is about to wait: its loop goes on in a fresh thread at once. Not for a loop
 * whose steps need to be one after the other, as a connection's. */
void loops_hand_over(void);
/* Closes a client's descriptor, whose close may wait. Not with the machine's lock. */
void loops_close(int fd);

#endif
