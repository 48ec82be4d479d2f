/* SPDX-License-Identifier: MIT */
/* What every measuring program needs: a clock, a median, and an end when something fails. */
#ifndef GNTSIM_BENCH_MEASURE_H
#define GNTSIM_BENCH_MEASURE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MUST(condition) ((condition) ? (void)0 : measure_must(__FILE__, __LINE__, #condition))

static inline _Noreturn void measure_must(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not so: %s (%m)\n", file, line, what);
    exit(1);
}

static inline double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

#endif
