/* SPDX-License-Identifier: MIT */
/* Ends a program of the tests, with a message, if something that it needs is not so. */
#ifndef GNTSIM_TESTS_SYSTEM_MUST_H
#define GNTSIM_TESTS_SYSTEM_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(condition)                                                         \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "%s:%d: %s: %m\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

#endif
