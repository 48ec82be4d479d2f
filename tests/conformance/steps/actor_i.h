/* SPDX-License-Identifier: MIT */
/*
 * An actor is one process of one domain that does what a script says (see README.md here): a
 * command per line on standard input, one line of answer each. It knows nothing of the simulator:
 * the same binary runs on a real Xen.
 */
#ifndef GNTSIM_STEPS_ACTOR_I_H
#define GNTSIM_STEPS_ACTOR_I_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096ul
#define MAX_WORDS 1300
#define MAX_NAMES 1200
#define LINE_SIZE 32768

enum kind { FREE, FD, REGION, PORT, CHILD };

/* What a script calls by a name of its own: a descriptor, some memory, a port, a forked child. */
struct thing {
    enum kind kind;
    char name[24];
    long value;                 /* descriptor, port, pid */
    char *addr;
    unsigned long nr_pages;
    FILE *to, *from;
};

struct actor {
    xengnttab_handle *gnttab;
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    struct thing things[MAX_NAMES];
    int in, out;
    char *words[MAX_WORDS];
    int nr_words;
    char line[LINE_SIZE];
    char answer[LINE_SIZE];     /* what is observed */
    /* values for later steps, which differ from run to run: NAME=VALUE ... */
    char hidden[LINE_SIZE];
};

/* answer appends to the line that is compared, hide to the values that the script may use as
 * $NAME. */
__attribute__((format(printf, 2, 3))) void answer(struct actor *a, const char *format, ...);
__attribute__((format(printf, 2, 3))) void hide(struct actor *a, const char *format, ...);
/* "rc=0", or "rc=-1 errno=NAME". */
void answer_rc(struct actor *a, long rc);

const char *word(struct actor *a, int i);
/* A number, or a sum of numbers: 4096+7. */
uint64_t number(struct actor *a, int i);
uint64_t number_of(const char *text);
int prot_of(const char *name);

struct thing *find(struct actor *a, enum kind kind, const char *name);
/* The thing, which the script must have made before. */
struct thing *need(struct actor *a, enum kind kind, const char *name);
/* A new thing; one of that name is forgotten. */
struct thing *name_thing(struct actor *a, enum kind kind, const char *name);
int fd_of(struct actor *a, int i);
/* REGION+OFFSET, or a plain number. */
char *address_of(struct actor *a, const char *text);
__attribute__((noreturn, format(printf, 1, 2))) void bad_script(const char *format, ...);

/* Runs access(ctx), which may fault; the number of the signal, 0 if none came. */
int try_access(void (*access)(void *ctx), void *ctx);

void serve(struct actor *a);

struct command {
    const char *name;
    void (*handler)(struct actor *a);
};
extern const struct command device_commands[], evtchn_commands[], library_commands[],
    memory_commands[], process_commands[];

#endif
