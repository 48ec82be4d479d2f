/* SPDX-License-Identifier: MIT */
/* The latest calls that were refused, and why. All calls need the machine's lock. */
#ifndef GNTSIM_CHECKS_REFUSED_I_H
#define GNTSIM_CHECKS_REFUSED_I_H

#include "checks_i.h"

#define REFUSALS 64u  /* that are remembered */
#define MOST_BEGUN 8u /* calls of different threads that run at once */

struct refusal {
    unsigned process; /* 0: this place is free */
    domid_t domid;
    const char *device, *call;
    int error; /* errno; 0: only segments of it failed */
    struct event when;
    char *cause; /* a sentence without a full stop */
};

struct refused {
    struct refusal latest[REFUSALS];
    uint64_t nr; /* ever */
    /* Of the call that is under way, the first element that failed; domain NULL: none. */
    const struct domain *domain;
    uint64_t call;
    int16_t status;
    /* Where the latest calls were made: the machine forgets it when it touches their memory. */
    struct begun {
        const struct domain *domain;
        uint64_t call;
        const struct witness *where;
    } begun[MOST_BEGUN];
    unsigned nr_begun;
    char cause[256];
};

/* struct machine_part's. */
void refused_hypercall(struct machine *m, const struct hv_point *point, long result);
void refused_begins(struct checks *checks, const struct domain *d,
                    const struct kernel_point *point);
void refused_over(struct checks *checks, const struct domain *d, const struct kernel_point *point,
                  long result);
void refused_drop(struct checks *checks, const struct domain *domain);
void refused_free(struct checks *checks);

#endif
