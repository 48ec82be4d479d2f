/* SPDX-License-Identifier: MIT */
/* Prints messages with the program's name on standard error. */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

static void message(const char *format, va_list ap)
{
    fputs("gntsim: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
}

int failure(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    message(format, ap);
    va_end(ap);
    return 1;
}

int usage_error(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    message(format, ap);
    va_end(ap);
    return EXIT_USAGE;
}
