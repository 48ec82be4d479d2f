/* SPDX-License-Identifier: MIT */
/* The gntsim command's verbs, each in a file cmd_<verb>.c. */
#ifndef GNTSIM_CLI_CLI_H
#define GNTSIM_CLI_CLI_H

#include <stdio.h>

#include "say.h"

/* One way to use a verb: the options that belong to it, and what stands behind them. */
struct usage {
    unsigned options, required; /* OPT_* of options.h */
    const char *rest;           /* NULL: there is no such way */
};

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
    const char *summary;
    struct usage usages[2];
    void (*more)(FILE *out); /* NULL, or prints what else belongs into its help, below a heading: */
    const char *heading;
};
extern const struct command commands[]; /* ends with a NULL name */
const struct command *command_find(const char *name);
/* The options of all its usages. */
unsigned command_options(const struct command *command);

/* Prints all that this program understands as JSON, of which documents are made. */
int describe(void);

int cmd_run(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_ctl(int argc, char **argv);
void ctl_list_verbs(FILE *out);
int cmd_scenario(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_replay_device(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_names(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_trace(int argc, char **argv);

#endif
