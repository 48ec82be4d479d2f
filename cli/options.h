/* SPDX-License-Identifier: MIT */
/* The options that several verbs share. */
#ifndef GNTSIM_CLI_OPTIONS_H
#define GNTSIM_CLI_OPTIONS_H

#include <stdbool.h>

struct options {
    const char *dir;             /* --dir DIR */
    int domain;                  /* --domain N, -1: not given */
    const char *profile;         /* --profile NAME, NULL: not given */
    bool json;                   /* --json */
    bool verbose;                /* --verbose */
    int way;                     /* --way WAY, one of way_names.h; GNTSIM_WAY in the environment if not given */
    int owner;                   /* --owner PID, 0: not given */
    unsigned long long seed;     /* --seed N, 0: not given */
    unsigned grant_frames, maptrack_frames;     /* --gnttab-max-frames N, --gnttab-max-maptrack-frames N; 0: not given */
    const char *clock;           /* --clock real, virtual or auto; NULL: not given */
    const char *trace;           /* --trace FILE, NULL: not given */
    bool detail, chrome;         /* --detail, --chrome */
    const char *export;          /* --export FILE, NULL: not given */
    const char *fault;           /* --fault FILE, NULL: not given */
    int status;                  /* the command's exit status, if nothing is to be done */
    char **rest;                 /* what follows the options */
    int nr_rest;
};

enum {
    OPT_DIR = 1, OPT_DOMAIN = 2, OPT_PROFILE = 4, OPT_JSON = 8, OPT_VERBOSE = 16,
    OPT_ANYWHERE = 32,           /* options may also follow other arguments */
    OPT_OWNER = 4096, OPT_WAY = 8192,
    OPT_SEED = 1 << 16, OPT_CLOCK = 1 << 17, OPT_FAULT = 1 << 18, OPT_TRACE = 1 << 19,
    OPT_DETAIL = 1 << 20, OPT_CHROME = 1 << 21, OPT_EXPORT = 1 << 22, OPT_GRANT_FRAMES = 1 << 23, OPT_MAPTRACK_FRAMES = 1 << 24,
    OPT_MACHINE = OPT_PROFILE | OPT_VERBOSE | OPT_WAY | OPT_SEED | OPT_CLOCK | OPT_FAULT | OPT_TRACE | OPT_GRANT_FRAMES |
                  OPT_MAPTRACK_FRAMES,                   /* of whoever starts a machine */
};

/* Parses what allowed names. False, after --help or a message: it is over, with options->status. */
bool options_parse(struct options *options, unsigned allowed, int argc, char **argv);
/* A domain id from text, -1 if it is none. */
int parse_domid(const char *text);

#endif
