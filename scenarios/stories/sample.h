/* SPDX-License-Identifier: MIT */
/*
 * What the samples share: ordinary programs for a Xen guest, which know nothing of any simulator.
 * What xenstore would carry between real domains comes as lines on standard input; what a program
 * has seen goes to standard output.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096u
#define MAX_REFS 64u

static inline void say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* The next line's first word; the numbers behind it in args. NULL: the end of input. */
static inline char *next_command(char line[], size_t size, unsigned long args[], unsigned max,
                                 unsigned *nr)
{
    char *word, *save;

    *nr = 0;
    if (!fgets(line, (int)size, stdin))
        return NULL;
    word = strtok_r(line, " \n", &save);
    for (char *arg; *nr < max && (arg = strtok_r(NULL, " \n", &save));)
        args[(*nr)++] = strtoul(arg, NULL, 0);
    return word ? word : line;
}

#endif
