/* SPDX-License-Identifier: MIT */
/* The command line: finds the verb, and prints help and the version. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void help(FILE *out)
{
    fputs("Usage: gntsim VERB [OPTIONS] ...\n\nThe Xen grant-table machine that runs without "
          "Xen.\n\nVerbs:\n",
          out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-13s  %s\n", command->name, command->summary);
    fputs("\n`gntsim VERB --help` explains a verb; the manual page is gntsim(1).\n", out);
}

static int unknown_verb(const char *word)
{
    fprintf(stderr, "gntsim: unknown verb '%s': use ", word);
    for (const struct command *command = commands; command->name; command++)
        fprintf(stderr, "%s%s", command->name,
                !command[1].name  ? ""
                : command[2].name ? ", "
                                  : " or ");
    fputs("; see gntsim --help\n", stderr);
    return EXIT_USAGE;
}

/* What could not be written was not done, and whoever reads it should know. */
static int written(int status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    return status ? status : failure("cannot write the results: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        if (argc == 3 && !strcmp(argv[2], "--json"))
            return written(describe());
        help(stdout);
        return written(0);
    }
    if (!strcmp(argv[1], "--version")) {
        puts("gntsim " GNTSIM_VERSION);
        return written(0);
    }
    command = command_find(argv[1]);
    return command ? written(command->run(argc - 1, argv + 1)) : unknown_verb(argv[1]);
}
