/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/kernel.h>

#include "cli.h"
#include "machine.h"
#include "way_names.h"

static const struct option_row {
    unsigned flag;
    struct option option;
    const char *help;
} rows[] = {
    { OPT_DIR, { "dir", required_argument, NULL, OPT_DIR }, "  --dir DIR        the machine's directory" },
    { OPT_DOMAIN, { "domain", required_argument, NULL, OPT_DOMAIN }, "  --domain N       the domain, 0 to 32751 (default 0)" },
    { OPT_PROFILE, { "profile", required_argument, NULL, OPT_PROFILE }, "  --profile NAME   guest kernel of new domains: pv (default), pvh, legacy" },
    { OPT_JSON, { "json", no_argument, NULL, OPT_JSON }, "  --json           print JSON" },
    { OPT_OWNER, { "owner", required_argument, NULL, OPT_OWNER }, "  --owner PID      end when this process ends, in whatever way" },
    { OPT_SEED, { "seed", required_argument, NULL, OPT_SEED }, "  --seed N         of everything drawn by lot (default 20261121)" },
    { OPT_GRANT_FRAMES, { "gnttab-max-frames", required_argument, NULL, OPT_GRANT_FRAMES },
      "  --gnttab-max-frames N\n                   grant frames that a domain can be created with, as on Xen's command line (default 2048)" },
    { OPT_MAPTRACK_FRAMES, { "gnttab-max-maptrack-frames", required_argument, NULL, OPT_MAPTRACK_FRAMES },
      "  --gnttab-max-maptrack-frames N\n                   the same of maptrack frames, of 256 handles each (default 4096)" },
    { OPT_CLOCK, { "clock", required_argument, NULL, OPT_CLOCK }, "  --clock MODE     the machine's time: real (default), virtual, auto" },
    { OPT_FAULT, { "fault", required_argument, NULL, OPT_FAULT }, "  --fault FILE     fault rules, JSON; - is standard input" },
    { OPT_WAY, { "way", required_argument, NULL, OPT_WAY }, "  --way WAY        how programs reach the devices: auto (default: device files, and gntsim's libraries), device, socket" },
    { OPT_TRACE, { "trace", required_argument, NULL, OPT_TRACE }, "  --trace FILE     everything that happens goes there, a line of JSON each" },
    { OPT_DETAIL, { "detail", no_argument, NULL, OPT_DETAIL }, "  --detail         also beginnings of calls, memory of programs, timers, upcalls" },
    { OPT_CHROME, { "chrome", no_argument, NULL, OPT_CHROME }, "  --chrome         in the format of chrome://tracing and ui.perfetto.dev" },
    { OPT_EXPORT, { "export", required_argument, NULL, OPT_EXPORT }, "  --export FILE    write a recorded trace there in that format; - is standard output" },
    { OPT_VERBOSE, { "verbose", no_argument, NULL, OPT_VERBOSE }, "  --verbose        print what the guest kernels log" },
};
#define NR_ROWS (sizeof rows / sizeof *rows)

int parse_domid(const char *text)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value >= DOMID_FIRST_RESERVED)
        return -1;
    return (int)value;
}

/* A process id from text, -1 if it is none. */
static int parse_pid(const char *text)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    return errno || end == text || *end || value < 1 || value > INT_MAX ? -1 : (int)value;
}

/* As Xen's command line has them: 1 to MACHINE_MOST_FRAMES. */
static bool parse_frames(const char *text, unsigned *frames)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 0);
    *frames = (unsigned)value;
    return !errno && end != text && !*end && *text != '-' && value && value <= MACHINE_MOST_FRAMES;
}

static bool parse_seed(const char *text, unsigned long long *seed)
{
    char *end;

    errno = 0;
    *seed = strtoull(text, &end, 0);
    return !errno && *end == 0 && *text != '-' && *seed;
}

