/* SPDX-License-Identifier: MIT */
/*
 * Fault rules: where a fault happens (a point and selectors), how often, and what it does. Of the
 * rules that match a point, the first added one whose turn it is decides.
 *
 * All calls need the machine's lock.
 */
#ifndef GNTSIM_MACHINE_FAULTS_H
#define GNTSIM_MACHINE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "points.h"

struct faults;
struct machine;

enum fault_do {
    FAULT_STATUS,                /* value: a GNTST_* status */
    FAULT_HYPERCALL,             /* value: a negative errno */
    FAULT_ERRNO,                 /* the same */
    FAULT_PAGE_OUT,
    FAULT_DELAY,                 /* value: ns */
    FAULT_KILL,
    FAULT_DESTROY,               /* value: a domain */
    FAULT_SUSPEND,               /* the same */
    FAULT_DROP,
    FAULT_DOUBLE,
    FAULT_LATE,                  /* value: ns */
    FAULT_PAUSE,
    FAULT_RESTART,               /* the store's daemon */
    FAULT_AFTER,                 /* value: so many more requests to the store */
    FAULT_REWRITE,               /* text: what the node has afterwards */
    FAULT_REMOVE,                /* the node's directory goes afterwards */
    NR_FAULT_DOS,
};
extern const char *const fault_dos[NR_FAULT_DOS + 1];  /* as in a rule; ends with NULL */

struct fault_rule {
    uint64_t id;
    char name[64];               /* empty: none */
    const char *at;              /* as in struct point; NULL: everywhere */
    /* Selectors; -1, NULL or 0 for the process: any. */
    int64_t domain, peer, ref, index, count;
    int writable;
    const char *device;
    char ioctl[32];              /* empty: any */
    char path[128];              /* a pattern for paths of the store; empty: any */
    unsigned process;
    /* How often. */
    uint64_t skip, times, every; /* times 0: for ever; every 0 is 1 */
    double probability;          /* 1: always */
    enum fault_do what;
    int64_t value;
    char text[64];               /* REWRITE */
    bool optional;
    /* So far. */
    uint64_t passed, fired;
    uint64_t random;             /* state of its own generator */
    struct fault_rule *prev, *next;
};
/* Everything, once. */
void fault_rule_init(struct fault_rule *rule);
/* NULL if the rule can ever do anything; otherwise why not, for people. */
const char *fault_rule_check(const struct fault_rule *rule);

/* Whether a rule is about this point, in a call by that process. */
bool fault_rule_matches(const struct fault_rule *rule, const struct point *point, unsigned process);
/* The errno > 0 that a rule's is on the wire of the store, which has names for some only. */
int fault_store_error(int64_t value);

int faults_create(struct machine *m);
void faults_destroy(struct machine *m);
/* *rule is copied and given an id. -ENOMEM. */
int faults_add(struct machine *m, const struct fault_rule *rule, uint64_t *id);
int faults_remove(struct machine *m, uint64_t id);      /* -ENOENT */
void faults_clear(struct machine *m);
const struct fault_rule *faults_first(const struct machine *m);

/* Points passed since the start or the last reset. */
struct fault_count {
    enum point_kind kind;
    const char *at, *device;
    unsigned ioctl_nr;
    uint64_t passed;
    struct fault_count *prev, *next;
};
const struct fault_count *faults_counts(const struct machine *m);
uint64_t faults_passed(const struct machine *m);
void faults_reset_counts(struct machine *m);

/* Calls that a rule holds until somebody says go on. */
struct fault_paused {
    uint64_t id, rule;
    struct point at;
    unsigned process;
    struct fault_paused *prev, *next;
};
/* The oldest first. */
const struct fault_paused *faults_paused(struct machine *m);
/* A domain goes on under another number: so do its calls. */
void faults_migrated(struct machine *m, domid_t from, domid_t to);
int faults_resume(struct machine *m, uint64_t id);      /* -ENOENT */

/* The hooks; ctx of the first is the machine, of the second the domain. */
enum hv_verdict faults_at_hypercall(void *ctx, struct hv_point *point, long *value);
struct kernel_verdict faults_at_kernel(void *ctx, struct kernel_point *point);

/* What to do at a point of the store. */
struct store_fault {
    enum fault_do what;          /* ERRNO, DROP, DOUBLE, RESTART, AFTER, REWRITE, REMOVE;
                                    NR_FAULT_DOS: nothing */
    int value;                   /* ERRNO: > 0; AFTER: requests */
    const char *text;            /* REWRITE; the rule's */
    uint64_t rule;               /* 0: none */
};
struct store_fault faults_at_store(struct machine *m, const struct point *point, unsigned process);

#endif
