/* SPDX-License-Identifier: MIT */
/*
 * How the two programs of the demo are told what to do: a command per line on standard input, an
 * answer per line on standard output. Between real domains, xenstore would carry these few numbers.
 */
#ifndef DEMO_TALK_H
#define DEMO_TALK_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define MAX_PAGES 16u

/* The next command, without its newline; NULL at the end of input. */
static inline char *next_command(char *line, int size)
{
    if (!fgets(line, size, stdin))
        return NULL;
    line[strcspn(line, "\n")] = 0;
    return line;
}

static inline void say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

#endif
