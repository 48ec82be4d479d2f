/* SPDX-License-Identifier: MIT */
/* Carries out a list of steps, each a line of text, and reports what each did.
 * docs/howto-conformance.md describes both. */
#ifndef GNTSIM_CONFORMANCE_EXEC_H
#define GNTSIM_CONFORMANCE_EXEC_H

#include <stdio.h>

#include "backend.h"

#define NR_RECENT 16u

/* What the executor remembers of a domain: to give names to numbers and to report what changed. */
struct memory {
    bool created;
    unsigned version;
    /* handles; the last one is recent[nr_recent - 1] */
    uint32_t recent[NR_RECENT], at_slot[NR_SLOTS];
    unsigned nr_recent;
    unsigned nr_grant, nr_status;                      /* as last seen, with contents: */
    _Alignas(8) uint8_t grant[MAX_GRANT_FRAMES][4096];
    _Alignas(8) uint8_t status[MAX_STATUS_FRAMES][4096];
    uint64_t pending[64], mask[64], selector;
    uint8_t upcall;
    /* kept after death */
    uint64_t grant_mfn[MAX_GRANT_FRAMES], status_mfn[MAX_STATUS_FRAMES], pool[NR_POOL], shared_mfn;
};

struct exec {
    struct backend *b;
    FILE *out;
    char name[64];                 /* of the sequence */
    unsigned step;
    domid_t base;                  /* A is base + 1, … */
    struct guest_config config[NR_WHO];
    struct memory memory[NR_WHO];
};

/* One line. Anything unknown in it ends the program with a message: lists are not untrusted. */
void exec_line(struct exec *e, const char *line);
/* The present sequence is over: its domains go. */
void exec_end(struct exec *e);

/* names.c: text to numbers and back. */
uint64_t parse_domain(struct exec *e, enum who who, const char *text);
uint64_t parse_frame(struct exec *e, enum who who, const char *text);
uint64_t parse_address(struct exec *e, enum who who, const char *text);
uint64_t parse_handle(struct exec *e, enum who who, const char *text);
uint64_t parse_number(const char *text);
enum who parse_who(const char *text);
void print_domain(struct exec *e, uint64_t domid);
void print_frame(struct exec *e, uint64_t frame, bool of_table);

/* watch.c: what changed in the shared pages. */
void watch_begin(struct exec *e, enum who who);
/* The frames that a domain's table has now get their names. */
void watch_learn(struct exec *e, enum who who);
void watch_report(struct exec *e);

#endif
