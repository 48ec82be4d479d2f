/* SPDX-License-Identifier: MIT */
/* Parses the options of a verb, and explains them. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gntsim/hv.h>
#include <gntsim/kernel.h>

#include "checks_part.h"
#include "cli.h"
#include "container_of.h"
#include "machine.h"
#include "way_names.h"
#include "words.h"

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

/* ---- The value of an option: true, or false after a message ---------------------------------- */

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

/* A number from low to most, as strtoul takes it. */
static bool take_number(const char *text, int base, unsigned low, unsigned most, unsigned *out)
{
    unsigned long value;
    char *end;

    errno = 0;
    value = strtoul(text, &end, base);
    *out = (unsigned)value;
    return !errno && end != text && !*end && *text != '-' && value >= low && value <= most;
}

static bool take_status(const char *text, void *field)
{
    if (take_number(text, 10, 0, 255, field))
        return true;
    usage_error("'%s' is not an exit status (0 to 255)", text);
    return false;
}

/* The field is options.check, and options.checks is set as well. */
static bool take_check(const char *text, void *field)
{
    struct options *options = container_of(field, struct options, check);
    char error[256];

    options->check = checks_choose(&options->checks, text ? text : "", error, sizeof error);
    if (!options->check)
        usage_error("%s", error);
    return options->check;
}

static bool take_format(const char *text, void *field)
{
    static const char *const names[] = {
        [REPORT_TEXT] = "text", [REPORT_JSON] = "json", [REPORT_SARIF] = "sarif", NULL
    };

    *(int *)field = word_find(names, text);
    if (*(int *)field < 0)
        usage_error("unknown format '%s': use %s", text, WORDS_OR(names));
    return *(int *)field >= 0;
}

/* As Xen's command line has them. */
static bool take_frames(const char *text, void *field)
{
    if (take_number(text, 0, 1, MACHINE_MOST_FRAMES, field))
        return true;
    usage_error("'%s' is not a number of frames (1 to %u)", text, MACHINE_MOST_FRAMES);
    return false;
}

static bool take_xen(const char *text, void *field)
{
    if (!hv_profile_find(text))
        return usage_error("unknown Xen '%s': use xen-4.17, xen-4.20 or xen-4.23", text), false;
    return take_text(text, field);
}

static bool take_seconds(const char *text, void *field)
{
    if (take_number(text, 10, 1, INT_MAX / 1000, field))
        return true;
    usage_error("'%s' is not a number of seconds", text);
    return false;
}

static bool take_clock(const char *text, void *field)
{
    if (strcmp(text, "real") && strcmp(text, "virtual") && strcmp(text, "auto"))
        return usage_error("unknown clock '%s': use real, virtual or auto", text), false;
    return take_text(text, field);
}

/* ---- The options ----------------------------------------------------------------------------- */

#define TEXT_OF(value) #value
#define TEXT(macro) TEXT_OF(macro)

