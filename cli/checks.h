/* SPDX-License-Identifier: MIT */
/* What this host allows. */
#ifndef GNTSIM_CLI_CHECKS_H
#define GNTSIM_CLI_CHECKS_H

#include <stdbool.h>
#include <stddef.h>

/* What a check found. */
struct finding {
    bool ok;
    char detail[160];            /* what was seen */
    char remedy[240];            /* one line, if not ok */
};

struct check {
    const char *name;
    void (*check)(struct finding *finding);
    bool for_devices, for_socket;        /* which ways need it */
    const char *needs[2];                /* checks without which this one cannot be good */
};
extern const struct check checks[];      /* ends with a NULL name */
#define MAX_CHECKS 16u

/* Whether device files can be served here; if not, why. Takes some milliseconds. */
bool checks_device_way(char *why, size_t size);

#endif
