/* SPDX-License-Identifier: MIT */
/* What the files of the generator share. */
#ifndef GNTSIM_CONFORMANCE_GEN_I_H
#define GNTSIM_CONFORMANCE_GEN_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define LINE 4000
#define NR_GRANTS 12u
#define DOMAINS 3u

struct grant {
    unsigned from, to, ref, page;
};

struct gen {
    uint64_t random;
    void (*line)(void *ctx, const char *text);
    void *ctx;
    char text[LINE];
    size_t length;
    struct grant grants[NR_GRANTS];     /* lately written */
    unsigned nr_grants;
    bool busy[DOMAINS][NR_SLOTS];       /* something may be mapped there */
    unsigned hidden[DOMAINS];           /* pages, a bit each */
    /* perhaps, by a transfer: then it can be part of anything now */
    unsigned lost[DOMAINS];
    unsigned version[DOMAINS];
    bool dead[DOMAINS];
    /* this sequence works on few references, so that they collide */
    bool many;
};

extern const char name[DOMAINS];

/* gen_values.c: numbers, and words of the line that is being written. */
uint64_t next(struct gen *g);
unsigned below(struct gen *g, unsigned n);
bool chance(struct gen *g, unsigned percent);
void put(struct gen *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void begin(struct gen *g, unsigned who, const char *op);
void end(struct gen *g);
unsigned someone(struct gen *g);
unsigned some_ref(struct gen *g);
unsigned some_port(struct gen *g);
unsigned some_count(struct gen *g);
/* One written lately; otherwise anything. */
struct grant some_grant(struct gen *g);
unsigned free_slot(struct gen *g, unsigned who);
unsigned busy_slot(struct gen *g, unsigned who);
bool all_busy(const struct gen *g, unsigned who);
void put_domain(struct gen *g);
void put_page(struct gen *g, unsigned owner);
void put_frame(struct gen *g, unsigned owner);
void put_no_address(struct gen *g);
/* Seldom: a wrong count, command or address for the n elements that follow. */
void put_odd_call(struct gen *g, unsigned n);
/* An operation that asks about a domain, by somebody. */
void put_about(struct gen *g, const char *op);

/* Each writes a step or a few: gen_map.c, gen_copy.c. */
void do_entry(struct gen *g);
void do_flags(struct gen *g);
void do_map(struct gen *g);
void do_unmap(struct gen *g);
void do_replace(struct gen *g);
void do_copy(struct gen *g);
void do_transfer(struct gen *g);
void do_show(struct gen *g);
void do_swap(struct gen *g);
void do_table(struct gen *g);
void do_version(struct gen *g);
void do_flush(struct gen *g);
void do_memory(struct gen *g);

#endif
