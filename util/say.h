/* SPDX-License-Identifier: MIT */
/* Messages on standard error, and the exit statuses that go with them. */
#ifndef GNTSIM_UTIL_SAY_H
#define GNTSIM_UTIL_SAY_H

#define EXIT_USAGE 2
#define EXIT_CANNOT_RUN 126      /* as the shell: found, but cannot be executed */
#define EXIT_NOT_FOUND 127

/* Each returns the exit status for its kind. */
int failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
