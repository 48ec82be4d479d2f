/* SPDX-License-Identifier: MIT */
/* What is done with the library, once for each library and once for each failure. */
#ifndef GNTSIM_TESTS_ABI_SCENARIOS_H
#define GNTSIM_TESTS_ABI_SCENARIOS_H

#include <stdbool.h>

struct scenario {
    const char *name;
    void (*run)(const void *arg);
    const void *arg;
    bool no_faults;     /* run once, without failing its calls one by one */
};

extern const struct scenario scenarios[];
extern const int scenario_count;

#endif
