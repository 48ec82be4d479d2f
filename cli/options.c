/* SPDX-License-Identifier: MIT */
/* Parses the options that several verbs share. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/kernel.h>

#include "cli.h"
#include "machine.h"
#include "way_names.h"

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

/* ---- The value of an option: true, or false after a message ----------------------------------- */

static bool take_text(const char *text, void *field)
{
    *(const char **)field = text;
    return true;
}

static bool take_domain(const char *text, void *field)
{
    int domain = parse_domid(text);

    *(int *)field = domain;
    if (domain < 0)
        usage_error("'%s' is not a domain id (0 to %u)", text, DOMID_FIRST_RESERVED - 1);
    return domain >= 0;
}

static bool take_profile(const char *text, void *field)
{
    if (!kernel_profile_find(text))
        return usage_error("unknown profile '%s': use pv, pvh or legacy", text), false;
    return take_text(text, field);
}

static bool take_way(const char *text, void *field)
{
    int way = parse_way(text);

    *(int *)field = way;
    if (way < 0)
        usage_error("unknown way '%s': use auto, device or socket", text);
    return way >= 0;
}

static bool take_pid(const char *text, void *field)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    *(int *)field = (int)value;
    if (errno || end == text || *end || value < 1 || value > INT_MAX)
        return usage_error("'%s' is not a process id", text), false;
    return true;
}

static bool take_seed(const char *text, void *field)
{
    unsigned long long seed;
    char *end;

    errno = 0;
    seed = strtoull(text, &end, 0);
    *(unsigned long long *)field = seed;
    if (errno || *end || *text == '-' || !seed)
        return usage_error("'%s' is not a seed (1 to 2^64-1)", text), false;
    return true;
}

/* As Xen's command line has them. */
static bool take_frames(const char *text, void *field)
{
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(text, &end, 0);
    *(unsigned *)field = (unsigned)value;
    if (!errno && end != text && !*end && *text != '-' && value && value <= MACHINE_MOST_FRAMES)
        return true;
    usage_error("'%s' is not a number of frames (1 to %u)", text, MACHINE_MOST_FRAMES);
    return false;
}

static bool take_clock(const char *text, void *field)
{
    if (strcmp(text, "real") && strcmp(text, "virtual") && strcmp(text, "auto"))
        return usage_error("unknown clock '%s': use real, virtual or auto", text), false;
    return take_text(text, field);
}

/* ---- The options ------------------------------------------------------------------------------ */

static const struct option_row {
    unsigned flag;
    const char *name;
    bool (*take)(const char *text, void *field);     /* NULL: no value, and the field is a bool */
    size_t field;
    const char *help;
} rows[] = {
#define ROW(flag, name, take, field, help) \
    { flag, name, take, offsetof(struct options, field), help }
    ROW(OPT_DIR, "dir", take_text, dir, "  --dir DIR        the machine's directory"),
    ROW(OPT_DOMAIN, "domain", take_domain, domain,
        "  --domain N       the domain, 0 to 32751 (default 0)"),
    ROW(OPT_PROFILE, "profile", take_profile, profile,
        "  --profile NAME   guest kernel of new domains: pv (default), pvh, legacy"),
    ROW(OPT_JSON, "json", NULL, json, "  --json           print JSON"),
    ROW(OPT_OWNER, "owner", take_pid, owner,
        "  --owner PID      end when this process ends, in whatever way"),
    ROW(OPT_SEED, "seed", take_seed, seed,
        "  --seed N         of everything drawn by lot (default 20261121)"),
    ROW(OPT_GRANT_FRAMES, "gnttab-max-frames", take_frames, grant_frames,
        "  --gnttab-max-frames N\n                   grant frames that a domain can be created "
        "with, as on Xen's command line (default 2048)"),
    ROW(OPT_MAPTRACK_FRAMES, "gnttab-max-maptrack-frames", take_frames, maptrack_frames,
        "  --gnttab-max-maptrack-frames N\n                   the same of maptrack frames, of 256 "
        "handles each (default 4096)"),
    ROW(OPT_CLOCK, "clock", take_clock, clock,
        "  --clock MODE     the machine's time: real (default), virtual, auto"),
    ROW(OPT_FAULT, "fault", take_text, fault,
        "  --fault FILE     fault rules, JSON (see gntsim names); - is standard input"),
    ROW(OPT_WAY, "way", take_way, way,
        "  --way WAY        how programs reach the devices: auto (default: device files, and "
        "gntsim's libraries), device, socket"),
    ROW(OPT_TRACE, "trace", take_text, trace,
        "  --trace FILE     everything that happens goes there, a line of JSON each"),
    ROW(OPT_DETAIL, "detail", NULL, detail,
        "  --detail         also beginnings of calls, memory of programs, timers, upcalls"),
    ROW(OPT_CHROME, "chrome", NULL, chrome,
        "  --chrome         in the format of chrome://tracing and ui.perfetto.dev"),
    ROW(OPT_EXPORT, "export", take_text, export,
        "  --export FILE    write a recorded trace there in that format; - is standard output"),
    ROW(OPT_VERBOSE, "verbose", NULL, verbose,
        "  --verbose        print what the guest kernels log"),
#undef ROW
};
#define NR_ROWS (sizeof rows / sizeof *rows)
#define FIRST_ROW 256            /* the numbers of rows for getopt_long are no characters */

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

/* What the environment says, for all that is started. */
static bool default_way(int *way)
{
    const char *text = getenv("GNTSIM_WAY");

    *way = text ? parse_way(text) : WAY_AUTO;
    if (*way < 0)
        usage_error("GNTSIM_WAY is '%s' in the environment: use auto, device or socket", text);
    return *way >= 0;
}

static bool take(struct options *options, const struct option_row *row)
{
    char *field = (char *)options + row->field;

    if (row->take)
        return row->take(optarg, field);
    *(bool *)(void *)field = true;
    return true;
}

bool options_parse(struct options *options, unsigned allowed, int argc, char **argv)
{
    struct option longs[NR_ROWS + 2] = { { "help", no_argument, NULL, 'h' } };
    const char *shorts = allowed & OPT_ANYWHERE ? ":h" : "+:h";
    unsigned n = 1;
    int c;

    *options = (struct options){ .domain = -1, .status = EXIT_USAGE };
    if (allowed & OPT_WAY && !default_way(&options->way))
        return false;
    for (unsigned i = 0; i < NR_ROWS; i++)
        if (allowed & rows[i].flag)
            longs[n++] = (struct option){
                rows[i].name, rows[i].take ? required_argument : no_argument, NULL, FIRST_ROW + (int)i
            };
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == 'h') {
            help(allowed, argv[0]);
            options->status = 0;
            return false;
        }
        if (c < FIRST_ROW) {
            usage_error(c == ':' ? "option '%s' needs a value; see gntsim %s --help"
                                 : "unknown option '%s'; see gntsim %s --help",
                        argv[optind - 1], argv[0]);
            return false;
        }
        if (!take(options, &rows[c - FIRST_ROW]))
            return false;
    }
    options->rest = argv + optind;
    options->nr_rest = argc - optind;
    options->status = 0;
    return true;
}
