/* SPDX-License-Identifier: MIT */
/* `gntsim record`, `replay-device` and `compare`: what programs do with a real /dev/xen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/kernel.h>
#include <gntsim/socket.h>

#include "cli.h"
#include "options.h"
#include "record.h"

/* A record is of calls on device files, so the socket way must not be used instead. */
static void use_device_files(void)
{
    unsetenv(SOCK_ENV);
    unsetenv(SOCK_FILES_ENV);
}

int cmd_record(int argc, char **argv)
{
    struct options options;
    const char *path;
    int status;
    FILE *out;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (!options.nr_rest)
        return usage_error("record needs a command: gntsim record -- CMD...");
    path = options.output ? options.output : DEFAULT_OUTPUT;
    out = fopen(path, "we");
    if (!out)
        return failure("%s: %s", path, strerror(errno));
    use_device_files();
    status = record_run(out, options.rest, options.domain);
    if (fclose(out) && status >= 0)
        status = -errno;
    if (status == -EPERM)
        return failure("record traces the command with ptrace, which is not allowed here: is it "
                       "being traced already, or in a container without it?");
    return status < 0 ? failure("record: %s", strerror(-status)) : status;
}

/* Loads a record; otherwise a message, and the exit status. */
static int load(struct record *record, const char *path)
{
    char error[300];
    int rc = record_load(record, path, error, sizeof error);

    if (!rc)
        return 0;
    return rc == -EINVAL ? usage_error("%s", error) : failure("%s", error);
}

int cmd_replay_device(int argc, char **argv)
{
    struct options options;
    struct record record;
    char **rest;
    int status;

    if (!options_parse(&options, argc, argv))
        return options.status;
    rest = options.rest;
    if (options.nr_rest >= 2 && !strcmp(rest[1], "--")) {
        rest[1] = rest[0];
        rest++;
        options.nr_rest--;
    }
    if (options.nr_rest < 2)
        return usage_error(
            "replay-device needs a record and a command: gntsim replay-device FILE -- CMD...");
    status = load(&record, rest[0]);
    if (status)
        return status;
    use_device_files();
    status = replay_run(&record, rest[0], rest + 1);
    record_free(&record);
    if (status == -EPROTO)
        return 1;
    if (status == -EPERM)
        return failure("replay-device traces the command with ptrace, which is not allowed here");
    return status < 0 ? failure("replay-device: %s", strerror(-status)) : status;
}

int cmd_compare(int argc, char **argv)
{
    const struct kernel_profile *profile = &kernel_profile_pv;
    struct options options;
    int status, domain;
    struct record record;
    size_t compared = 0;
    long differences;

    if (!options_parse(&options, argc, argv))
        return options.status;
    if (options.nr_rest != 1)
        return usage_error("compare needs one record: gntsim compare FILE");
    if (options.profile)
        profile = kernel_profile_find(options.profile);
    status = load(&record, options.rest[0]);
    if (status)
        return status;
    domain = options.domain >= 0 ? options.domain : (int)record_number(record.header, "domain", -1);
    if (domain < 0 || domain >= (int)DOMID_FIRST_RESERVED) {
        record_free(&record);
        return usage_error("%s does not say which domain it is of: give --domain N",
                           options.rest[0]);
    }
    differences = compare_run(&record, options.rest[0], profile, domain, stdout, &compared);
    record_free(&record);
    if (differences < 0)
        return failure("compare: %s", strerror((int)-differences));
    printf("%zu answers compared, %ld different\n", compared, differences);
    return differences ? 1 : 0;
}
