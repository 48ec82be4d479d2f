/* SPDX-License-Identifier: MIT */
/* The options of the verbs: one table, of which each verb takes some. */
#ifndef GNTSIM_CLI_OPTIONS_H
#define GNTSIM_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "checks_part.h"

#define DEFAULT_OUTPUT "gntsim.record"
#define DEFAULT_REPORT "report.html"

struct options {
    const char *dir;             /* --dir DIR */
    int domain;                  /* --domain N, -1: not given */
    const char *profile;         /* --profile NAME, NULL: not given */
    const char *type;            /* --type TYPE, NULL: not given */
    bool json;                   /* --json */
    bool verbose;                /* --verbose */
    /* --way WAY, one of way_names.h; GNTSIM_WAY in the environment if not given */
    int way;
    int owner;                   /* --owner PID, 0: not given */
    unsigned long long seed;     /* --seed N, 0: not given */
    /* --gnttab-max-frames N, --gnttab-max-maptrack-frames N; 0: not given */
    unsigned grant_frames, maptrack_frames;
    const char *xen;             /* --xen NAME, NULL: not given */
    const char *clock;           /* --clock real, virtual or auto; NULL: not given */
    const char *trace;           /* --trace FILE, NULL: not given */
    bool once;                   /* --once */
    bool detail, chrome;         /* --detail, --chrome */
    const char *export;          /* --export FILE, NULL: not given */
    const char *fault;           /* --fault FILE, NULL: not given */
    const char *xenstored;       /* --xenstored PATH, NULL: not given */
    const char *output;          /* --output FILE, NULL: not given, which is DEFAULT_OUTPUT */
    bool check;                  /* --check[=WORDS] */
    struct check_choice checks;  /* that WORDS choose */
    int check_exit;              /* --check-exit N */
    const char *check_report;    /* --check-report FILE, NULL: not given */
    int check_format;            /* --check-format FORMAT, -1: not given */
    const char *check_suppress;  /* --check-suppress FILE, NULL: not given */
    /* --backend N, --params TEXT, --force, --timeout SECONDS: of ctl's verbs of devices */
    const char *backend, *params; /* NULL: not given */
    bool force;
    unsigned timeout;            /* 0: not given */
    int status;                  /* the command's exit status, if nothing is to be done */
    char **rest;                 /* what follows the options */
    int nr_rest;
};

enum {
    OPT_DIR = 1 << 0,
    OPT_DOMAIN = 1 << 1,
    OPT_PROFILE = 1 << 2,
    OPT_JSON = 1 << 3,
    OPT_VERBOSE = 1 << 4,
    OPT_ANYWHERE = 1 << 5, /* options may also follow other arguments */
    OPT_OWNER = 1 << 6,
    OPT_WAY = 1 << 7,
    OPT_SEED = 1 << 8,
    OPT_CLOCK = 1 << 9,
    OPT_FAULT = 1 << 10,
    OPT_TRACE = 1 << 11,
    OPT_DETAIL = 1 << 12,
    OPT_CHROME = 1 << 13,
    OPT_EXPORT = 1 << 14,
    OPT_GRANT_FRAMES = 1 << 15,
    OPT_MAPTRACK_FRAMES = 1 << 16,
    OPT_OUTPUT = 1 << 17,
    OPT_CHECK = 1 << 18,
    OPT_XEN = 1 << 19,
    OPT_DEVICE = 1 << 20,
    OPT_REPORT = 1 << 21,
    OPT_TYPE = 1 << 22,
    OPT_XENSTORED = 1 << 23,
    OPT_ONCE = 1 << 24,
    /* of whoever starts a machine */
    OPT_MACHINE = OPT_PROFILE | OPT_VERBOSE | OPT_WAY | OPT_SEED | OPT_CLOCK | OPT_FAULT |
                  OPT_TRACE | OPT_GRANT_FRAMES | OPT_MAPTRACK_FRAMES | OPT_CHECK | OPT_XEN |
                  OPT_REPORT | OPT_XENSTORED,
};

struct option_row {
    unsigned flag;
    char letter; /* as in -o, 0: there is none */
    const char *name;
    bool (*take)(const char *text, void *field); /* NULL: no value, and the field is a bool;
                                                    * text NULL: the value was left out */
    size_t field;
    const char *argument; /* what help calls the value; "[=X]": it can be left out */
    const char *values;   /* all that it can be, with spaces between, or "" */
    const char *help;
};
extern const struct option_row option_rows[]; /* ends with a NULL name */

/*
 * Parses the options of the verb that argv[0] is. False, after --help or a message: it is over,
 * with options->status.
 */
bool options_parse(struct options *options, int argc, char **argv);
/* A domain id from text, -1 if it is none. */
int parse_domid(const char *text);

#endif
