/* SPDX-License-Identifier: MIT */
/* The gntsim command's verbs, each in a file cmd_<verb>.c. */
#ifndef GNTSIM_CLI_CLI_H
#define GNTSIM_CLI_CLI_H

#include "say.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);      /* argv[0] is the verb; returns the exit status */
    const char *arguments;
    const char *summary;
};
extern const struct command commands[];     /* ends with a NULL name */

int cmd_run(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_ctl(int argc, char **argv);
int cmd_scenario(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay_device(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_names(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_trace(int argc, char **argv);

#endif
