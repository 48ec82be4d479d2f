/* SPDX-License-Identifier: MIT */
/* Counts connections that ended, for those who wait until ended programs' are over. */
#ifndef GNTSIM_SOCK_DEV_ENDED_H
#define GNTSIM_SOCK_DEV_ENDED_H

#include <pthread.h>
#include <stdint.h>

struct machine;

struct ended {
    pthread_mutex_t lock;        /* of the next two; taken with the machine's lock, too */
    pthread_cond_t changed;
    uint64_t nr;                 /* ever */
};

void ended_init(struct ended *ended);
void ended_destroy(struct ended *ended);
void ended_count(struct ended *ended);
/* struct machine_part's see_closed. */
void ended_see(struct machine *m);

#endif
