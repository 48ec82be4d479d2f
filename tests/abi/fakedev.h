/* SPDX-License-Identifier: MIT */
/*
 * The system calls that libxengnttab makes, answered by a fake gntdev and gntalloc in this process.
 *
 * fakedev.c defines open, close, ioctl, mmap, munmap, dup2, usleep, malloc and calloc in the test
 * program itself, so the dynamic linker binds the libraries' calls to them, with any sanitizer.
 * Between fake_arm() and fake_disarm() each call is numbered, written to the log, and may be made
 * to fail by the plan.
 */
#ifndef GNTSIM_TESTS_ABI_FAKEDEV_H
#define GNTSIM_TESTS_ABI_FAKEDEV_H

#include <stdbool.h>
#include <stddef.h>

enum fake_call { CALL_OPEN, CALL_CLOSE, CALL_IOCTL, CALL_MMAP, CALL_MUNMAP, CALL_MALLOC, CALL_SLEEP,
                 CALL_KINDS };

/* The nth armed call of a case (from 0) returns `result` instead of being carried out. */
struct fake_fault {
    int nth;
    int error;          /* errno, with result −1 (malloc: NULL) */
    int positive;       /* if not 0: the result of an ioctl, errno untouched */
};
#define FAKE_MAX_FAULTS 2
#define FAKE_MAX_CALLS 256

/* Starts a case: forgets devices, mappings and log of the one before. */
void fake_reset(const struct fake_fault *faults, int count);

/* The next `times` mmaps of a device fail with EAGAIN. */
void fake_eagain(int times);

void fake_arm(void);
void fake_disarm(void);

/* Numbered calls so far, and what kind the nth was. */
int fake_calls(void);
enum fake_call fake_kind(int nth);

/* Counts since fake_reset() of device mmaps and of sleeps, for cases too long to log call by
 * call. */
int fake_mmaps(void);
int fake_sleeps(void);
void fake_quiet(bool quiet);

/* Adds a line to the case's log. */
void fake_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *fake_log_text(void);

/* "M2+16" for an address inside the second mapping of the case, "NULL", or "?". */
const char *fake_address(const void *p);

/* "gntdev", "gntalloc", "none" for −1, "other". */
const char *fake_fd_name(int fd);

/* What the case left behind: descriptors, entries in the devices' tables, memory. One log line. */
void fake_log_leftovers(void);

#endif
