/* SPDX-License-Identifier: MIT */
/*
 * Traces in the format of chrome://tracing and ui.perfetto.dev. A domain is a process there, and a
 * process is a thread; a domain's kernel is its thread 0.
 */
#ifndef GNTSIM_CLI_CHROME_H
#define GNTSIM_CLI_CHROME_H

#include <stdbool.h>
#include <stdio.h>

#include <json-c/json.h>

struct chrome;

/*
 * Begins a document on out. by_number: the number of an event is its time, in microseconds, as for
 * a clock that stands still. NULL: no memory.
 */
struct chrome *chrome_begin(FILE *out, bool by_number);
/*
 * Device calls, grants, mappings and event channels become spans, everything else an instant, and
 * what leads from one to another a flow.
 */
void chrome_event(struct chrome *chrome, json_object *event);
/* Ends the document, with what is still open in it, and frees chrome (or NULL). */
void chrome_end(struct chrome *chrome);

#endif
