/* SPDX-License-Identifier: MIT */
/* Suppressions: findings that a file says are known. */
#ifndef GNTSIM_CHECKS_SUPPRESS_I_H
#define GNTSIM_CHECKS_SUPPRESS_I_H

#include <stdbool.h>
#include <stddef.h>

struct finding;

/* A line of the file. */
struct suppression {
    int kind; /* enum kind, -1: any */
    char *pattern;
    unsigned line, used;
    struct suppression *prev, *next;
};

/* 0, or -1 with a message that names file, line and column. */
int suppressions_read(struct suppression **out, const char *path, char *error, size_t size);
/* The first that the finding matches, counted as used; NULL: none. */
const struct suppression *suppressions_find(struct suppression *list,
                                            const struct finding *finding);
void suppressions_free(struct suppression *list);

#endif
