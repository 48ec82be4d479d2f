/* SPDX-License-Identifier: MIT */
/* The gntsim command: one file per verb, cmd_<verb>.c. */
#ifndef GNTSIM_CLI_CLI_H
#define GNTSIM_CLI_CLI_H

#define EXIT_USAGE 2
#define EXIT_CANNOT_RUN 126      /* as the shell: found, but cannot be executed */
#define EXIT_NOT_FOUND 127

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
int cmd_replay(int argc, char **argv);
int cmd_trace(int argc, char **argv);

/* Messages on stderr, with the program's name. Both return the exit status for their kind. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
