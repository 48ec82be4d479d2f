/* SPDX-License-Identifier: MIT */
/* `gntsim record`, `replay-device` and `compare`: what programs do with a real /dev/xen. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/kernel.h>
#include <gntsim/socket.h>

#include "cli.h"
#include "options.h"
#include "record.h"

#define DEFAULT_FILE "gntsim.record"

static int help(const char *verb, const char *const lines[])
{
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, verb))
            printf("Usage: gntsim %s %s\n\n%s.\n\nOptions:\n", verb, command->arguments, command->summary);
    for (; *lines; lines++)
        puts(*lines);
    puts("  --help           this text");
    return 0;
}

struct arguments {
    const char *file, *profile;
    int domain;
    char **rest;
    int nr_rest;
};

/* 0: go on; anything else: the exit status + 1. */
static int parse(struct arguments *a, const char *verb, const char *letters, const char *const lines[], int argc, char **argv)
{
    static const struct option all[] = {
        { "domain", required_argument, NULL, 'd' }, { "output", required_argument, NULL, 'o' },
        { "profile", required_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    int c;

    *a = (struct arguments){ .domain = -1 };
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, "+:ho:", all, NULL)) != -1) {
        if (c == 'h')
            return help(verb, lines) + 1;
        if (c == ':')
            return usage_error("%s needs a value; see gntsim %s --help", argv[optind - 1], verb) + 1;
        if (c == '?' || !strchr(letters, c))
            return usage_error("unknown option %s; see gntsim %s --help", argv[optind - 1], verb) + 1;
        if (c == 'o')
            a->file = optarg;
        else if (c == 'p')
            a->profile = optarg;
        else if ((a->domain = parse_domid(optarg)) < 0)
            return usage_error("--domain %s: give a number from 0 to 32751", optarg) + 1;
    }
    a->rest = argv + optind;
    a->nr_rest = argc - optind;
    return 0;
}

/* What is recorded and played are calls on device files, also where a program's library would reach the devices in another way. */
static void use_device_files(void)
{
    unsetenv(SOCK_ENV);
    unsetenv(SOCK_FILES_ENV);
}

int cmd_record(int argc, char **argv)
{
    static const char *const lines[] = { "  -o, --output FILE  the record (default " DEFAULT_FILE ")",
                                         "  --domain N       the domain that this is (default: 0 in a control domain, else not noted)", NULL };
    struct arguments a;
    int status = parse(&a, "record", "od", lines, argc, argv);
    const char *path;
    FILE *out;

    if (status)
        return status - 1;
    if (!a.nr_rest)
        return usage_error("record needs a command: gntsim record -- CMD...");
    path = a.file ? a.file : DEFAULT_FILE;
    out = fopen(path, "we");
    if (!out)
        return fail("%s: %s", path, strerror(errno));
    use_device_files();
    status = record_run(out, a.rest, a.domain);
    if (fclose(out) && status >= 0)
        status = -errno;
    if (status == -EPERM)
        return fail("record traces the command with ptrace, which is not allowed here: is it being traced already, or in a container without it?");
    return status < 0 ? fail("record: %s", strerror(-status)) : status;
}

/* Loads a record; otherwise a message, and the exit status. */
static int load(struct record *record, const char *path)
{
    char error[300];
    int rc = record_load(record, path, error, sizeof error);

    if (!rc)
        return 0;
    return rc == -EINVAL ? usage_error("%s", error) : fail("%s", error);
}

int cmd_replay_device(int argc, char **argv)
{
    static const char *const lines[] = { NULL };
    struct arguments a;
    int status = parse(&a, "replay-device", "", lines, argc, argv);
    struct record record;

    if (status)
        return status - 1;
    if (a.nr_rest >= 2 && !strcmp(a.rest[1], "--")) {
        a.rest[1] = a.rest[0];
        a.rest++;
        a.nr_rest--;
    }
    if (a.nr_rest < 2)
        return usage_error("replay-device needs a record and a command: gntsim replay-device FILE -- CMD...");
    status = load(&record, a.rest[0]);
    if (status)
        return status;
    use_device_files();
    status = replay_run(&record, a.rest[0], a.rest + 1);
    record_free(&record);
    if (status == -EPROTO)
        return 1;
    if (status == -EPERM)
        return fail("replay-device traces the command with ptrace, which is not allowed here");
    return status < 0 ? fail("replay-device: %s", strerror(-status)) : status;
}

int cmd_compare(int argc, char **argv)
{
    static const char *const lines[] = { "  --profile NAME   guest kernel to compare with: pv (default), pvh, legacy",
                                         "  --domain N       the domain of the record, if the record does not say", NULL };
    const struct kernel_profile *profile = &kernel_profile_pv;
    struct arguments a;
    int status = parse(&a, "compare", "dp", lines, argc, argv), domain;
    struct record record;
    size_t compared = 0;
    long differences;

    if (status)
        return status - 1;
    if (a.nr_rest != 1)
        return usage_error("compare needs one record: gntsim compare FILE");
    if (a.profile && !(profile = kernel_profile_find(a.profile)))
        return usage_error("--profile %s: there are pv, pvh and legacy", a.profile);
    status = load(&record, a.rest[0]);
    if (status)
        return status;
    domain = a.domain >= 0 ? a.domain : (int)record_number(record.header, "domain", -1);
    if (domain < 0 || domain >= (int)DOMID_FIRST_RESERVED) {
        record_free(&record);
        return usage_error("%s does not say which domain it is of: give --domain N", a.rest[0]);
    }
    differences = compare_run(&record, a.rest[0], profile, domain, stdout, &compared);
    record_free(&record);
    if (differences < 0)
        return fail("compare: %s", strerror((int)-differences));
    printf("%zu answers compared, %ld different\n", compared, differences);
    return differences ? 1 : 0;
}
