/* SPDX-License-Identifier: MIT */
/* The command line: finds the verb, and prints help and the version. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

const struct command commands[] = {
    { "run", cmd_run, "[--domain N] [--profile NAME] [--way WAY] [--seed N] [--gnttab-max-frames N] [--gnttab-max-maptrack-frames N] [--clock MODE] [--fault FILE] [--trace FILE] [--verbose] -- CMD...",
      "Run a command as a process of a domain of a private machine, for as long as it lives" },
    { "serve", cmd_serve, "--dir DIR [--profile NAME] [--way WAY] [--seed N] [--gnttab-max-frames N] [--gnttab-max-maptrack-frames N] [--clock MODE] [--fault FILE] [--trace FILE] [--owner PID] [--verbose]", "Run a machine that stays, until interrupted or told to shut down" },
    { "exec", cmd_exec, "--dir DIR [--domain N] [--profile NAME] [--way WAY] -- CMD...",
      "Run a command as a process of a domain (created if new) of the machine at DIR" },
    { "ctl", cmd_ctl, "--dir DIR [--json] VERB...", "Look into and steer the machine at DIR" },
    { "scenario", cmd_scenario, "run|check [OPTIONS] FILE...", "Play scenario files and say whether all was as they say" },
    { "record", cmd_record, "[-o FILE] [--domain N] -- CMD...",
      "Run a command on a real Xen and note all that it does with /dev/xen, with every answer" },
    { "replay-device", cmd_replay_device, "FILE -- CMD...", "Run a command anywhere, with the answers of a record instead of /dev/xen" },
    { "compare", cmd_compare, "[--profile NAME] [--domain N] FILE", "Say where the simulator would have answered otherwise than a record" },
    { "trace", cmd_trace, "--dir DIR [--detail] [--chrome] | --export FILE TRACE", "Show what happens on the machine at DIR, or convert a recorded trace for Chrome and Perfetto" },
    { "replay", cmd_replay, "TRACE", "Do again what a trace of a whole machine tells, and say where the model differs now" },
    { "names", cmd_names, "[--json]",
      "Print the names that fault rules, traces and scenario files may use" },
    { "doctor", cmd_doctor, "[--json]", "Say what this host allows, which way will be used, and what is missing" },
    { 0 },
};

static void help(FILE *out)
{
    fputs("Usage: gntsim VERB [OPTIONS] ...\n\nThe Xen grant-table machine that runs without Xen.\n\nVerbs:\n", out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-13s  %s\n", command->name, command->summary);
    fputs("\n`gntsim VERB --help` explains a verb; the manual page is gntsim(1).\n", out);
}

static int unknown_verb(const char *word)
{
    fprintf(stderr, "gntsim: unknown verb '%s': use ", word);
    for (const struct command *command = commands; command->name; command++)
        fprintf(stderr, "%s%s", command->name, !command[1].name ? "" : command[2].name ? ", " : " or ");
    fputs("; see gntsim --help\n", stderr);
    return EXIT_USAGE;
}

/* What could not be written was not done, and whoever reads it should know. */
static int written(int status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    return status ? status : fail("cannot write the results: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(stdout);
        return written(0);
    }
    if (!strcmp(argv[1], "--version")) {
        puts("gntsim " GNTSIM_VERSION);
        return written(0);
    }
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, argv[1]))
            return written(command->run(argc - 1, argv + 1));
    return unknown_verb(argv[1]);
}
