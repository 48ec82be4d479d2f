/* SPDX-License-Identifier: MIT */
/* The machine's main loop: timers, ended mappings, the order to stop, and watched descriptors. */
#ifndef GNTSIM_MACHINE_MAIN_LOOP_H
#define GNTSIM_MACHINE_MAIN_LOOP_H

struct machine;

/* Something the main loop waits for: ready is called in it, without the lock, when fd has events
 * (EPOLLIN …). Armed for one event at a time: machine_rearm waits for the next. The watch belongs
 * to the caller and lives until machine_unwatch. */
struct watch {
    int fd;
    void (*ready)(void *ctx, unsigned events);
    void *ctx;
};
int machine_watch(struct machine *m, struct watch *watch, unsigned events);
void machine_rearm(struct machine *m, struct watch *watch, unsigned events);
void machine_unwatch(struct machine *m, struct watch *watch);

/* Makes what the loop waits with. Returns 0 or a negative errno, as the next. */
int main_loop_create(struct machine *m);
/* In the machine's loops, which are there. */
int main_loop_start(struct machine *m);
void main_loop_destroy(struct machine *m);

/* m->stop_fd is readable from then on. */
void machine_request_stop(struct machine *m);

#endif
