/* SPDX-License-Identifier: MIT */
/*
 * Numbers for calling processes: 1, 2 … in the order in which the machine first sees them. Unlike
 * process ids, these numbers do not change from run to run.
 */
#ifndef GNTSIM_MACHINE_PROCESS_H
#define GNTSIM_MACHINE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct machine;
struct processes;

/* The number of the thread's process; 0: there is no such thread. Needs the machine's lock. */
unsigned process_number(struct machine *m, pid_t tid);
/* Its id, 0 for none. */
pid_t process_id(const struct machine *m, unsigned number);
/*
 * The first time for each number, the name of its program in room (size bytes, at least 17).
 * Otherwise, and if it has none any more: false.
 */
bool process_first_name(struct machine *m, unsigned number, char *room, size_t size);
/* A thread opened a device: its id may be another process's than it was. */
void process_look_again(struct machine *m, pid_t tid);
void processes_destroy(struct machine *m);

#endif
