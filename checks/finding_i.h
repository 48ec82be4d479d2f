/* SPDX-License-Identifier: MIT */
/* A finding: what was seen of a program, and the stacks that show where. */
#ifndef GNTSIM_CHECKS_FINDING_I_H
#define GNTSIM_CHECKS_FINDING_I_H

#include "checks_i.h"

/* A sentence, and the stack of what it says. */
struct part {
    char *text;
    struct event event;
    bool approximate;          /* the stack is */
    struct frame_text *frames; /* once published, the innermost first; strings are the depot's */
    unsigned nr_frames;
};

struct finding {
    enum kind kind;
    enum check_level level;
    struct program program; /* as it was; number 0: nobody's */
    char *title;
    struct part parts[MAX_PARTS];
    unsigned nr_parts;
    char *text;                           /* once published */
    unsigned times;                       /* that it was made */
    const struct suppression *suppressed; /* by which, NULL: it is not */
    struct finding *next;
};

/* Without a lock: fills in the stacks. */
void finding_read(struct checks *checks, struct finding *finding);
/* It, and all that follow it. */
void finding_free(struct finding *finding);
/* A frame inside libxengnttab, libxenevtchn or libc. */
bool frame_is_inside(const struct frame_text *frame);
/* The program's own frame that the finding is about, NULL: none is known. */
const struct frame_text *finding_place(const struct finding *finding);

/* tell.c. " (event 82)" in room, or "": the trace is off. */
const char *event_number(const struct event *event, char *room, size_t size);
/* A sentence that says who made these, at one place, and of what, with the stack. */
void finding_add_made(struct finding *finding, struct item **items, size_t nr,
                      const struct program *program);
/* If that happened to the item, a sentence with its stack. */
void finding_add_turn(struct finding *finding, const struct item *item, enum turn turn,
                      const char *text);

/* report.c. The finding as people read it, NULL: no memory. The caller frees it. */
char *finding_text(const struct finding *finding);
/* Its sentences from one on, with their stacks. */
void finding_print_parts(const struct finding *finding, unsigned from, FILE *out);
json_object *finding_parts_json(const struct finding *finding);
json_object *finding_json(const struct finding *finding);

/* clean.c. A text that may come from a program: what is no UTF-8 of it becomes "?". */
json_object *clean_text(const char *text);

/* sarif.c. All findings, as a document of SARIF 2.1.0. */
json_object *sarif_document(const struct finding *findings);

#endif
