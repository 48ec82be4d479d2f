/* SPDX-License-Identifier: MIT */
/*
 * Records what programs do with a real Xen's /dev/xen, replays it, and compares it with the
 * simulator.
 */
#ifndef GNTSIM_RECORD_RECORD_H
#define GNTSIM_RECORD_RECORD_H

#include <stdio.h>

#include "file.h"

/* Runs a command and writes what it does to a file. domain: the domain that this is, -1 if nobody
 * knows. The exit status of the command, negative errno if it cannot be traced or the file not be
 * written. */
int record_run(FILE *out, char **argv, int domain);

/* Runs a command with the recorded answers. Its exit status; -EPROTO, with a message on standard
 * error, if it did something else than was recorded; another negative errno. */
int replay_run(const struct record *record, const char *path, char **argv);

/* Gives the recorded calls to the kernel model of a profile and prints each answer that differs.
 * The number of differences, or negative errno. *compared: how many answers were looked at. */
struct kernel_profile;
long compare_run(const struct record *record, const char *path,
                 const struct kernel_profile *profile, int domain, FILE *out, size_t *compared);

#endif
