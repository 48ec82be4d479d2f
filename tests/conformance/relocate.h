/* SPDX-License-Identifier: MIT */
/*
 * Put in front of the recorded two-domain programs with -include, which stay as they were recorded:
 * they expect the file system of the machine that they were written for, /xprobes and /tmp/xd.out.
 * Both are looked for in the directory that CONFORMANCE_ROOT names instead, different for each
 * domain.
 */
#ifndef GNTSIM_TESTS_CONFORMANCE_RELOCATE_H
#define GNTSIM_TESTS_CONFORMANCE_RELOCATE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline const char *relocated(const char *path)
{
    static char moved[4][1000];
    static int turn;
    const char *root = getenv("CONFORMANCE_ROOT");
    char *p = moved[turn++ % 4];

    if (!root || (strncmp(path, "/xprobes/", 9) && strcmp(path, "/tmp/xd.out")))
        return path;
    snprintf(p, sizeof moved[0], "%s%s", root, path);
    return p;
}

#define open(path, ...) open(relocated(path), __VA_ARGS__)
#define unlink(path) unlink(relocated(path))
#define freopen(path, ...) freopen(relocated(path), __VA_ARGS__)
#define execl(path, ...) execl(relocated(path), __VA_ARGS__)

#endif
