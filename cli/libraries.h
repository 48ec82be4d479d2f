/* SPDX-License-Identifier: MIT */
/*
 * gntsim's own libxengnttab and libxenevtchn, for programs that reach their devices over a socket.
 */
#ifndef GNTSIM_CLI_LIBRARIES_H
#define GNTSIM_CLI_LIBRARIES_H

#include <stdbool.h>

#include "parts.h"

/* Keeps the libraries that this program has in itself in a directory for the machine's programs. */
extern const struct machine_part libraries_part;
/* That directory; NULL: there are none in this program. */
const char *libraries_dir(const struct machine *m);

/*
 * Puts the directory that has them at the head of LD_LIBRARY_PATH. brought: the machine's own
 * directory of them, or NULL. 0, or 1 after a message: they are not where they should be.
 */
int libraries_prepend(const char *brought);
/*
 * Puts it at the end, behind what the user asks for: the programs need not use them. False: they
 * cannot be offered.
 */
bool libraries_offer(const char *brought);
/* NULL, or why there are none. */
const char *libraries_problem(void);
/* Warns on stderr if the program, found as execvp finds it, cannot use them: it is statically
 * linked, it names the devices itself, or the loader would not let it. */
void libraries_look_at(const char *program);
/* Whether the program, found as execvp finds it, is a 32-bit one: neither way serves those. */
bool libraries_are_of_another_size(const char *program);

#endif
