/* SPDX-License-Identifier: MIT */
/*
 * gntsim's own libxengnttab and libxenevtchn, for programs that reach their devices over a socket.
 */
#ifndef GNTSIM_CLI_LIBRARIES_H
#define GNTSIM_CLI_LIBRARIES_H

#include <stdbool.h>

/* Puts their directory at the head of LD_LIBRARY_PATH. 1 after a message: they are not there. */
int libraries_prepend(void);
/* Puts it at the end, so that the user's go first. False: they cannot be offered. */
bool libraries_offer(void);
/* NULL, or why there are none. */
const char *libraries_problem(void);
/* Warns on stderr if the program, found as execvp finds it, cannot use them: it is statically
 * linked, it names the devices itself, or the loader would not let it. */
void libraries_look_at(const char *program);

#endif
