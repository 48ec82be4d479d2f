/* SPDX-License-Identifier: MIT */
/*
 * Adversaries: hostile domains that do to their peers what these must survive. Each adversary draws
 * its steps from its own seed, so the same seed and operations repeat an attack. A test asks for
 * steps, or they happen before each operation of the machine. A thread can also make them without
 * pause, which nobody can repeat.
 *
 * All calls need the machine's lock.
 */
#ifndef GNTSIM_GUESTS_ADVERSARY_H
#define GNTSIM_GUESTS_ADVERSARY_H

#include <stdbool.h>
#include <stdint.h>

#include "actor.h"

struct adversary;
struct machine;

enum adversary_kind {
    ADVERSARY_REWRITE, /* changes its grant entries, in use or not, and puts them right again */
    ADVERSARY_FLIP,    /* changes words of a shared page, and puts them right again */
    ADVERSARY_STALE, /* writes references that are no good any more where the peer looks for one */
    ADVERSARY_GUESS, /* maps references of the peer that nobody told it */
    ADVERSARY_FLOOD, /* sends events */
    ADVERSARY_NR_KINDS,
};
extern const char *const adversary_kinds[ADVERSARY_NR_KINDS + 1];        /* ends with NULL */

#define ADVERSARY_MAX_VALUES 16u

struct adversary_config {
    enum adversary_kind kind;
    uint64_t seed;
    struct actor_place place;    /* FLIP, STALE: the first word */
    uint32_t words;              /* FLIP, STALE: how many words of 32 bits from there on */
    uint32_t values[ADVERSARY_MAX_VALUES];   /* FLIP: what to write; nr_values 0: anything */
    unsigned nr_values;
    domid_t granter;             /* GUESS */
    grant_ref_t first, last;     /* REWRITE: of its own table; GUESS: of the granter's */
    evtchn_port_t port;          /* FLOOD */
    uint32_t burst;              /* FLOOD: events in a step */
    uint64_t background;         /* steps to make by itself, UINT64_MAX: without end */
    bool thread;                 /* FLIP: by a thread */
};

struct adversary_info {
    int64_t id;
    domid_t domain;
    enum adversary_kind kind;
    uint64_t steps, hits;        /* made; and of them those that found something to do */
};

/* 0 and *id; -ENOMEM, -EAGAIN (no thread), or what is wrong with the place, see actor_mfn. */
int adversary_start(struct actor *a, const struct adversary_config *config, int64_t *id);
/* -ENOENT, -EBUSY (a thread makes them). */
int adversary_step(struct machine *m, int64_t id, uint64_t n, struct adversary_info *info);
/* Puts right what it changed last. -ENOENT. */
int adversary_stop(struct machine *m, int64_t id, struct adversary_info *info);
/* The one with the lowest id >= from. -ENOENT. */
int adversary_next(struct machine *m, int64_t from, struct adversary_info *info);
/* Makes the steps that they owe because they may not be made within a hypercall. */
void adversaries_settle(struct machine *m);

#endif