/* clang-format off */
const struct option_row option_rows[] = {
#define ROW(flag, letter, name, take, field, argument, values, help) \
    { flag, letter, name, take, offsetof(struct options, field), argument, values, help }
    ROW(OPT_DIR, 0, "dir", take_text, dir, "DIR", "", "the machine's directory"),
    ROW(OPT_OUTPUT, 'o', "output", take_text, output, "FILE", "",
        "of record (default " DEFAULT_OUTPUT ") or of report (default " DEFAULT_REPORT
        ", - is standard output)"),
    ROW(OPT_DOMAIN, 0, "domain", take_domain, domain, "N", "",
        "the domain, 0 to 32751 (default 0, or the one that a record names)"),
    ROW(OPT_PROFILE, 0, "profile", take_profile, profile, "NAME", "pv pvh legacy",
        "guest kernel of new domains: pv (default), pvh, legacy"),
    ROW(OPT_TYPE, 0, "type", take_text, type, "TYPE", "pv pvh hvm",
        "what a toolstack calls the new domain: pv, pvh, hvm (default: as its profile)"),
    ROW(OPT_JSON, 0, "json", NULL, json, "", "", "print JSON"),
    ROW(OPT_OWNER, 0, "owner", take_pid, owner, "PID", "",
        "end when this process ends, in whatever way"),
    ROW(OPT_SEED, 0, "seed", take_seed, seed, "N", "",
        "of everything drawn by lot (default " TEXT(MACHINE_DEFAULT_SEED) ")"),
    ROW(OPT_GRANT_FRAMES, 0, "gnttab-max-frames", take_frames, grant_frames, "N", "",
        "grant frames that a domain can be created with, as on Xen's command line (default 2048)"),
    ROW(OPT_MAPTRACK_FRAMES, 0, "gnttab-max-maptrack-frames", take_frames, maptrack_frames, "N", "",
        "the same of maptrack frames, of 256 handles each (default 4096)"),
    ROW(OPT_XEN, 0, "xen", take_xen, xen, "NAME", "xen-4.17 xen-4.20 xen-4.23",
        "the hypervisor's release: xen-4.17 (default), xen-4.20, xen-4.23"),
    ROW(OPT_CLOCK, 0, "clock", take_clock, clock, "MODE", "real virtual auto",
        "the machine's time: real (default), virtual (stands still until it is moved), auto "
        "(virtual, and jumps to what somebody waits for)"),
    ROW(OPT_FAULT, 0, "fault", take_text, fault, "FILE", "",
        "fault rules, JSON (see gntsim names); - is standard input"),
    ROW(OPT_CHECK, 0, "check", take_check, check, "[=WORDS]", "",
        "report what right programs do not do: leaks, late unmaps and more. WORDS: only leaks or "
        "the kinds named (`gntsim explain` lists them); no-KIND and KIND=warning change what is "
        "usual"),
    ROW(OPT_CHECK, 0, "check-exit", take_status, check_exit, "N", "",
        "the exit status if all else went well and something was reported (default 99)"),
    ROW(OPT_REPORT, 0, "check-report", take_text, check_report, "FILE", "",
        "write all findings there when the machine ends"),
    ROW(OPT_REPORT, 0, "check-format", take_format, check_format, "FORMAT", "text json sarif",
        "of the report; by default sarif or json if FILE ends with that, else text"),
    ROW(OPT_REPORT, 0, "check-suppress", take_text, check_suppress, "FILE", "",
        "findings that are known: a line of KIND:PATTERN each, of a function, file, module or "
        "command"),
    ROW(OPT_XENSTORED, 0, "xenstored", take_text, xenstored, "PATH", "",
        "a real daemon is the store: xenstored or oxenstored, as a process of domain 0"),
    ROW(OPT_WAY, 0, "way", take_way, way, "WAY", "auto device socket",
        "how programs reach the devices: auto (default: device files, and gntsim's libraries), "
        "device, socket"),
    ROW(OPT_TRACE, 0, "trace", take_text, trace, "FILE", "",
        "everything that happens goes there, a line of JSON each"),
    ROW(OPT_ONCE, 0, "once", NULL, once, "", "",
        "print it once and end, as without a terminal"),
    ROW(OPT_DETAIL, 0, "detail", NULL, detail, "", "",
        "also beginnings of calls, memory of programs, timers, upcalls"),
    ROW(OPT_CHROME, 0, "chrome", NULL, chrome, "", "",
        "in the format of chrome://tracing and ui.perfetto.dev"),
    ROW(OPT_EXPORT, 0, "export", take_text, export, "FILE", "",
        "write a recorded trace there in that format; - is standard output"),
    ROW(OPT_DEVICE, 0, "backend", take_text, backend, "N", "",
        "device attach: the domain of the back end (default 0)"),
    ROW(OPT_DEVICE, 0, "params", take_text, params, "TEXT", "",
        "device attach: the disk, like raw:/disk.img"),
    ROW(OPT_DEVICE, 0, "force", NULL, force, "", "",
        "device detach: do not wait for the back end"),
    ROW(OPT_DEVICE, 0, "timeout", take_seconds, timeout, "SECONDS", "",
        "store wait, device wait: the longest time (default: none); device detach: after it the "
        "nodes are removed all the same (default 10)"),
    ROW(OPT_VERBOSE, 0, "verbose", NULL, verbose, "", "", "print what the guest kernels log"),
#undef ROW
    { .name = NULL },
};
/* clang-format on */
#define NR_ROWS (sizeof option_rows / sizeof *option_rows - 1)
#define FIRST_ROW 256            /* the numbers of rows for getopt_long are no characters */

