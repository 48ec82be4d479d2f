/* SPDX-License-Identifier: MIT */
/* Becomes a program of the Python package. */
#ifndef GNTSIM_CLI_PYTHON_H
#define GNTSIM_CLI_PYTHON_H

/*
 * Executes the module of the package with nr_args arguments, in place of this process. verb: of the
 * command, for messages. Returns only on failure: the exit status, after a message.
 */
int python_become(const char *verb, const char *module, char *const *args, int nr_args);

#endif