/* What the environment says, for all that is started. */
static int default_way(void)
{
    const char *text = getenv("GNTSIM_WAY");

    return text ? parse_way(text) : WAY_AUTO;
}

static void help(unsigned allowed, const char *verb)
{
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(command->name, verb))
            printf("Usage: gntsim %s %s\n\n%s.\n\nOptions:\n", verb, command->arguments, command->summary);
    for (unsigned i = 0; i < NR_ROWS; i++)
        if (allowed & rows[i].flag)
            puts(rows[i].help);
    puts("  --help           this text");
}

int options_parse(struct options *options, unsigned allowed, int argc, char **argv)
{
    struct option longs[NR_ROWS + 2] = { { "help", no_argument, NULL, 'h' } };
    unsigned n = 1;
    int c;

    *options = (struct options){ .domain = -1, .way = default_way() };
    if (allowed & OPT_WAY && options->way < 0)
        return usage_error("GNTSIM_WAY is '%s' in the environment: use auto, device or socket", getenv("GNTSIM_WAY")) + 1;
    for (unsigned i = 0; i < NR_ROWS; i++)
        if (allowed & rows[i].flag)
            longs[n++] = rows[i].option;
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, allowed & OPT_ANYWHERE ? ":h" : "+:h", longs, NULL)) != -1) {
        switch (c) {
        case 'h':
            help(allowed, argv[0]);
            return 1;
        case OPT_DIR:
            options->dir = optarg;
            break;
        case OPT_DOMAIN:
            options->domain = parse_domid(optarg);
            if (options->domain < 0)
                return usage_error("'%s' is not a domain id (0 to %u)", optarg, DOMID_FIRST_RESERVED - 1) + 1;
            break;
        case OPT_PROFILE:
            options->profile = optarg;
            if (!kernel_profile_find(optarg))
                return usage_error("unknown profile '%s': use pv, pvh or legacy", optarg) + 1;
            break;
        case OPT_JSON:
            options->json = true;
            break;
        case OPT_WAY:
            options->way = parse_way(optarg);
            if (options->way < 0)
                return usage_error("unknown way '%s': use auto, device or socket", optarg) + 1;
            break;
        case OPT_VERBOSE:
            options->verbose = true;
            break;
        case OPT_SEED:
            if (!parse_seed(optarg, &options->seed))
                return usage_error("'%s' is not a seed (1 to 2^64-1)", optarg) + 1;
            break;
        case OPT_GRANT_FRAMES:
        case OPT_MAPTRACK_FRAMES:
            if (!parse_frames(optarg, c == OPT_GRANT_FRAMES ? &options->grant_frames : &options->maptrack_frames))
                return usage_error("'%s' is not a number of frames (1 to %u)", optarg, MACHINE_MOST_FRAMES) + 1;
            break;
        case OPT_CLOCK:
            options->clock = optarg;
            if (strcmp(optarg, "real") && strcmp(optarg, "virtual") && strcmp(optarg, "auto"))
                return usage_error("unknown clock '%s': use real, virtual or auto", optarg) + 1;
            break;
        case OPT_TRACE:
            options->trace = optarg;
            break;
        case OPT_DETAIL:
            options->detail = true;
            break;
        case OPT_CHROME:
            options->chrome = true;
            break;
        case OPT_EXPORT:
            options->export = optarg;
            break;
        case OPT_FAULT:
            options->fault = optarg;
            break;
        case OPT_OWNER:
            options->owner = parse_pid(optarg);
            if (options->owner < 0)
                return usage_error("'%s' is not a process id", optarg) + 1;
            break;
        case ':':
            return usage_error("option '%s' needs a value; see gntsim %s --help", argv[optind - 1], argv[0]) + 1;
        default:
            return usage_error("unknown option '%s'; see gntsim %s --help", argv[optind - 1], argv[0]) + 1;
        }
    }
    options->rest = argv + optind;
    options->nr_rest = argc - optind;
    return 0;
}