/* ---- Help ------------------------------------------------------------------------------------ */

static bool is_optional(const struct option_row *row)
{
    return row->argument[0] == '[';
}

/* What stands between the option and its value. */
static const char *gap(const struct option_row *row)
{
    return *row->argument && !is_optional(row) ? " " : "";
}

static void print_option(const char *text, const char *help)
{
    bool fits = strlen(text) <= 16;

    printf("  %-16s%s%s\n", text, fits ? " " : "\n                   ", help);
}

static void print_usage(const char *before, const char *name, const struct usage *usage)
{
    printf("%sgntsim %s", before, name);
    for (const struct option_row *row = option_rows; row->name; row++) {
        bool required = usage->required & row->flag;

        if (usage->options & row->flag)
            printf(" %s--%s%s%s%s", required ? "" : "[", row->name, gap(row), row->argument,
                   required ? "" : "]");
    }
    printf("%s%s\n", *usage->rest ? " " : "", usage->rest);
}

static void help(const struct command *command)
{
    char text[64];

    print_usage("Usage: ", command->name, &command->usages[0]);
    if (command->usages[1].rest)
        print_usage("       ", command->name, &command->usages[1]);
    printf("\n%s.\n\nOptions:\n", command->summary);
    for (const struct option_row *row = option_rows; row->name; row++) {
        if (!(command_options(command) & row->flag))
            continue;
        snprintf(text, sizeof text, "%s%s--%s%s%s",
                 row->letter ? (char[]){ '-', row->letter, 0 } : "", row->letter ? ", " : "",
                 row->name, gap(row), row->argument);
        print_option(text, row->help);
    }
    print_option("--help", "this text");
    if (command->more) {
        printf("\n%s:\n", command->heading);
        command->more(stdout);
    }
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

/* What getopt_long is to know; letters has room for all. */
static void tell_getopt(unsigned allowed, struct option *longs, char *letters)
{
    unsigned n = 1;

    letters += sprintf(letters, "%s", allowed & OPT_ANYWHERE ? ":h" : "+:h");
    longs[0] = (struct option){ "help", no_argument, NULL, 'h' };
    for (unsigned i = 0; i < NR_ROWS; i++) {
        const struct option_row *row = &option_rows[i];

        if (!(allowed & row->flag))
            continue;
        longs[n++] = (struct option){ row->name,
                                      !row->take          ? no_argument
                                      : is_optional(row) ? optional_argument
                                                         : required_argument,
                                      NULL, FIRST_ROW + (int)i };
        if (row->letter)
            letters += sprintf(letters, "%c%s", row->letter, row->take ? ":" : "");
    }
}

static const struct option_row *row_of(int c)
{
    if (c >= FIRST_ROW)
        return &option_rows[c - FIRST_ROW];
    for (const struct option_row *row = option_rows; row->name; row++)
        if (row->letter == c)
            return row;
    return NULL;
}

bool options_parse(struct options *options, int argc, char **argv)
{
    const struct command *command = command_find(argv[0]);
    unsigned allowed = command_options(command);
    struct option longs[NR_ROWS + 2] = { { 0 } };
    const struct option_row *row;
    char letters[2 * NR_ROWS + 4];
    int c;

    *options = (struct options){ .domain = -1, .check_exit = CHECKS_STATUS,
                                 .check_format = -1, .status = EXIT_USAGE };
    if (allowed & OPT_WAY && !default_way(&options->way))
        return false;
    tell_getopt(allowed, longs, letters);
    opterr = 0;
    optind = 0;
    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (c == 'h') {
            help(command);
            options->status = 0;
            return false;
        }
        row = row_of(c);
        if (!row) {
            usage_error(c == ':' ? "option '%s' needs a value; see gntsim %s --help"
                                 : "unknown option '%s'; see gntsim %s --help",
                        argv[optind - 1], argv[0]);
            return false;
        }
        if (!take(options, row))
            return false;
    }
    if (!options->check && (options->check_report || options->check_suppress))
        return usage_error("--check-report and --check-suppress need --check"), false;
    options->rest = argv + optind;
    options->nr_rest = argc - optind;
    options->status = 0;
    return true;
}
