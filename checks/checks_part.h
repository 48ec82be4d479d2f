/* SPDX-License-Identifier: MIT */
/*
 * Checks programs: a part of the machine that keeps a ledger of what each process made of its
 * devices, and reports what a right program does not do. A machine without the part keeps nothing.
 */
#ifndef GNTSIM_CHECKS_CHECKS_PART_H
#define GNTSIM_CHECKS_CHECKS_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "parts.h"

extern const struct machine_part checks_part;

/* The exit status of a command that ended well and has findings, unless another one is chosen. */
#define CHECKS_STATUS 99

struct check_kind {
    const char *name; /* NULL: the end of the list */
    bool is_leak;
    const char *says, *repair; /* sentences without a full stop */
};
extern const struct check_kind check_kinds[];
/* NULL: there is none of that name. */
const struct check_kind *check_kind_find(const char *name);

/* How a kind is reported. */
enum check_level {
    CHECK_OFF,
    CHECK_WARNING, /* said, but the machine's exit status does not tell */
    CHECK_ERROR,
};
#define MOST_CHECK_KINDS 64u
struct check_choice {
    unsigned char levels[MOST_CHECK_KINDS]; /* enum check_level, in the order of check_kinds */
};
void checks_choose_usual(struct check_choice *choice);
/* By a list of words with commas between. False, with a message: it cannot be read. */
bool checks_choose(struct check_choice *choice, const char *words, char *error, size_t size);

enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_SARIF };
/* What a machine with checks is told at its start. */
struct checks_config {
    struct check_choice choice;
    const char *suppressions; /* a file, NULL: none */
    const char *report;       /* a file, NULL: none */
    enum report_format format;
};
/* Before the machine has programs. 0, or -1 with a message. */
int checks_configure(struct machine *m, const struct checks_config *config, char *error,
                     size_t size);
/* When no program can do anything more: names unused suppressions, and writes the report. How many
 * errors were found, or negative errno: the report cannot be written. Without the lock. */
int checks_conclude(struct machine *m);

/* Without the lock, the next ones: what has been found so far. below: by this process or those
 * that it started; 0: by all. Without suppressed ones. */
struct checks_asked {
    pid_t below;
    bool detail; /* an object each, not the text */
};
json_object *checks_list(struct machine *m, const struct checks_asked *asked);

/* What is asked about, with a number of the domain. */
enum checks_about { ABOUT_REFUSALS, ABOUT_GRANT, ABOUT_PORT };
struct checks_question {
    enum checks_about about;
    int domain; /* -1: all, for refusals */
    uint32_t number;
    bool detail;
};
/* Adds what the ledger knows to a list: texts, or objects. Nothing without the part. */
void checks_why(struct machine *m, const struct checks_question *question, json_object *list);
/* What programs have and have not given back. */
json_object *checks_held(struct machine *m, bool detail);

#endif
