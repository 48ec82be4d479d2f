/* SPDX-License-Identifier: MIT */
/*
 * Traces in the format of chrome://tracing and ui.perfetto.dev. A domain is a process there, and a
 * process is a thread.
 */
#ifndef GNTSIM_CLI_CHROME_H
#define GNTSIM_CLI_CHROME_H

#include <json-c/json.h>
#include <stdio.h>

/* Calls of device files become spans, everything else an instant. */
void chrome_begin(FILE *out);
void chrome_event(FILE *out, json_object *event);
void chrome_end(FILE *out);

#endif
